/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Next hops, and the frame around a packet that is ready to go. */
#pragma once

#include "event.h"
#include "vm.h"

/*
 * While draining, stragglers leave on the external side with the interface's own
 * MAC: one frame with the virtual MAC would teach the switch the way back to us.
 * Not so on the underlay: computes learn the tunnel endpoint's MAC from tunnelled
 * packets as well (Open vSwitch does), and keep it. There the switch is taught
 * for a moment, which costs nothing, since both of us forward.
 */
static __always_inline int forward_source_mac(const struct virtual_router *router, __u32 role,
					      __u8 *mac)
{
	struct interface *interface;

	if (router->state == VIRTUAL_ROUTER_ACTIVE || role == INTERFACE_UNDERLAY) {
		__builtin_memcpy(mac, router->mac, 6);
		return 0;
	}
	interface = bpf_map_lookup_elem(&interfaces, &role);
	if (!interface)
		return REASON_DROP_NOT_ACTIVE;
	__builtin_memcpy(mac, interface->mac, 6);
	return 0;
}

/* The MAC on the external side towards `destination`. Unresolved: the control plane gets the whole frame, to send it again. */
static __always_inline int forward_next_hop(struct xdp_md *ctx, const struct router *router,
					    __be32 destination, __u8 *mac)
{
	struct neighbour_key key = { .interface = INTERFACE_EXTERNAL, .address = destination };
	__u32 network_index = router->external_network;
	struct external_network *network;
	struct neighbour *neighbour;

	network = bpf_map_lookup_elem(&external_networks, &network_index);
	if (!network)
		return REASON_DROP_DESTINATION_NOT_ROUTED;
	if ((destination & network->netmask) != network->subnet) {
		if (mac_is_zero(network->gateway_mac)) {
			event_emit(ctx, EVENT_NEIGHBOUR_UNRESOLVED, INTERFACE_EXTERNAL,
				   network->gateway, 0);
			return REASON_DROP_GATEWAY_UNRESOLVED;
		}
		__builtin_memcpy(mac, network->gateway_mac, 6);
		return 0;
	}
	neighbour = bpf_map_lookup_elem(&neighbours, &key);
	if (!neighbour) {
		event_emit(ctx, EVENT_NEIGHBOUR_UNRESOLVED, INTERFACE_EXTERNAL, destination, 0);
		return REASON_DROP_NEIGHBOUR_UNRESOLVED;
	}
	__builtin_memcpy(mac, neighbour->mac, 6);
	return 0;
}

/* Removes the tunnel and addresses the inner frame to its next hop. */
static __always_inline int forward_decapsulate(struct xdp_md *ctx, __u32 inner_offset,
					       const __u8 *source_mac, const __u8 *next_hop_mac)
{
	struct ethhdr *eth;

	if (bpf_xdp_adjust_head(ctx, inner_offset))
		return REASON_DROP_ADJUST_FAILED;
	eth = packet_at(ctx, 0, sizeof(*eth));
	if (!eth)
		return REASON_DROP_TRUNCATED;
	__builtin_memcpy(eth->h_dest, next_hop_mac, 6);
	__builtin_memcpy(eth->h_source, source_mac, 6);
	eth->h_proto = bpf_htons(ETH_P_IP);
	return 0;
}

/* RFC 8926 §3.3: the outer source port spreads flows over paths and queues. */
static __always_inline __be16 forward_entropy_port(const struct ipv4 *ip)
{
	__u32 hash = ip->source ^ ip->destination ^
		     ((__u32)ip->source_port << 16 | ip->destination_port) ^ ip->protocol;

	hash *= 0x9e3779b1;
	return bpf_htons(49152 | hash >> 18);
}

/* What the outer headers depend on beside the VM and the virtual router. */
struct forward_tunnel {
	__u32 inner_length;           /* bytes of the inner frame */
	__be16 entropy_port;
	__u8 tos;                     /* RFC 6040 §4.1: the inner one, congestion mark included */
	__u8 source_mac[6];
};

