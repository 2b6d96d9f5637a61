/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Where a packet goes: inner networks, external next hops, our own addresses. */
#pragma once

#include "hand_over.h"
#include "vm.h"

static __always_inline struct route *route_find(__u32 scope, __be32 address)
{
	struct route_key key = { .prefix_length = 64, .scope = scope, .address = address };

	return bpf_map_lookup_elem(&routes, &key);
}

/* The route to what may be an inner address of the router's, or NULL. */
static __always_inline struct route *route_find_inner(const struct router *router, __u32 index,
						      __be32 address)
{
	if ((address & router->inner_mask) != router->inner_prefix)
		return NULL;
	return route_find(index, address);
}

/* RFC 1812 §5.3.7, RFC 3927 §7: nothing else is ever forwarded. */
static __always_inline bool address_is_routable(__be32 address)
{
	return address_is_host(address) && bpf_ntohl(address) >> 16 != 0xa9fe;
}

/* The MAC of a neighbour. Unresolved: the control plane gets the whole frame, to bring it again. */
static __always_inline int neighbour_find(struct hook_context *ctx, const struct packet *packet,
					  __u32 interface, __u16 vlan, __be32 address, __u8 *mac)
{
	struct neighbour_key key = { .interface = interface, .vlan = vlan, .address = address };
	struct neighbour *neighbour = bpf_map_lookup_elem(&neighbours, &key);
	struct event about = {
		.type = EVENT_NEIGHBOUR_UNRESOLVED, .interface = interface, .vlan = vlan,
		.address = address,
	};

	if (neighbour) {
		mac_copy(mac, neighbour->mac);
		return mac_is_zero(neighbour->mac) ? REASON_DROP_NEIGHBOUR_UNREACHABLE : 0;
	}
	hand_over(ctx, packet, &about);
	return REASON_DROP_NEIGHBOUR_UNRESOLVED;
}

static __always_inline bool external_is_on_link(const struct external_network *network, __be32 address)
{
	return (address & network->netmask) == network->subnet;
}

/* That a router on the way is missing says more than that a neighbour is. */
static __always_inline int gateway_reason(int reason)
{
	if (reason == REASON_DROP_NEIGHBOUR_UNREACHABLE)
		return REASON_DROP_GATEWAY_UNREACHABLE;
	return reason ? REASON_DROP_GATEWAY_UNRESOLVED : 0;
}

/* The network's own gateway, whose MAC the control plane keeps at hand. */
static __always_inline int external_gateway(struct hook_context *ctx, const struct packet *packet,
					    const struct external_network *network, __u8 *mac)
{
	if (!mac_is_zero(network->gateway_mac)) {
		mac_copy(mac, network->gateway_mac);
		return 0;
	}
	return gateway_reason(neighbour_find(ctx, packet, INTERFACE_EXTERNAL, network->vlan,
					     network->gateway, mac));
}

/* The next hop towards `destination`. 0, or the reason. */
static __always_inline int external_next_hop(struct hook_context *ctx, const struct packet *packet,
					     const struct external_network *network, __u32 index,
					     __be32 destination, __u8 *mac)
{
	struct route *route;

	if (!(network->flags & EXTERNAL_NETWORK_HAS_ROUTES)) {
		if (external_is_on_link(network, destination))
			return neighbour_find(ctx, packet, INTERFACE_EXTERNAL, network->vlan,
					      destination, mac);
		return external_gateway(ctx, packet, network, mac);
	}
	route = route_find(ROUTE_SCOPE_EXTERNAL | index, destination);
	if (!route)
		return external_gateway(ctx, packet, network, mac);
	if (route->kind == ROUTE_ON_LINK)
		return neighbour_find(ctx, packet, INTERFACE_EXTERNAL, network->vlan, destination, mac);
	return gateway_reason(neighbour_find(ctx, packet, INTERFACE_EXTERNAL, network->vlan, route->via, mac));
}

static __always_inline struct external_address *external_address_find(__be32 address, __u16 vlan)
{
	struct external_key key = { .address = address, .vlan = vlan };

	return bpf_map_lookup_elem(&external_addresses, &key);
}

/* Our own address on the external network, or NULL. Only what could be on link is looked for. */
static __always_inline struct external_address *
external_address_on_link(const struct external_network *network, __be32 address)
{
	if (!external_is_on_link(network, address) && !(network->flags & EXTERNAL_NETWORK_HAS_ROUTES))
		return NULL;
	return external_address_find(address, network->vlan);
}
