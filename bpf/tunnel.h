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
	__u8 pad[6];
	__u8 option[TUNNEL_OPTION_LENGTH];
};

static __always_inline __u32 tunnel_vni(__be32 field, __u32 encapsulation)
{
	return encapsulation << ENCAPSULATION_SHIFT | bpf_ntohl(field) >> 8;
}

/* As the headers have it, without its encapsulation. */
static __always_inline __be32 tunnel_vni_field(__u32 vni)
{
	return bpf_htonl(vni << 8);
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
	mac_copy(tunnel->source_mac, eth->h_source);
	return 0;
}
