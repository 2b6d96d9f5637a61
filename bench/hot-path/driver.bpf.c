// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Drives another program with a different packet each time: a test run alone
 * repeats one packet, which the program has changed by then. Its own cost is
 * measured with `nothing_xdp` in the place of the program.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TEMPLATE_MAX 128

struct drive {
	__u32 length;                 /* of the frame */
	__u32 vni_offset;             /* 0: not tunnelled */
	__u32 ip_offset;              /* of the header with the flow's address */
	__u32 source;                 /* 1: the flow's endpoint is the source, 0: the destination */
	__u32 flows;                  /* how many are taken in turn, by chance */
	__u32 sequential;             /* 1: one after the other instead */
	__u32 next;
	__u32 pad;
	__u8 frame[TEMPLATE_MAX];
};

struct flow {
	__u8 vni[4];                  /* three bytes and a zero */
	__be32 address;
	__be16 port;
	__u8 protocol;
	__u8 pad[5];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct drive);
} drives SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << 20);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Puts the template back, with the flow's addresses. */
static __always_inline int restore(struct xdp_md *ctx, const struct drive *drive, const struct flow *flow)
{
	__u64 length = (void *)(long)ctx->data_end - (void *)(long)ctx->data;
	__u32 ip_offset = drive->ip_offset, vni_offset = drive->vni_offset;
	void *data, *end;
	struct iphdr *ip;
	__be16 *port;
	__u64 sum;

	/* Pointers may only be subtracted whole: keep the compiler from mixing this with other sums. */
	asm volatile("" : "+r"(length));
	if (bpf_xdp_adjust_head(ctx, (int)((__u32)length - drive->length)))
		return -1;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	for (__u32 i = 0; i + 8 <= TEMPLATE_MAX; i += 8) {
		if (data + i + 8 > end)
			break;
		*(__u64 *)(data + i) = *(__u64 *)(drive->frame + i);
	}
	if (ip_offset > 96 || vni_offset > 96)
		return -1;
	ip = data + ip_offset;
	if ((void *)(ip + 1) + 4 > end || data + vni_offset + 4 > end)
		return -1;
	if (vni_offset)
		*(__u32 *)(data + vni_offset) = *(__u32 *)flow->vni;
	if (drive->source)
		ip->saddr = flow->address;
	else
		ip->daddr = flow->address;
	ip->protocol = flow->protocol;
	/* The template's sum is that of an address and a protocol of zero. */
	sum = (__u16)~ip->check;
	sum += flow->address & 0xffff;
	sum += flow->address >> 16;
	sum += bpf_htons(flow->protocol);
	ip->check = ~fold(sum);
	port = (void *)(ip + 1);
	port[drive->source ? 0 : 1] = flow->port;
	return 0;
}

SEC("xdp")
int drive_xdp(struct xdp_md *ctx)
{
	__u32 zero = 0, index = 0;
	struct drive *drive = bpf_map_lookup_elem(&drives, &zero);
	struct flow *flow;

	if (!drive)
		return XDP_ABORTED;
	if (drive->flows > 1)
		index = drive->sequential ? drive->next++ % drive->flows : bpf_get_prandom_u32() % drive->flows;
	flow = bpf_map_lookup_elem(&flows, &index);
	if (!flow || restore(ctx, drive, flow))
		return XDP_ABORTED;
	bpf_tail_call(ctx, &target, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int nothing_xdp(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_PASS;
}

struct headers {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	__u8 geneve[8];
	struct ethhdr inner;
	struct iphdr inner_ip;
} __attribute__((packed));

/* The floor: reads a tunnel's headers, takes them off, sends the frame on. Translates and remembers nothing. */
SEC("xdp")
int decap_xdp(struct xdp_md *ctx)
{
	struct headers *headers = (void *)(long)ctx->data;
	struct ethhdr *eth;
	__u32 options;

	if ((void *)(headers + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	if (headers->eth.h_proto != bpf_htons(ETH_P_IP) || headers->ip.ihl != 5 || headers->ip.protocol != 17 ||
	    headers->udp.dest != bpf_htons(6081))
		return XDP_PASS;
	options = (headers->geneve[0] & 0x3f) * 4;
	if (bpf_xdp_adjust_head(ctx, (int)(offsetof(struct headers, inner) + options)))
		return XDP_ABORTED;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	__builtin_memset(eth->h_dest, 2, 6);
	__builtin_memset(eth->h_source, 4, 6);
	eth->h_proto = bpf_htons(ETH_P_IP);
	return XDP_TX;
}

char _license[] SEC("license") = "Dual BSD/GPL";
