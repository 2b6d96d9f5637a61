/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* RFC 4787 REQ-14: later fragments have no ports, and go where their first went. */
#pragma once

#include "packet.h"
#include "virtual_router.h"

/* 30 s: as long as a Linux host waits for the rest. */
#define FRAGMENT_TICKS 28

/* RFC 1858 §3: the flags of TCP must not lie in a later fragment, nor its header end in one. */
static __always_inline bool fragment_hides_header(struct hook_context *ctx, const struct ipv4 *ip,
						  __u16 fragment_offset)
{
	__u32 l4_length = (__u32)ip->offset + ip->total_length - ip->l4_offset;
	struct tcphdr *tcp;

	if (ip->protocol != IPPROTO_TCP)
		return false;
	if (ip->later_fragment)
		return fragment_offset == 1;
	tcp = packet_at(ctx, ip->l4_offset, sizeof(*tcp));
	return !tcp || tcp->doff * 4u > l4_length;
}

static __always_inline int fragment_remember(const struct fragment_key *key, const struct ipv4 *ip)
{
	struct fragment fragment = {
		.source_port = ip->source_port,
		.destination_port = ip->destination_port,
		.last_seen = tick_now(),
		.icmp_type = ip->icmp_type,
	};

	bpf_map_update_elem(&fragments, key, &fragment, BPF_ANY);
	return 0;
}

static __always_inline int fragment_recall(const struct fragment_key *key, struct ipv4 *ip)
{
	struct fragment *fragment = bpf_map_lookup_elem(&fragments, key);

	if (!fragment || tick_now() - fragment->last_seen > FRAGMENT_TICKS)
		return REASON_DROP_FRAGMENT_EARLY;
	ip->source_port = fragment->source_port;
	ip->destination_port = fragment->destination_port;
	ip->icmp_type = fragment->icmp_type;
	return 0;
}

/*
 * Of a fragment: a first one is remembered, a later one gets the ports and the
 * ICMP type of its first. `segment` is that of struct fragment_key. 0, or the reason.
 */
__noinline int fragment_complete(struct hook_context *ctx, struct packet *packet, __u32 segment)
{
	struct fragment_key key = { .segment = segment };
	struct iphdr *header;

	if (!packet)
		return REASON_DROP_FRAGMENT;
	header = packet_at(ctx, packet->ip.offset, sizeof(*header));
	/* Parts of an ICMP error cannot be translated: see quote_parse(). */
	if (!header || packet->ip.icmp_error ||
	    fragment_hides_header(ctx, &packet->ip, bpf_ntohs(header->frag_off) & IPV4_OFFSET))
		return REASON_DROP_FRAGMENT;
	key.source = packet->ip.source;
	key.destination = packet->ip.destination;
	key.identification = header->id;
	key.protocol = packet->ip.protocol;
	return packet->ip.later_fragment ? fragment_recall(&key, &packet->ip)
					 : fragment_remember(&key, &packet->ip);
}