static __always_inline __u32 forward_option_length(const struct vm *vm)
{
	return vm->option_length == GENEVE_OVN_LENGTH ? GENEVE_OVN_LENGTH : 0;
}

/* Writes the outer headers from the frame's first byte on, with the option that the VM's own tunnel carries. */
static __always_inline int forward_write_tunnel(struct xdp_md *ctx, const struct vm *vm,
						const struct virtual_router *router,
						const struct forward_tunnel *tunnel)
{
	struct geneve_encapsulation *outer = packet_at(ctx, 0, sizeof(*outer));
	__u32 option_length = forward_option_length(vm);
	__u32 outer_length = sizeof(*outer) - sizeof(outer->eth) + option_length + tunnel->inner_length;

	if (!outer)
		return REASON_DROP_TRUNCATED;
	__builtin_memcpy(outer->eth.h_dest, vm->next_hop_mac, 6);
	__builtin_memcpy(outer->eth.h_source, tunnel->source_mac, 6);
	outer->eth.h_proto = bpf_htons(ETH_P_IP);
	outer->ip = (struct iphdr){
		.version = 4, .ihl = 5, .tos = tunnel->tos, .tot_len = bpf_htons(outer_length),
		.frag_off = bpf_htons(IPV4_DONT_FRAGMENT), .ttl = 64, .protocol = IPPROTO_UDP,
		.saddr = router->address, .daddr = vm->tunnel_endpoint,
	};
	outer->ip.check = checksum_ipv4_header(&outer->ip);
	/* RFC 8926 §3.3 lets IPv4 send no sum: the inner packet has its own. */
	outer->udp = (struct udphdr){
		.source = tunnel->entropy_port, .dest = bpf_htons(GENEVE_UDP_PORT),
		.len = bpf_htons(outer_length - sizeof(outer->ip)),
	};
	outer->geneve = (struct geneve_header){
		.option_words = option_length / 4,
		.flags = option_length ? GENEVE_CRITICAL : 0,
		.protocol = bpf_htons(GENEVE_PROTOCOL_ETHERNET),
		.vni = { vm->vni >> 16, vm->vni >> 8, vm->vni },
	};
	if (option_length) {
		__u64 *option = packet_at(ctx, sizeof(*outer), GENEVE_OVN_LENGTH);

		if (!option)
			return REASON_DROP_TRUNCATED;
		__builtin_memcpy(option, vm->option, GENEVE_OVN_LENGTH);
	}
	return 0;
}

/* Puts the packet into a tunnel to its VM's compute. */
static __always_inline int forward_encapsulate(struct xdp_md *ctx, const struct vm *vm,
					       const struct network *network,
					       const struct virtual_router *router,
					       const struct forward_tunnel *tunnel)
{
	__u32 added = sizeof(struct geneve_encapsulation) + forward_option_length(vm);
	struct ethhdr *inner;

	if (bpf_xdp_adjust_head(ctx, -(int)added))
		return REASON_DROP_ADJUST_FAILED;
	inner = packet_at(ctx, added, sizeof(*inner));
	if (!inner)
		return REASON_DROP_TRUNCATED;
	__builtin_memcpy(inner->h_dest, vm->mac, 6);
	__builtin_memcpy(inner->h_source, network->gateway_mac, 6);
	inner->h_proto = bpf_htons(ETH_P_IP);
	return forward_write_tunnel(ctx, vm, router, tunnel);
}

/*
 * Sends an inner frame that has been answered in place back to its VM, in a
 * tunnel of our own: what came in the outer headers is not reflected.
 */
static __always_inline int forward_return(struct xdp_md *ctx, const struct vm *vm,
					  const struct virtual_router *router, __u32 inner_offset,
					  const struct forward_tunnel *tunnel)
{
	__u32 needed = sizeof(struct geneve_encapsulation) + forward_option_length(vm);

	if (bpf_xdp_adjust_head(ctx, (int)inner_offset - (int)needed))
		return REASON_DROP_ADJUST_FAILED;
	return forward_write_tunnel(ctx, vm, router, tunnel);
}
