/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A packet as a flow of its translated end, whichever direction it takes. */
#pragma once

#include "fragment.h"
#include "hand_over.h"
#include "quote.h"
#include "rewrite.h"
#include "snat.h"

/* enum mapping_protocol, or -1. */
static __always_inline int translate_protocol(__u8 protocol)
{
	if (protocol == IPPROTO_TCP)
		return MAPPING_TCP;
	if (protocol == IPPROTO_UDP)
		return MAPPING_UDP;
	return protocol == IPPROTO_ICMP ? MAPPING_ICMP : -1;
}

/* An ICMP error belongs to the flow that it quotes: who gets it sent the quoted packet. */
static __always_inline int translate_quoted_flow(const struct quote *quote, bool outbound,
						 struct flow *flow)
{
	int protocol = translate_protocol(quote->protocol);

	if (protocol < 0)
		return REASON_DROP_PROTOCOL_NOT_TRANSLATED;
	*flow = (struct flow){
		.protocol = protocol, .error = true,
		.port = outbound ? quote->destination_port : quote->source_port,
		.remote = outbound ? quote->source : quote->destination,
		.remote_port = outbound ? quote->source_port : quote->destination_port,
	};
	/* A quoted fragment without its ports could be anybody's. */
	return flow->port ? 0 : REASON_DROP_ICMP_QUOTE;
}

/* The flow whose remote shared SNAT and forwardings have to know. 0, or why they cannot carry it. */
static __always_inline int translate_flow(const struct packet *packet, bool outbound, struct flow *flow)
{
	const struct ipv4 *ip = &packet->ip;
	int protocol = translate_protocol(ip->protocol);

	if (ip->icmp_error)
		return translate_quoted_flow(&packet->quote, outbound, flow);
	if (protocol < 0)
		return REASON_DROP_PROTOCOL_NOT_TRANSLATED;
	if (protocol == MAPPING_ICMP && ip->icmp_type != (outbound ? ICMP_ECHO : ICMP_ECHOREPLY))
		return REASON_DROP_ICMP_TYPE;
	*flow = (struct flow){
		.protocol = protocol, .tcp_flags = ip->tcp_flags,
		.port = outbound ? ip->source_port : ip->destination_port,
		.remote = outbound ? ip->destination : ip->source,
		.remote_port = outbound ? ip->destination_port : ip->source_port,
	};
	return 0;
}

/* Early: the control plane gets the frame, to bring it again. */
static __always_inline int translate_fragment(struct hook_context *ctx, struct packet *packet, __u32 segment)
{
	struct event about = { .type = EVENT_FRAGMENT_EARLY, .interface = packet->from };
	int reason = fragment_complete(ctx, packet, segment);

	if (reason == REASON_DROP_FRAGMENT_EARLY)
		hand_over(ctx, packet, &about);
	return reason;
}

/* Gives a fragment the ports of its first. */
static __always_inline int translate_complete_fragment(struct hook_context *ctx, struct packet *packet,
						       __u32 segment)
{
	return packet->ip.fragment ? translate_fragment(ctx, packet, segment) : 0;
}
