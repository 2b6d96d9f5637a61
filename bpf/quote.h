/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The packet that an ICMP error speaks of, every byte of which may be invented. */
#pragma once

#include "frame_sum.h"

/* The three that say where the quote ends and extensions begin (RFC 4884 §4). */
static __always_inline bool icmp_is_extensible(__u8 type)
{
	return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

#define ICMP_LENGTH 5 /* offset of RFC 4884's field: words of the quote, 0: no extensions */

/* Bytes of the message that belong to the quote; padding before extensions included. */
static __always_inline int quote_room(struct hook_context *ctx, const struct ipv4 *ip, __u32 *room)
{
	__u32 header = (__u32)ip->l4_offset - ip->offset + sizeof(struct icmphdr);
	__u8 *words = packet_at(ctx, ip->l4_offset + ICMP_LENGTH, sizeof(*words));

	if (!words || ip->total_length < header)
		return REASON_DROP_TRUNCATED;
	*room = ip->total_length - header;
	if (!icmp_is_extensible(ip->icmp_type) || !*words)
		return 0;
	if (*words * 4 > *room)
		return REASON_DROP_ICMP_QUOTE;
	*room = *words * 4;
	return 0;
}

/* Eight bytes of L4 header are enough for ports and query ids, and all that RFC 792 promises. */
static __always_inline int quote_parse_l4(struct hook_context *ctx, struct quote *quote)
{
	struct icmphdr *icmp = packet_at(ctx, quote->l4_offset, sizeof(*icmp));
	struct udphdr *ports = (void *)icmp;

	if (quote->protocol != IPPROTO_TCP && quote->protocol != IPPROTO_UDP &&
	    quote->protocol != IPPROTO_ICMP)
		return 0;
	if (!icmp || quote->l4_offset + sizeof(*icmp) > (__u32)quote->offset + quote->length)
		return REASON_DROP_TRUNCATED;
	if (quote->protocol != IPPROTO_ICMP) {
		quote->source_port = ports->source;
		quote->destination_port = ports->dest;
		return 0;
	}
	/* RFC 1122 §3.2.2: nobody may complain about a complaint. */
	if (icmp_is_error(icmp->type))
		return REASON_DROP_ICMP_QUOTE;
	quote->icmp_type = icmp->type;
	if (icmp->type == ICMP_ECHO)
		quote->source_port = icmp->un.echo.id;
	else if (icmp->type == ICMP_ECHOREPLY)
		quote->destination_port = icmp->un.echo.id;
	return 0;
}

static __always_inline int quote_parse_header(struct hook_context *ctx, __u32 offset, __u32 room,
					      struct quote *quote)
{
	struct iphdr *header = packet_at(ctx, offset, sizeof(*header));
	__u32 header_length, total_length;

	if (!header || room < sizeof(*header))
		return REASON_DROP_TRUNCATED;
	header_length = header->ihl * 4;
	total_length = bpf_ntohs(header->tot_len);
	if (header->version != 4 || header_length < sizeof(*header) || total_length < header_length)
		return REASON_DROP_ICMP_QUOTE;
	if (header_length > room)
		return REASON_DROP_TRUNCATED;
	*quote = (struct quote){
		.offset = offset,
		.l4_offset = offset + header_length,
		.length = total_length < room ? total_length : room,
		.protocol = header->protocol,
		.source = header->saddr,
		.destination = header->daddr,
		.later_fragment = header->frag_off & bpf_htons(IPV4_OFFSET),
	};
	/* RFC 5508 REQ-3a. */
	return ipv4_header_sum_is_right(ctx, offset, header) ? 0 : REASON_DROP_ICMP_QUOTE;
}

/* Fills packet->quote of an ICMP error. 0, or the reason. */
__noinline int quote_parse(struct hook_context *ctx, struct packet *packet)
{
	struct ipv4 *ip;
	__u32 room;
	int reason;

	if (!packet)
		return REASON_DROP_TRUNCATED;
	ip = &packet->ip;
	/* A route of one side means nothing on the other. */
	if (ip->icmp_type == ICMP_REDIRECT)
		return REASON_DROP_ICMP_TYPE;
	/* With at most 576 bytes (RFC 1812 §4.3.2.3) none is ever split; parts of one cannot be verified. */
	if (ip->fragment)
		return REASON_DROP_FRAGMENT;
	reason = quote_room(ctx, ip, &room);
	if (reason)
		return reason;
	/* RFC 5508 REQ-3. */
	if (frame_sum(ctx, ip->l4_offset, (__u32)ip->offset + ip->total_length - ip->l4_offset) != 0xffff)
		return REASON_DROP_ICMP_QUOTE;
	reason = quote_parse_header(ctx, ip->l4_offset + sizeof(struct icmphdr), room, &packet->quote);
	if (reason)
		return reason;
	/* An error goes to whoever sent what it quotes; the two are translated as one. */
	if (packet->quote.source != ip->destination)
		return REASON_DROP_ICMP_QUOTE;
	return packet->quote.later_fragment ? 0 : quote_parse_l4(ctx, &packet->quote);
}
