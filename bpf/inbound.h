/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* To one of our external addresses, from the outside or hairpinned: translated, and on to its VM. */
#pragma once

#include "forward.h"
#include "translate.h"

/* Whose address it is. 0, or PASS_TO_KERNEL where it is none of ours. */
static __always_inline int inbound_find_party(const struct external_address *address,
					      struct party *party)
{
	__u32 zero = 0, index = address->router;

	party->router = bpf_map_lookup_elem(&routers, &index);
	party->gateway = bpf_map_lookup_elem(&gateways, &zero);
	if (!party->router || !party->gateway)
		return REASON_PASS_TO_KERNEL;
	index = party->router->virtual_router;
	party->virtual_router = bpf_map_lookup_elem(&virtual_routers, &index);
	return party->virtual_router ? 0 : REASON_PASS_TO_KERNEL;
}

static __always_inline void floating_ip_count(const struct vm *vm, const struct ipv4 *ip, bool inbound)
{
	__u32 index = vm->floating_ip_counter;
	struct floating_ip_counter *counter;

	if (!index)
		return;
	counter = bpf_map_lookup_elem(&floating_ip_counters, &index);
	if (!counter)
		return;
	if (inbound) {
		counter->inbound_packets += 1;
		counter->inbound_bytes += ip->total_length;
	} else {
		counter->outbound_packets += 1;
		counter->outbound_bytes += ip->total_length;
	}
}

/* A VM that was never heard is asked for. */
static __always_inline int inbound_ask(struct hook_context *ctx, const struct packet *packet,
				       const struct vm *vm)
{
	struct event about = {
		.type = EVENT_ENDPOINT_UNRESOLVED, .interface = packet->from,
		.address = vm->address, .network = vm->network,
	};

	hand_over(ctx, packet, &about);
	return REASON_DROP_ENDPOINT_UNKNOWN;
}

/* The VM's network and the way to its compute. */
static __always_inline int inbound_find_way(struct hook_context *ctx, struct packet *packet,
					    struct party *party, __u8 *compute_mac)
{
	__u32 index = party->vm->network;

	party->network = bpf_map_lookup_elem(&networks, &index);
	if (!party->network || party->network->vni != party->vm->vni)
		return REASON_DROP_VNI_UNKNOWN;
	if (!party->vm->tunnel_endpoint)
		return inbound_ask(ctx, packet, party->vm);
	return forward_compute_mac(ctx, packet, party->vm, compute_mac);
}

/* What every way to a VM ends with: translated where packet->rewrite says how, one hop older, in the tunnel. */
static __always_inline int inbound_send(struct hook_context *ctx, struct packet *packet,
					struct party *party, bool translated)
{
	mac_buffer compute_mac;
	int reason = inbound_find_way(ctx, packet, party, compute_mac);

	if (!reason && packet->ip.ttl <= 1)
		reason = REASON_DROP_TTL_EXCEEDED;
	if (!reason)
		reason = forward_check_mtu(ctx, packet, forward_vm_mtu(party->vm, party->network));
	if (!reason && translated)
		reason = rewrite_packet(ctx, packet, &packet->rewrite);
	if (!reason)
		reason = rewrite_ttl(ctx, packet);
	if (!reason)
		reason = forward_clamp_mss(ctx, packet, party->network);
	if (reason)
		return reason;
	return forward_to_vm(ctx, packet, party->vm, party->network, party->virtual_router,
			     compute_mac, bpf_htons(ETH_P_IP));
}

static __always_inline int inbound_floating_ip(struct hook_context *ctx, struct packet *packet,
					       struct party *party, __u32 vm_index)
{
	__be16 port = packet->ip.icmp_error ? packet->quote.source_port : packet->ip.destination_port;
	int reason;

	party->vm = vm_at(vm_index);
	if (!party->vm)
		return REASON_DROP_ENDPOINT_UNKNOWN;
	/* An echo reply's query id is where a destination port would be. */
	packet->rewrite = (struct rewrite){
		.from = packet->ip.destination, .to = party->vm->address,
		.from_port = port, .to_port = port,
	};
	reason = inbound_send(ctx, packet, party, true);
	if (reason)
		return reason;
	floating_ip_count(party->vm, &packet->ip, true);
	return packet->ip.icmp_error ? REASON_ICMP_ERROR_INBOUND : REASON_INBOUND_FLOATING_IP;
}

/* To a router's own address: a mapping of shared SNAT, or a port forwarding. */
static __always_inline int inbound_shared_snat(struct hook_context *ctx, struct packet *packet,
					       struct party *party, __u32 address_index)
{
	int reason = translate_flow(packet, false, &packet->flow);

	if (!reason)
		reason = snat_find_inbound(party, address_index, &packet->flow, &packet->snat);
	if (reason)
		return reason;
	party->vm = vm_at(packet->snat.vm);
	if (!party->vm)
		return REASON_DROP_NO_MAPPING;
	packet->rewrite = (struct rewrite){
		.from = packet->ip.destination, .to = party->vm->address,
		.from_port = packet->flow.port, .to_port = packet->snat.port,
	};
	reason = inbound_send(ctx, packet, party, true);
	if (reason)
		return reason;
	if (packet->ip.icmp_error)
		return REASON_ICMP_ERROR_INBOUND;
	if (packet->snat.is_static)
		return REASON_INBOUND_FORWARDING;
	snat_track_inbound(&packet->flow, &packet->snat, tick_of(packet->now_ns));
	return REASON_INBOUND_SNAT;
}

/* 0, or the reason. ICMP errors say more than they are: what they quote is read first. */
static __always_inline int inbound_translate(struct hook_context *ctx, struct packet *packet,
					     struct party *party, const struct external_address *address)
{
	return address->kind == EXTERNAL_FLOATING_IP
		       ? inbound_floating_ip(ctx, packet, party, address->index)
		       : inbound_shared_snat(ctx, packet, party, address->index);
}
