/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Rewriting decides nothing: addresses, ports, TTL and their sums. */
#pragma once

#include "packet.h"

/* Where the headers keep their sums. UDP-Lite and DCCP have it where UDP has. */
#define TCP_CHECK offsetof(struct tcphdr, check)
#define UDP_CHECK offsetof(struct udphdr, check)
#define ICMP_CHECK offsetof(struct icmphdr, checksum)
#define ICMP_QUERY_ID offsetof(struct icmphdr, un.echo.id)

/* What changed in the segment, in its L4 sum. */
static __always_inline int frame_l4_sum(struct hook_context *ctx, __u32 check_offset, __u64 segment)
{
	__u16 *check = packet_at(ctx, check_offset, sizeof(*check));

	if (!check)
		return REASON_DROP_TRUNCATED;
	return frame_sum_change(ctx, check_offset, check, 0, 0, segment) ? REASON_DROP_ADJUST_FAILED : 0;
}

/* Of TCP, and of what has its ports where TCP has. `check` is the offset of the sum in the header. */
static __always_inline int frame_l4_rewrite(struct hook_context *ctx, __u32 offset, __u32 check,
					    __u32 flags, const struct rewrite *rewrite)
{
	struct udphdr *ports = packet_at(ctx, offset, check + sizeof(__u16));

	if (!ports)
		return REASON_DROP_TRUNCATED;
	if (rewrite->from_port != rewrite->to_port) {
		if (rewrite->source)
			ports->source = rewrite->to_port;
		else
			ports->dest = rewrite->to_port;
	}
	return frame_sum_change(ctx, offset + check, (void *)ports + check, flags,
				checksum_difference4(rewrite->from, rewrite->to),
				checksum_difference2(rewrite->from_port, rewrite->to_port))
		       ? REASON_DROP_ADJUST_FAILED : 0;
}

static __always_inline int rewrite_address(struct hook_context *ctx, struct ipv4 *ip,
					   const struct rewrite *rewrite)
{
	struct iphdr *header = packet_at(ctx, ip->offset, sizeof(*header));

	if (!header)
		return REASON_DROP_TRUNCATED;
	/* An ICMP error may come from another host than the one that it speaks of: not rewrite->from. */
	if (rewrite->source) {
		checksum_replace4(&header->check, ip->source, rewrite->to);
		header->saddr = rewrite->to;
		ip->source = rewrite->to;
	} else {
		checksum_replace4(&header->check, ip->destination, rewrite->to);
		header->daddr = rewrite->to;
		ip->destination = rewrite->to;
	}
	return 0;
}

/* ICMP's sum has no pseudo-header: only the query id counts. */
static __always_inline int rewrite_query(struct hook_context *ctx, const struct ipv4 *ip,
					 const struct rewrite *rewrite)
{
	__be16 *id;

	if (rewrite->from_port == rewrite->to_port)
		return 0;
	id = packet_at(ctx, ip->l4_offset + ICMP_QUERY_ID, sizeof(*id));
	if (!id)
		return REASON_DROP_TRUNCATED;
	*id = rewrite->to_port;
	return frame_l4_sum(ctx, ip->l4_offset + ICMP_CHECK,
			    checksum_difference2(rewrite->from_port, rewrite->to_port));
}

/* Changes the port or query id that is quoted. What it changes in the sums is added to *difference. */
static __always_inline int rewrite_quoted_port(struct hook_context *ctx, struct quote *quote,
					       const struct rewrite *rewrite, __u64 *difference)
{
	__u32 offset = quote->l4_offset;
	__be16 *port;

	if (rewrite->from_port == rewrite->to_port)
		return 0;
	if (quote->protocol == IPPROTO_ICMP)
		offset += ICMP_QUERY_ID;
	else if (rewrite->source)
		offset += 2;
	port = packet_at(ctx, offset, sizeof(*port));
	if (!port)
		return REASON_DROP_TRUNCATED;
	*difference = checksum_difference2(*port, rewrite->to_port);
	*port = rewrite->to_port;
	if (rewrite->source)
		quote->destination_port = rewrite->to_port;
	else
		quote->source_port = rewrite->to_port;
	return 0;
}

/*
 * Eight bytes of L4 header are all that has to be quoted: TCP's sum lies behind
 * them, where zeros before extensions may be as well (RFC 4884 §4). No header has
 * a length of zero.
 */
static __always_inline bool quote_has_tcp_check(struct hook_context *ctx, const struct quote *quote)
{
	struct tcphdr *tcp = packet_at(ctx, quote->l4_offset, TCP_CHECK + sizeof(tcp->check));

	return tcp && tcp->doff;
}

/* Offset of the sum in the quoted L4 header; 0: none that a translation changes is there. */
static __always_inline __u32 quote_check(struct hook_context *ctx, const struct quote *quote)
{
	switch (quote->protocol) {
	case IPPROTO_TCP:
		return quote_has_tcp_check(ctx, quote) ? TCP_CHECK : 0;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_DCCP:
		return UDP_CHECK;
	case IPPROTO_ICMP:
		return ICMP_CHECK;
	default:
		return 0;
	}
}

/* `address` and `port` are what these change the quoted sum by. Returns what the change of that sum itself is. */
static __always_inline __u64 rewrite_quoted_sum(struct hook_context *ctx, const struct quote *quote,
						__u64 address, __u64 port)
{
	bool optional = quote->protocol == IPPROTO_UDP || quote->protocol == IPPROTO_UDPLITE;
	__u32 offset = quote_check(ctx, quote);
	__u16 *check, before;

	if (!offset || quote->l4_offset + offset + sizeof(*check) > (__u32)quote->offset + quote->length)
		return 0;
	check = packet_at(ctx, quote->l4_offset + offset, sizeof(*check));
	if (!check || (optional && !*check))
		return 0;
	before = *check;
	checksum_apply(check, port + (quote->protocol == IPPROTO_ICMP ? 0 : address));
	if (optional && !*check)
		*check = 0xffff;
	return checksum_difference2(before, *check);
}

