/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* RFC 826 for the addresses that we hold, RFC 5227 for those that announce themselves. */
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

/* ARP of Ethernet and IPv4 at `offset` (behind its Ethernet header), or NULL. */
static __always_inline struct arp *arp_at(struct hook_context *ctx, __u32 offset)
{
	struct arp *arp = packet_at(ctx, offset, sizeof(*arp));

	if (!arp || arp->hardware != bpf_htons(1) || arp->protocol != bpf_htons(ETH_P_IP) ||
	    arp->hardware_length != 6 || arp->protocol_length != 4)
		return NULL;
	return arp;
}

/* Announcements ask nothing. */
static __always_inline bool arp_is_request(const struct arp *arp)
{
	return arp->operation == bpf_htons(ARP_REQUEST) && arp->sender != arp->target;
}

/* The sender says where it is: unasked (RFC 5227 §3), or as an answer. */
static __always_inline bool arp_is_announcement(const struct arp *arp)
{
	return arp->operation == bpf_htons(ARP_REPLY) ||
	       (arp->operation == bpf_htons(ARP_REQUEST) && arp->sender == arp->target);
}

/* Answers in place the request whose Ethernet header is at `eth_offset`, and ARP at `offset`. */
static __always_inline int arp_answer(struct hook_context *ctx, __u32 eth_offset, __u32 offset,
				      const __u8 *mac)
{
	struct ethhdr *eth = packet_at(ctx, eth_offset, sizeof(*eth));
	struct arp *arp = packet_at(ctx, offset, sizeof(*arp));
	__be32 asked;

	if (!eth || !arp)
		return REASON_DROP_TRUNCATED;
	asked = arp->target;
	arp->operation = bpf_htons(ARP_REPLY);
	mac_copy(arp->target_mac, arp->sender_mac);
	arp->target = arp->sender;
	mac_copy(arp->sender_mac, mac);
	arp->sender = asked;
	mac_copy(eth->h_dest, arp->target_mac);
	mac_copy(eth->h_source, mac);
	return 0;
}
