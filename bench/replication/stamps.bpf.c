// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * When the datagrams of sender.mjs come to a gateway and leave it, and when its peer
 * says that it holds their sessions: by the switches' ports, on the kernel's clock.
 * A session is known by its internal port, which its datagrams carry as well.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "layout.h"

#define GENEVE_PORT 6081
#define GENEVE_BYTES 8
#define SYNC_PORT 6086
#define MARK 0x66676c61u
#define PACKETS 2

/* Of sender.mjs. */
struct datagram {
	__be32 mark;
	__be16 internal_port;
	__be16 number;                /* 0: the session's first; 1: when it is established */
};

struct stamps {
	__u64 arrived_ns[PACKETS];
	__u64 left_ns[PACKETS];
	__u64 held_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct stamps);
} sessions SEC(".maps");

static __always_inline int udp_to(struct __sk_buff *skb, __u32 offset, __u16 port)
{
	struct iphdr ip;
	struct udphdr udp;

	return !bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) && ip.version == 4 && ip.ihl == 5 &&
	       ip.protocol == IPPROTO_UDP && !bpf_skb_load_bytes(skb, offset + sizeof(ip), &udp, sizeof(udp)) &&
	       (!port || udp.dest == bpf_htons(port));
}

/* Of the datagram whose IPv4 header is there. */
static __always_inline struct stamps *stamps_at(struct __sk_buff *skb, __u32 offset, __u32 *number)
{
	struct datagram datagram;
	__u32 key;

	if (!udp_to(skb, offset, 0) ||
	    bpf_skb_load_bytes(skb, offset + sizeof(struct iphdr) + sizeof(struct udphdr), &datagram, sizeof(datagram)) ||
	    datagram.mark != bpf_htonl(MARK))
		return NULL;
	key = bpf_ntohs(datagram.internal_port);
	*number = bpf_ntohs(datagram.number);
	return *number < PACKETS ? bpf_map_lookup_elem(&sessions, &key) : NULL;
}

/* On the underlay, towards the gateway. */
SEC("tc")
int arrives(struct __sk_buff *skb)
{
	const __u32 tunnel = sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr);
	struct stamps *stamps;
	__u32 number = 0;
	__u8 words;

	if (!udp_to(skb, sizeof(struct ethhdr), GENEVE_PORT) || bpf_skb_load_bytes(skb, tunnel, &words, 1))
		return TC_ACT_OK;
	stamps = stamps_at(skb, tunnel + GENEVE_BYTES + (words & 0x3f) * 4 + sizeof(struct ethhdr), &number);
	if (stamps && !stamps->arrived_ns[number & 1])
		stamps->arrived_ns[number & 1] = bpf_ktime_get_ns();
	return TC_ACT_OK;
}

/* On the external network, from the gateway. */
SEC("tc")
int leaves(struct __sk_buff *skb)
{
	__u32 number = 0;
	struct stamps *stamps = stamps_at(skb, sizeof(struct ethhdr), &number);

	if (stamps && !stamps->left_ns[number & 1])
		stamps->left_ns[number & 1] = bpf_ktime_get_ns();
	return TC_ACT_OK;
}

/* On the ha link, from the peer: what it has turned round it has applied. */
SEC("tc")
int held(struct __sk_buff *skb)
{
	const __u32 offset = sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr);
	struct sync_header header;
	__u64 now_ns = bpf_ktime_get_ns();

	if (!udp_to(skb, sizeof(struct ethhdr), SYNC_PORT) || bpf_skb_load_bytes(skb, offset, &header, sizeof(header)) ||
	    (header.type != SYNC_COMMIT && header.type != SYNC_RECORDS) || header.flags != SYNC_REPLY)
		return TC_ACT_OK;
	for (__u32 i = 0; i < SYNC_MAX_RECORDS && i < header.records; i++) {
		struct sync_record record;
		struct stamps *stamps;
		__u32 key;

		if (bpf_skb_load_bytes(skb, offset + sizeof(header) + i * sizeof(record), &record, sizeof(record)))
			break;
		key = bpf_ntohs(record.internal_port);
		stamps = record.kind == RECORD_SESSION && record.protocol == MAPPING_UDP ? bpf_map_lookup_elem(&sessions, &key) : NULL;
		if (stamps && stamps->arrived_ns[0] && !stamps->held_ns)
			stamps->held_ns = now_ns;
	}
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
