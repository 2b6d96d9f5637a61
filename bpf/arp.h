/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* RFC 826 requests for the addresses that we hold. */
#pragma once

#include "parse.h"

struct arp {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[6];
	__be32 sender;
	__u8 target_mac[6];
	__be32 target;
} __attribute__((packed));

#define ARP_REQUEST 1
#define ARP_REPLY 2

/* The ARP request at `offset` (behind its Ethernet header), or NULL for anything else. Announcements ask nothing. */
static __always_inline struct arp *arp_request_at(struct xdp_md *ctx, __u32 offset)
{
	struct arp *arp = packet_at(ctx, offset, sizeof(*arp));

	if (!arp || arp->hardware != bpf_htons(1) || arp->protocol != bpf_htons(ETH_P_IP) ||
	    arp->hardware_length != 6 || arp->protocol_length != 4 ||
	    arp->operation != bpf_htons(ARP_REQUEST) || arp->sender == arp->target)
		return NULL;
	return arp;
}

/* Answers the request whose Ethernet header is at `offset`, in place. */
static __always_inline int arp_answer(struct xdp_md *ctx, __u32 offset, const __u8 *mac)
{
	struct ethhdr *eth = packet_at(ctx, offset, sizeof(*eth) + sizeof(struct arp));
	struct arp *arp = packet_at(ctx, offset + sizeof(*eth), sizeof(*arp));
	__be32 asked;

	if (!eth || !arp)
		return REASON_DROP_TRUNCATED;
	asked = arp->target;
	arp->operation = bpf_htons(ARP_REPLY);
	__builtin_memcpy(arp->target_mac, arp->sender_mac, 6);
	arp->target = arp->sender;
	__builtin_memcpy(arp->sender_mac, mac, 6);
	arp->sender = asked;
	__builtin_memcpy(eth->h_dest, arp->target_mac, 6);
	__builtin_memcpy(eth->h_source, mac, 6);
	return 0;
}
