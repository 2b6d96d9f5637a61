/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What we say ourselves about packets that go no further: RFC 792, RFC 1812 §4.3.2. */
#pragma once

#include "event.h"
#include "frame_sum.h"

struct icmp_reply {
	__u8 type;
	__u8 code;
	__u16 mtu;                    /* ICMP_FRAG_NEEDED: of the next hop (RFC 1191 §4) */
};

/* RFC 1812 §4.3.2.3. */
#define ICMP_ERROR_MAX_LENGTH 576
#define ICMP_ERROR_HEADERS (sizeof(struct iphdr) + sizeof(struct icmphdr))
/* RFC 1812 §4.3.2.5: internetwork control. */
#define ICMP_ERROR_TOS 0xc0
#define NANOSECONDS_PER_SECOND 1000000000ULL

/* ICMP_DEST_UNREACH with what code; -1 where nothing is said, or something else. */
static __always_inline int icmp_unreachable_code(enum reason reason)
{
	switch (reason) {
	case REASON_DROP_DESTINATION_NOT_ROUTED:
	case REASON_DROP_GATEWAY_UNREACHABLE:
		return ICMP_NET_UNREACH;
	case REASON_DROP_NEIGHBOUR_UNREACHABLE:
	/* RFC 6888 REQ-11. */
	case REASON_DROP_PORTS_EXHAUSTED:
	case REASON_DROP_SESSION_TABLE_FULL:
	case REASON_DROP_VM_TABLE_FULL:
		return ICMP_HOST_UNREACH;
	case REASON_DROP_MTU_EXCEEDED:
		return ICMP_FRAG_NEEDED;
	/* RFC 5508 REQ-8. */
	case REASON_DROP_VM_SESSION_LIMIT:
	case REASON_DROP_VM_SESSION_RATE:
	case REASON_DROP_ROUTER_SESSION_LIMIT:
	case REASON_DROP_NETWORK_VM_LIMIT:
	case REASON_DROP_NO_SHARED_SNAT:
	case REASON_DROP_PROTOCOL_NOT_TRANSLATED:
		return ICMP_PKT_FILTERED;
	case REASON_DROP_PORT_UNREACHABLE:
		return ICMP_PORT_UNREACH;
	default:
		return -1;
	}
}

/* RFC 1812 §4.3.2.7. What is rewritten already would be quoted as its sender does not know it. */
static __always_inline bool icmp_error_is_due(const struct packet *packet)
{
	return !packet->rewritten && !packet->ip.icmp_error && !packet->ip.later_fragment &&
	       address_is_host(packet->ip.source) && address_is_host(packet->ip.destination);
}

/* RFC 1812 §4.3.2.8: a bucket of one second's errors. */
static __always_inline bool icmp_error_take(__u32 per_second)
{
	__u64 now_ns = bpf_ktime_get_ns(), elapsed_ns, earned;
	struct icmp_budget *budget;
	__u32 zero = 0;

	budget = bpf_map_lookup_elem(&icmp_budgets, &zero);
	if (!budget || !per_second)
		return false;
	elapsed_ns = now_ns - budget->refilled_ns;
	if (elapsed_ns >= NANOSECONDS_PER_SECOND) {
		budget->refilled_ns = now_ns;
		budget->tokens = per_second;
	} else {
		earned = elapsed_ns * per_second / NANOSECONDS_PER_SECOND;
		/* The part of an error that is earned already stays in the clock. */
		budget->refilled_ns += earned * NANOSECONDS_PER_SECOND / per_second;
		earned += budget->tokens;
		budget->tokens = earned < per_second ? earned : per_second;
	}
	if (!budget->tokens)
		return false;
	budget->tokens--;
	return true;
}

/* Whether something is to be said about this packet, and what: then icmp_error_build() says it. */
static __always_inline bool icmp_error_for(enum reason reason, const struct packet *packet,
					   struct icmp_reply *reply)
{
	int code = icmp_unreachable_code(reason);
	struct gateway *gateway;
	__u32 zero = 0;

	if ((code < 0 && reason != REASON_DROP_TTL_EXCEEDED) || !icmp_error_is_due(packet))
		return false;
	gateway = bpf_map_lookup_elem(&gateways, &zero);
	if (!gateway)
		return false;
	/* Without it a path is a black hole for good; one is said at most for each large packet. */
	if (reason != REASON_DROP_MTU_EXCEEDED && !icmp_error_take(gateway->icmp_errors_per_second)) {
		count(REASON_ICMP_ERROR_LIMITED, packet->ip.total_length);
		return false;
	}
	*reply = (struct icmp_reply){ .type = ICMP_TIME_EXCEEDED, .code = ICMP_EXC_TTL };
	if (reason != REASON_DROP_TTL_EXCEEDED)
		*reply = (struct icmp_reply){ .type = ICMP_DEST_UNREACH, .code = code };
	if (reason == REASON_DROP_MTU_EXCEEDED)
		reply->mtu = packet->mtu;
	return true;
}

