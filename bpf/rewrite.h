/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Rewriting decides nothing: addresses, ports, TTL and their sums. */
#pragma once

#include "parse.h"

struct rewrite {
	__be32 from;
	__be32 to;
	__be16 from_port;
	__be16 to_port;
	bool source;                  /* else the destination */
};

static __always_inline int rewrite_tcp(struct xdp_md *ctx, __u32 offset, const struct rewrite *rewrite)
{
	struct tcphdr *tcp = packet_at(ctx, offset, sizeof(*tcp));

	if (!tcp)
		return REASON_DROP_TRUNCATED;
	if (rewrite->source)
		tcp->source = rewrite->to_port;
	else
		tcp->dest = rewrite->to_port;
	checksum_replace4(&tcp->check, rewrite->from, rewrite->to);
	checksum_replace2(&tcp->check, rewrite->from_port, rewrite->to_port);
	return 0;
}

static __always_inline int rewrite_udp(struct xdp_md *ctx, __u32 offset, const struct rewrite *rewrite)
{
	struct udphdr *udp = packet_at(ctx, offset, sizeof(*udp));

	if (!udp)
		return REASON_DROP_TRUNCATED;
	if (rewrite->source)
		udp->source = rewrite->to_port;
	else
		udp->dest = rewrite->to_port;
	checksum_udp_replace(&udp->check, rewrite->from, rewrite->to, rewrite->from_port,
			     rewrite->to_port);
	return 0;
}

/* ICMP's sum has no pseudo-header: only the query id counts. */
static __always_inline int rewrite_icmp(struct xdp_md *ctx, __u32 offset, const struct rewrite *rewrite)
{
	struct icmphdr *icmp = packet_at(ctx, offset, sizeof(*icmp));

	if (!icmp)
		return REASON_DROP_TRUNCATED;
	if (rewrite->from_port == rewrite->to_port)
		return 0;
	icmp->un.echo.id = rewrite->to_port;
	checksum_replace2(&icmp->checksum, rewrite->from_port, rewrite->to_port);
	return 0;
}

/* Applies *rewrite to the packet that *ip describes and decrements its TTL. 0, or the reason. */
static __always_inline int rewrite_packet(struct xdp_md *ctx, const struct ipv4 *ip,
					  const struct rewrite *rewrite)
{
	struct iphdr *header = packet_at(ctx, ip->offset, sizeof(*header));
	__be16 before, after;

	if (!header)
		return REASON_DROP_TRUNCATED;
	if (rewrite->source)
		header->saddr = rewrite->to;
	else
		header->daddr = rewrite->to;
	checksum_replace4(&header->check, rewrite->from, rewrite->to);
	before = *(__be16 *)&header->ttl;
	header->ttl -= 1;
	after = *(__be16 *)&header->ttl;
	checksum_replace2(&header->check, before, after);
	if (ip->later_fragment)
		return 0;
	if (ip->protocol == IPPROTO_TCP)
		return rewrite_tcp(ctx, ip->l4_offset, rewrite);
	if (ip->protocol == IPPROTO_UDP)
		return rewrite_udp(ctx, ip->l4_offset, rewrite);
	if (ip->protocol == IPPROTO_ICMP)
		return rewrite_icmp(ctx, ip->l4_offset, rewrite);
	return 0;
}

/* Turns an echo request into its reply, in place (RFC 792, RFC 1122 §3.2.2.6). */
static __always_inline int rewrite_echo_reply(struct xdp_md *ctx, const struct ipv4 *ip)
{
	struct iphdr *header = packet_at(ctx, ip->offset, sizeof(*header));
	struct icmphdr *icmp = packet_at(ctx, ip->l4_offset, sizeof(*icmp));
	__be16 before, after;

	if (!header || !icmp)
		return REASON_DROP_TRUNCATED;
	header->saddr = ip->destination;
	header->daddr = ip->source;
	before = *(__be16 *)&header->ttl;
	header->ttl = 64;
	after = *(__be16 *)&header->ttl;
	checksum_replace2(&header->check, before, after);
	before = *(__be16 *)icmp;
	icmp->type = ICMP_ECHOREPLY;
	after = *(__be16 *)icmp;
	checksum_replace2(&icmp->checksum, before, after);
	return 0;
}
