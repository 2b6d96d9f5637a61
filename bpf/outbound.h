/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* From a VM: who it is, and that it may say what it says. */
#pragma once

#include "forward.h"
#include "replicate.h"

static __always_inline bool network_has(const struct network *network, __be32 address)
{
	return (address & network->netmask) == network->subnet && address != network->gateway &&
	       address != network->subnet && address != (network->subnet | ~network->netmask);
}

/* Whether packets of `address` may come from the network: of its subnet, or behind a VM that routes. */
static __always_inline bool outbound_is_source(const struct network *network,
					       const struct router *router, __u32 network_index,
					       __be32 address)
{
	struct route *route;

	if (network_has(network, address))
		return true;
	route = route_find_inner(router, network->router, address);
	return route && route->kind == ROUTE_VM && route->network == network_index;
}

/* The routers of the packet's network, and whether they are ours to serve. 0, or the reason. */
static __always_inline int outbound_find_routers(struct packet *packet, struct party *party)
{
	__u32 zero = 0, index = packet->network;

	party->network = bpf_map_lookup_elem(&networks, &index);
	party->gateway = bpf_map_lookup_elem(&gateways, &zero);
	if (!party->network || !party->gateway || party->network->vni != packet->tunnel.vni)
		return REASON_DROP_VNI_UNKNOWN;
	index = party->network->router;
	packet->router = index;
	packet->mss = party->network->mss;
	party->router = bpf_map_lookup_elem(&routers, &index);
	if (!party->router)
		return REASON_DROP_VNI_UNKNOWN;
	index = party->router->virtual_router;
	party->virtual_router = bpf_map_lookup_elem(&virtual_routers, &index);
	if (!party->virtual_router || packet->tunnel.destination != party->virtual_router->address ||
	    !virtual_router_forwards(party->virtual_router, packet->now_ns))
		return REASON_DROP_NOT_ACTIVE;
	return 0;
}

/* A VM that is not known: its network by the VNI. */
static __always_inline int outbound_find_network(struct packet *packet, struct party *party,
						 __be32 address)
{
	__u32 *index, vni = packet->tunnel.vni;
	int reason;

	index = bpf_map_lookup_elem(&network_by_vni, &vni);
	if (!index)
		return REASON_DROP_VNI_UNKNOWN;
	packet->network = *index;
	reason = outbound_find_routers(packet, party);
	if (reason)
		return reason;
	if (!outbound_is_source(party->network, party->router, packet->network, address))
		return REASON_DROP_SOURCE_NOT_IN_SUBNET;
	return party->network->flags & NETWORK_PINNED ? REASON_DROP_ENDPOINT_SPOOFED : 0;
}

/*
 * The VM that sent from `address`, and the routers of its network. party->vm
 * stays NULL for a VM that sends its first packet; later ones need no look-up of
 * the network.
 */
static __always_inline int outbound_find_party(struct packet *packet, struct party *party, __be32 address)
{
	int reason;

	/* RFC 1812 §3.3.2: such can be learned from nobody. */
	if (packet->mac[0] & 1)
		return REASON_DROP_INNER_MAC;
	if (!address_is_routable(packet->tunnel.source) || packet->tunnel.source == packet->tunnel.destination)
		return REASON_DROP_ENDPOINT_SPOOFED;

	party->vm = vm_find(packet->tunnel.vni, address, &packet->vm);
	if (!party->vm)
		return outbound_find_network(packet, party, address);
	packet->network = party->vm->network;
	reason = outbound_find_routers(packet, party);
	if (reason)
		return reason;
	if (party->network->flags & NETWORK_PINNED && !(party->vm->flags & VM_PINNED))
		return REASON_DROP_ENDPOINT_SPOOFED;
	return vm_is_spoofed(party->vm, &packet->tunnel, packet->mac) ? REASON_DROP_ENDPOINT_SPOOFED : 0;
}

/* Last of the checks, first of the changes: only a packet that is forwarded or answered teaches anything. */
static __always_inline int outbound_learn(struct packet *packet, struct party *party, __be32 address)
{
	if (!party->vm) {
		__s64 created = vm_create(packet->tunnel.vni, address, packet->network, true);

		packet->vm = created;
		party->vm = created < 0 ? NULL : vm_at(created);
		if (!party->vm) {
			int reason = -created;

			/* Linux 6.1 does not follow a change of sign. */
			asm volatile("" : "+r"(reason));
			return reason > 0 ? reason : REASON_DROP_VM_TABLE_FULL;
		}
	}
	vm_learn(party->vm, &packet->tunnel, packet->mac, tick_of(packet->now_ns));
	return 0;
}

/* What the peer has to know of the VM before the packet leaves. */
static __always_inline int outbound_commit_vm(struct hook_context *ctx, const struct party *party,
					      __u8 egress, enum reason forwarded)
{
	struct sync_record *record;

	if (!commit_needs_vm(party->vm, party->gateway))
		return forwarded;
	record = commit_record();
	if (!record)
		return forwarded;
	record_export_vm(record, party->vm, party->router, party->virtual_router);
	return commit_send(ctx, record, egress, forwarded);
}