/* Both headers at packet->ip.offset; the ICMP sum is left to the end. */
static __always_inline int icmp_error_write(struct hook_context *ctx, const struct ipv4 *ip,
					    const struct icmp_reply *reply)
{
	struct iphdr *header = packet_at(ctx, ip->offset, ICMP_ERROR_HEADERS);
	struct icmphdr *icmp;

	if (!header)
		return REASON_DROP_TRUNCATED;
	*header = (struct iphdr){
		/* One of its kind and never split: needs no identification (RFC 6864 §4.1). */
		.version = 4, .ihl = 5, .tos = ip->tos, .tot_len = bpf_htons(ip->total_length),
		.frag_off = bpf_htons(IPV4_DONT_FRAGMENT), .ttl = ip->ttl, .protocol = IPPROTO_ICMP,
		.saddr = ip->source, .daddr = ip->destination,
	};
	header->check = checksum_ipv4_header(header);
	icmp = (void *)(header + 1);
	*icmp = (struct icmphdr){ .type = reply->type, .code = reply->code };
	icmp->un.frag.mtu = bpf_htons(reply->mtu);
	return 0;
}

static __always_inline int icmp_error_sum(struct hook_context *ctx, const struct ipv4 *ip)
{
	int sum = frame_sum(ctx, ip->l4_offset, ip->total_length - sizeof(struct iphdr));
	struct icmphdr *icmp = packet_at(ctx, ip->l4_offset, sizeof(*icmp));

	if (!icmp || sum < 0)
		return REASON_DROP_TRUNCATED;
	icmp->checksum = ~sum;
	return 0;
}

/* Gives the frame to the control plane, which finishes it and brings it again. 0, or an error. */
static __always_inline int packet_postpone(struct hook_context *ctx, const struct packet *packet)
{
	struct event about = {
		.type = EVENT_FRAME_UNFINISHED, .interface = packet->from, .mtu = frame_segment_size(ctx),
	};

	return event_emit(ctx, &about, 0);
}

/* The packet as it was sent is what an error quotes: whoever cannot cut and finish it has it done. */
static __always_inline int icmp_error_postpone(struct hook_context *ctx, const struct packet *packet)
{
	return packet_postpone(ctx, packet) ? REASON_DROP_ADJUST_FAILED : REASON_FRAME_UNFINISHED;
}

/*
 * Makes the frame into `room` bytes for whoever writes the headers before it, and
 * an ICMP error from `source` to the packet's sender. 0, or the reason.
 */
__noinline int icmp_error_build(struct hook_context *ctx, struct packet *packet,
				const struct icmp_reply *reply, __be32 source, __u32 room)
{
	__u32 quoted, offset;
	int reason;

	if (!packet || !reply)
		return REASON_DROP_TRUNCATED;
	offset = packet->ip.offset;
	quoted = packet->ip.total_length;
	if (quoted > ICMP_ERROR_MAX_LENGTH - ICMP_ERROR_HEADERS)
		quoted = ICMP_ERROR_MAX_LENGTH - ICMP_ERROR_HEADERS;
	if (frame_is_segmented(ctx) || frame_sum_is_left(ctx, offset + offsetof(struct iphdr, check)))
		return icmp_error_postpone(ctx, packet);
	/* What follows the packet in its frame is not its sender's. */
	if (frame_set_length(ctx, offset + quoted, packet_length(ctx)))
		return icmp_error_postpone(ctx, packet);
	if (frame_move_front(ctx, (int)offset - (int)(room + ICMP_ERROR_HEADERS)))
		return REASON_DROP_ADJUST_FAILED;
	packet->ip = (struct ipv4){
		.offset = room,
		.l4_offset = room + sizeof(struct iphdr),
		.total_length = ICMP_ERROR_HEADERS + quoted,
		.source = source,
		.destination = packet->ip.source,
		.protocol = IPPROTO_ICMP,
		.ttl = 64,
		.tos = ICMP_ERROR_TOS,
		.icmp_type = reply->type,
		.dont_fragment = true,
		.icmp_error = true,
	};
	reason = icmp_error_write(ctx, &packet->ip, reply);
	return reason ? reason : icmp_error_sum(ctx, &packet->ip);
}
