/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A reason is the verdict: it names the counter and decides the action. */
#pragma once

#include "hook.h"

static __always_inline void count(enum reason reason, __u64 bytes)
{
	__u32 key = reason;
	struct counter *counter = bpf_map_lookup_elem(&counters, &key);

	if (!counter)
		return;
	counter->packets += 1;
	counter->bytes += bytes;
}

/* Every reason from the first of them on is a drop. */
static __always_inline bool reason_is_drop(int reason)
{
	return reason >= REASON_DROP_TRUNCATED;
}

/* The action of every reason but COMMIT_RELEASED, whose way out is in its header. */
static __always_inline int verdict(struct hook_context *ctx, enum reason reason, __u64 bytes)
{
	count(reason, bytes);
	switch (reason) {
	case REASON_OUTBOUND_SNAT:
	case REASON_OUTBOUND_FLOATING_IP:
	case REASON_OUTBOUND_FORWARDING:
	case REASON_ICMP_ERROR_OUTBOUND:
		return hook_redirect(ctx, INTERFACE_EXTERNAL);
	case REASON_INBOUND_SNAT:
	case REASON_INBOUND_FLOATING_IP:
	case REASON_INBOUND_FORWARDING:
	case REASON_ICMP_ERROR_INBOUND:
	case REASON_HAIRPIN:
	case REASON_EAST_WEST:
		return hook_redirect(ctx, INTERFACE_UNDERLAY);
	case REASON_COMMIT_SENT:
		return hook_redirect(ctx, INTERFACE_HA);
	case REASON_ICMP_ERROR_TO_VM:
	case REASON_ICMP_ERROR_TO_OUTSIDE:
	case REASON_ARP_REPLY_INNER:
	case REASON_ARP_REPLY_UNDERLAY:
	case REASON_ARP_REPLY_EXTERNAL:
	case REASON_ECHO_REPLY_INNER:
	case REASON_ECHO_REPLY_EXTERNAL:
	case REASON_COMMIT_APPLIED:
	case REASON_SYNC_APPLIED:
	case REASON_HEARTBEAT_TURNED:
		return hook_turn_round(ctx);
	case REASON_PASS_TO_KERNEL:
		return hook_pass(ctx);
	default:
		/* Dropped, or consumed here. */
		return HOOK_DROP;
	}
}