/* Changes the quoted address. *address is what that changes a sum by, *difference what all of the header does. */
static __always_inline int rewrite_quoted_address(struct hook_context *ctx, struct quote *quote,
						  const struct rewrite *rewrite, __u64 *address,
						  __u64 *difference)
{
	struct iphdr *header = packet_at(ctx, quote->offset, sizeof(*header));
	__u16 before;

	if (!header)
		return REASON_DROP_TRUNCATED;
	if (rewrite->source) {
		*address = checksum_difference4(quote->destination, rewrite->to);
		header->daddr = rewrite->to;
		quote->destination = rewrite->to;
	} else {
		*address = checksum_difference4(quote->source, rewrite->to);
		header->saddr = rewrite->to;
		quote->source = rewrite->to;
	}
	before = header->check;
	checksum_apply(&header->check, *address);
	*difference = *address + checksum_difference2(before, header->check);
	return 0;
}

/*
 * RFC 5508 REQ-4, REQ-5: the packet that the error is about gets back the form in
 * which its sender knows it. It went the other way: its other end is translated.
 */
static __always_inline int rewrite_quote(struct hook_context *ctx, struct packet *packet,
					 const struct rewrite *rewrite)
{
	struct quote *quote = &packet->quote;
	__u64 address, port = 0, difference;
	int reason = rewrite_quoted_address(ctx, quote, rewrite, &address, &difference);

	if (reason)
		return reason;
	if (!quote->later_fragment) {
		reason = rewrite_quoted_port(ctx, quote, rewrite, &port);
		if (reason)
			return reason;
		difference += port + rewrite_quoted_sum(ctx, quote, address, port);
	}
	return frame_l4_sum(ctx, packet->ip.l4_offset + ICMP_CHECK, difference);
}

/* All but TCP and UDP: rarer, and verified once. Without a case: no sum of theirs covers an address. */
__noinline int rewrite_rarer(struct hook_context *ctx, struct packet *packet,
			     const struct rewrite *rewrite)
{
	if (!packet || !rewrite)
		return REASON_DROP_TRUNCATED;
	if (packet->ip.icmp_error)
		return rewrite_quote(ctx, packet, rewrite);
	if (packet->ip.protocol == IPPROTO_ICMP)
		return rewrite_query(ctx, &packet->ip, rewrite);
	if (packet->ip.protocol != IPPROTO_UDPLITE && packet->ip.protocol != IPPROTO_DCCP)
		return 0;
	/* Nothing has looked at their headers yet. */
	if ((__u32)packet->ip.offset + packet->ip.total_length <
	    packet->ip.l4_offset + sizeof(struct udphdr))
		return REASON_DROP_TRUNCATED;
	return frame_l4_rewrite(ctx, packet->ip.l4_offset, UDP_CHECK,
				packet->ip.protocol == IPPROTO_UDPLITE ? L4_SUM_OPTIONAL : 0, rewrite);
}

static __always_inline int rewrite_l4(struct hook_context *ctx, struct packet *packet,
				      const struct rewrite *rewrite)
{
	struct rewrite rarer;

	if (packet->ip.later_fragment)
		return 0;
	if (packet->ip.protocol == IPPROTO_TCP)
		return frame_l4_rewrite(ctx, packet->ip.l4_offset, TCP_CHECK, 0, rewrite);
	if (packet->ip.protocol == IPPROTO_UDP)
		return frame_l4_rewrite(ctx, packet->ip.l4_offset, UDP_CHECK, L4_SUM_OPTIONAL, rewrite);
	/* A copy: TCP and UDP keep theirs in registers. */
	rarer = *rewrite;
	return rewrite_rarer(ctx, packet, &rarer);
}

/*
 * Applies *rewrite to the packet, and to what it quotes; equal ports leave those
 * of the packet alone. 0, or the reason.
 */
static __always_inline int rewrite_packet(struct hook_context *ctx, struct packet *packet,
					  const struct rewrite *rewrite)
{
	int reason = rewrite_address(ctx, &packet->ip, rewrite);

	if (!reason)
		reason = rewrite_l4(ctx, packet, rewrite);
	if (reason)
		return reason;
	packet->rewritten = true;
	if (packet->ip.icmp_error || rewrite->from_port == rewrite->to_port)
		return 0;
	if (rewrite->source)
		packet->ip.source_port = rewrite->to_port;
	else
		packet->ip.destination_port = rewrite->to_port;
	return 0;
}

/* RFC 1812 §5.3.1, with the sum as in RFC 1141; whoever calls has seen that it is above one. */
static __always_inline int rewrite_ttl(struct hook_context *ctx, struct packet *packet)
{
	struct iphdr *header = packet_at(ctx, packet->ip.offset, sizeof(*header));
	__u32 sum;

	if (!header)
		return REASON_DROP_TRUNCATED;
	sum = header->check + bpf_htons(0x0100);
	header->check = sum + (sum >= 0xffff);
	packet->ip.ttl -= 1;
	header->ttl = packet->ip.ttl;
	return 0;
}

/* Turns an echo request into its reply, in place (RFC 792, RFC 1122 §3.2.2.6). */
static __always_inline int rewrite_echo_reply(struct hook_context *ctx, const struct ipv4 *ip)
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
	return frame_l4_sum(ctx, ip->l4_offset + ICMP_CHECK, checksum_difference2(before, after));
}
