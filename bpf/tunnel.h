/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the two encapsulations have in common. */
#pragma once

#include "parse.h"

/* The only Geneve option that we understand has this size. */
#define TUNNEL_OPTION_LENGTH 8

struct tunnel {
	__be32 source;
	__be32 destination;
	__u32 vni;                    /* upper byte: enum encapsulation */
	__u32 inner_offset;           /* of the inner Ethernet header in the frame */
	__u16 udp_offset;             /* of the outer header where its sum has to be verified; else 0 */
	__u8 source_mac[6];
	__u8 option_length;           /* 0 or TUNNEL_OPTION_LENGTH */
	__u8 tos;
	__u8 option[TUNNEL_OPTION_LENGTH];
};

static __always_inline __u32 tunnel_vni(const __u8 *vni, __u32 encapsulation)
{
	return encapsulation << ENCAPSULATION_SHIFT | vni[0] << 16 | vni[1] << 8 | vni[2];
}

/* The outer headers say where it came from; `header_length` is that of UDP's payload up to the inner frame. */
static __always_inline int tunnel_fill(struct hook_context *ctx, const struct ipv4 *outer,
				       __u32 vni, __u32 header_length, struct tunnel *tunnel)
{
	struct ethhdr *eth = packet_at(ctx, 0, sizeof(*eth));

	if (!eth)
		return REASON_DROP_TRUNCATED;
	*tunnel = (struct tunnel){
		.source = outer->source,
		.destination = outer->destination,
		.vni = vni,
		.inner_offset = outer->l4_offset + sizeof(struct udphdr) + header_length,
		.tos = outer->tos,
	};
	__builtin_memcpy(tunnel->source_mac, eth->h_source, 6);
	return 0;
}
