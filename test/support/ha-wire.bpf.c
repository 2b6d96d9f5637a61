// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * A bad cable: on the ports of the switch that stands in the ha link of a test.
 * Loses, repeats and diverts frames at rates of its map, and counts each. What it
 * diverts goes to a delay line (delay-line.c), whose interface has line() and
 * where it comes back later.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

/* Shares of 2^32. */
struct impairment {
	__u64 seed;
	__u64 draws;
	__u64 lost;
	__u64 duplicated;
	__u64 delayed;
};

struct counts {
	__u64 seen;
	__u64 lost;
	__u64 duplicated;
	__u64 delayed;
	__u64 returned;
};

/* By the interface at which a frame comes in. */
struct way {
	__u32 out;
	__u32 line;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct impairment);
} impairments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counts);
} frame_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct way);
} ways SEC(".maps");

/* The nth draw of a seed is always the same (splitmix64). */
static __always_inline int happens(struct impairment *impairment, __u64 share)
{
	__u64 z = impairment->seed + 0x9e3779b97f4a7c15ULL * __sync_fetch_and_add(&impairment->draws, 1);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (z ^ z >> 31) >> 32 < share;
}

SEC("tc")
int port(struct __sk_buff *skb)
{
	__u32 zero = 0, ifindex = skb->ifindex;
	struct impairment *impairment = bpf_map_lookup_elem(&impairments, &zero);
	struct counts *counts = bpf_map_lookup_elem(&frame_counts, &zero);
	struct way *way = bpf_map_lookup_elem(&ways, &ifindex);

	if (!impairment || !counts || !way)
		return TC_ACT_SHOT;
	__sync_fetch_and_add(&counts->seen, 1);
	if (happens(impairment, impairment->lost)) {
		__sync_fetch_and_add(&counts->lost, 1);
		return TC_ACT_SHOT;
	}
	if (happens(impairment, impairment->duplicated) && !bpf_clone_redirect(skb, way->out, 0))
		__sync_fetch_and_add(&counts->duplicated, 1);
	if (happens(impairment, impairment->delayed)) {
		__sync_fetch_and_add(&counts->delayed, 1);
		return bpf_redirect(way->line, 0);
	}
	return bpf_redirect(way->out, 0);
}

SEC("tc")
int line(struct __sk_buff *skb)
{
	__u32 zero = 0, ifindex = skb->ifindex;
	struct counts *counts = bpf_map_lookup_elem(&frame_counts, &zero);
	struct way *way = bpf_map_lookup_elem(&ways, &ifindex);

	if (!counts || !way)
		return TC_ACT_SHOT;
	__sync_fetch_and_add(&counts->returned, 1);
	return bpf_redirect(way->out, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
