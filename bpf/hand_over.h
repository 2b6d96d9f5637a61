/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What BPF cannot do with a packet, the control plane does; then it brings the packet again. */
#pragma once

#include "event.h"
#include "packet.h"
#include "virtual_router.h"

/* Of one router, in one tick: a tenant that scans must leave room for the others. */
#define HAND_OVERS_PER_TICK 64

static __always_inline bool hand_over_is_admitted(__u32 router)
{
	struct router_state *state = bpf_map_lookup_elem(&router_states, &router);
	__u32 now = tick_now();

	if (!state)
		return false;
	/* Two CPUs may admit one more than the limit: it is a share, not a count. */
	if (state->hand_over_tick != now) {
		state->hand_over_tick = now;
		state->hand_overs = 0;
	}
	return state->hand_overs++ < HAND_OVERS_PER_TICK;
}

/* Only of what nobody has changed: it would be translated twice. */
__noinline int hand_over(struct hook_context *ctx, const struct packet *packet, const struct event *about)
{
	if (!packet || !about || packet->rewritten || !hand_over_is_admitted(packet->router))
		return -1;
	return event_emit(ctx, about, 0);
}
