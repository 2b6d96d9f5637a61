/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Who forwards. One state per VRID gates forwarding and ARP together. */
#pragma once

#include "maps.h"

/* RFC 9568 §5.1.1.2, §5.1.1.4. */
#define VRRP_GROUP 0xe0000012
#define VRRP_PROTOCOL 112

/* How long after a takeover the former Active's records are still welcome: it forwards stragglers. */
#define FORMER_ACTIVE_GRACE_NS (2ULL * 1000 * 1000 * 1000)

/* How long stragglers are forwarded after a lease that nobody has renewed. */
#define LEASE_LINGER_NS (500ULL * 1000 * 1000)

static __always_inline __u32 tick_of(__u64 now_ns)
{
	return now_ns >> TICK_SHIFT;
}

static __always_inline __u32 tick_now(void)
{
	return tick_of(bpf_ktime_get_coarse_ns());
}

/* For SYSCALL programs, which have no coarse clock: what they share with packets is given the time. */
static __always_inline __u32 tick_now_fine(void)
{
	return bpf_ktime_get_ns() >> TICK_SHIFT;
}

static __always_inline bool peer_is_alive(const struct gateway *gateway,
					  const struct gateway_state *state, __u64 now_ns)
{
	return gateway->sync_mode != SYNC_NONE && state->peer_heard_ns &&
	       now_ns < state->peer_heard_ns + gateway->solo_after_ns;
}

/* On either way: whoever hears nothing of us by ha may take over by the underlay's word. */
static __always_inline bool peer_is_near(const struct gateway *gateway,
					 const struct gateway_state *state, __u64 now_ns)
{
	return peer_is_alive(gateway, state, now_ns) ||
	       (gateway->sync_mode != SYNC_NONE && state->peer_heard_underlay_ns &&
		now_ns < state->peer_heard_underlay_ns + gateway->solo_after_ns);
}

/* Whether another router has said since the end of the lease that it is Active: one that replicates nothing with us, and that no heartbeat tells of. */
static __noinline bool virtual_router_is_succeeded(const struct virtual_router *router)
{
	/* RFC 9568 §7.3: its last byte is the VRID. */
	__u32 index = router->mac[5] * ADVERTISEMENT_KINDS;
	struct advertisement *superior = bpf_map_lookup_elem(&advertisements, &index), *inferior;

	index++;
	inferior = bpf_map_lookup_elem(&advertisements, &index);
	return (superior && superior->received_ns > router->lease_until_ns) ||
	       (inferior && inferior->received_ns > router->lease_until_ns);
}

/*
 * An Active whose control plane has gone silent stands down when its lease ends,
 * for the peer takes over; without a living peer or another router nobody would.
 */
static __always_inline bool virtual_router_is_active_at(const struct virtual_router *router,
							__u64 now_ns)
{
	struct gateway_state *state;
	struct gateway *gateway;
	__u32 zero = 0;

	if (router->state != VIRTUAL_ROUTER_ACTIVE)
		return false;
	if (now_ns < router->lease_until_ns)
		return true;
	gateway = bpf_map_lookup_elem(&gateways, &zero);
	state = bpf_map_lookup_elem(&gateway_states, &zero);
	return gateway && state && !peer_is_near(gateway, state, now_ns) &&
	       !virtual_router_is_succeeded(router);
}

static __always_inline bool virtual_router_is_active(const struct virtual_router *router)
{
	return virtual_router_is_active_at(router, bpf_ktime_get_coarse_ns());
}

/*
 * No longer Active, still forwards stragglers: told so, or by a lease that ended a
 * moment ago. The peer hears of that within a heartbeat, and the world within
 * another moment; what is on its way until then is not lost.
 */
static __always_inline bool virtual_router_drains(const struct virtual_router *router, __u64 now_ns)
{
	return router->state == VIRTUAL_ROUTER_DRAINING ||
	       (router->state == VIRTUAL_ROUTER_ACTIVE &&
		now_ns - router->lease_until_ns < LEASE_LINGER_NS);
}

static __always_inline bool virtual_router_forwards(const struct virtual_router *router, __u64 now_ns)
{
	return virtual_router_drains(router, now_ns) || virtual_router_is_active_at(router, now_ns);
}
