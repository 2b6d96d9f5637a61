/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* RFC 8926 §3.3: an outer UDP checksum that is there has to be right. */
#pragma once

#include "icmp.h"

static __always_inline __u64 pseudo_header_sum(__be32 source, __be32 destination, __u8 protocol,
					       __u16 length)
{
	return (__u64)source + destination + bpf_htons(protocol) + bpf_htons(length);
}

/*
 * What the inner packet adds to the sum around it, from its headers alone: its
 * IPv4 header nothing, and its segment what the inner sum says. A payload that
 * belies that sum is refused by whoever it is for. 0 where nothing says it.
 */
static __always_inline __u16 tunnel_sum_inner(struct hook_context *ctx, const struct ipv4 *ip)
{
	__u16 *check = NULL;

	if (ip->fragment)
		return 0;
	if (ip->protocol == IPPROTO_TCP)
		check = packet_at(ctx, ip->l4_offset + __builtin_offsetof(struct tcphdr, check), 2);
	else if (ip->protocol == IPPROTO_UDP)
		check = packet_at(ctx, ip->l4_offset + __builtin_offsetof(struct udphdr, check), 2);
	if (!check || !*check)
		return 0;
	return ~checksum_fold(pseudo_header_sum(ip->source, ip->destination, ip->protocol,
						ip->offset + ip->total_length - ip->l4_offset));
}

/* The same from the headers: cheap, and the same answer for all but corrupt payloads. */
static __always_inline bool tunnel_sum_fits_headers(struct hook_context *ctx, const struct packet *packet,
						    __u64 outer, __u32 end)
{
	const struct ipv4 *ip = &packet->ip;
	__u16 inner;
	int headers;

	if (!packet->inner_is_ipv4 || (__u32)ip->offset + ip->total_length != end)
		return false;
	inner = tunnel_sum_inner(ctx, ip);
	if (!inner)
		return false;
	headers = icmp_sum(ctx, packet->tunnel.udp_offset, ip->offset - packet->tunnel.udp_offset);
	return headers >= 0 && checksum_fold(outer + headers + inner) == 0xffff;
}

/*
 * Of a tunnelled frame, nothing of which has been changed yet. 0, or the reason.
 * Asks itself whether there is anything to do: a branch around the call makes
 * Linux 6.1 verify fifteen times as long.
 */
__noinline int tunnel_verify_sum(struct hook_context *ctx, const struct packet *packet)
{
	struct udphdr *udp;
	__u64 outer;
	__u32 end;
	int sum;

	if (!packet)
		return REASON_DROP_TRUNCATED;
	if (!packet->tunnel.udp_offset)
		return 0;
	udp = packet_at(ctx, packet->tunnel.udp_offset, sizeof(*udp));
	if (!udp)
		return REASON_DROP_TRUNCATED;
	outer = pseudo_header_sum(packet->tunnel.source, packet->tunnel.destination, IPPROTO_UDP,
				  bpf_ntohs(udp->len));
	end = packet->tunnel.udp_offset + bpf_ntohs(udp->len);
	if (tunnel_sum_fits_headers(ctx, packet, outer, end))
		return 0;
	/* Of a jumbo frame only the headers can be reached, and where they do not tell, nobody does. */
	if (end > PACKET_MAX_OFFSET)
		return 0;
	sum = icmp_sum(ctx, packet->tunnel.udp_offset, end - packet->tunnel.udp_offset);
	return sum >= 0 && checksum_fold(outer + sum) == 0xffff ? 0 : REASON_DROP_OUTER_CHECKSUM;
}
