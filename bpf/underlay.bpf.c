// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* underlay interface: tunnels from the computes, outwards. */
#include "advertisement.h"
#include "arp.h"
#include "bfd.h"
#include "heartbeat.h"
#include "icmp_error.h"
#include "inbound.h"
#include "outbound.h"
#include "tunnel_sum.h"

/* Back to the VM that sent it, in the tunnel that its compute would expect. packet->ip says what. */
static __noinline int outbound_return(struct hook_context *ctx, struct packet *packet,
				      const struct party *party, __be16 protocol)
{
	return forward_to_vm(ctx, packet, party->vm, party->network, party->virtual_router,
			     party->vm->next_hop_mac, protocol);
}

/* A VM says where it is: after a migration, or because we asked. */
static __always_inline int outbound_announcement(struct packet *packet, struct party *party, __be32 sender)
{
	int reason = outbound_find_party(packet, party, sender);

	if (!reason)
		reason = outbound_learn(packet, party, sender);
	return reason ? reason : REASON_ENDPOINT_ANNOUNCED;
}

/* A VM asks for its gateway's MAC. Its request is also the first that we hear of many a VM. */
static __noinline int outbound_arp(struct hook_context *ctx, struct packet *packet,
					struct party *party)
{
	__u32 offset = packet->tunnel.inner_offset + sizeof(struct ethhdr);
	struct arp *arp = arp_at(ctx, offset);
	__be32 sender, target;
	int reason;

	reason = tunnel_verify_sum(ctx, packet);
	if (reason)
		return reason;
	if (!arp)
		return REASON_DROP_INNER_ARP;
	sender = arp->sender;
	target = arp->target;
	mac_copy(packet->mac, arp->sender_mac);
	if (arp_is_announcement(arp))
		return outbound_announcement(packet, party, sender);
	if (!arp_is_request(arp))
		return REASON_DROP_INNER_ARP;
	reason = outbound_find_party(packet, party, sender);
	if (reason)
		return reason;
	if (target != party->network->gateway)
		return REASON_DROP_INNER_ARP;
	reason = outbound_learn(packet, party, sender);
	if (!reason)
		reason = arp_answer(ctx, packet->tunnel.inner_offset, offset, party->network->gateway_mac);
	if (reason)
		return reason;
	packet->ip = (struct ipv4){ .offset = offset, .total_length = sizeof(struct arp) };
	reason = outbound_return(ctx, packet, party, bpf_htons(ETH_P_ARP));
	return reason ? reason : REASON_ARP_REPLY_INNER;
}

/* To the router itself: only echo requests are answered. */
static __noinline int outbound_to_router(struct hook_context *ctx, struct packet *packet,
					      struct party *party)
{
	int reason;

	if (packet->ip.fragment)
		return REASON_DROP_FRAGMENT;
	if (packet->ip.protocol == IPPROTO_TCP || packet->ip.protocol == IPPROTO_UDP)
		return REASON_DROP_PORT_UNREACHABLE;
	if (packet->ip.protocol != IPPROTO_ICMP)
		return REASON_DROP_DESTINATION_NOT_ROUTED;
	if (packet->ip.icmp_type != ICMP_ECHO)
		return REASON_DROP_ICMP_TYPE;
	reason = outbound_learn(packet, party, packet->ip.source);
	if (!reason)
		reason = rewrite_echo_reply(ctx, &packet->ip);
	if (!reason)
		reason = outbound_return(ctx, packet, party, bpf_htons(ETH_P_IP));
	return reason ? reason : REASON_ECHO_REPLY_INNER;
}

/*
 * RFC 6040 §4.2, figure 4. Who can hear of congestion in the tunnel is told, the
 * others have to feel a loss; ECT(1) outside counts for more than ECT(0) inside.
 */
static __always_inline int outbound_carry_congestion(struct hook_context *ctx, struct packet *packet)
{
	__u8 outer = packet->tunnel.tos & ECN_MASK, inner = packet->ip.tos & ECN_MASK;
	struct iphdr *header;
	__be16 before, after;

	if (outer == ECN_CE && !inner)
		return REASON_DROP_CONGESTION;
	if (!inner || (outer != ECN_CE && (outer != ECN_ECT_1 || inner != ECN_ECT_0)) || inner == ECN_CE)
		return 0;
	header = packet_at(ctx, packet->ip.offset, sizeof(*header));
	if (!header)
		return REASON_DROP_TRUNCATED;
	before = *(__be16 *)header;
	header->tos = (header->tos & ~ECN_MASK) | outer;
	after = *(__be16 *)header;
	checksum_replace2(&header->check, before, after);
	packet->ip.tos = header->tos;
	return 0;
}

/*
 * The peer gets the frame as it will leave, under a MAC: no sum may be left to
 * the hardware. Of many segments the record alone goes to the peer, see
 * commit_send(). 0, or FRAME_UNFINISHED where the frame comes again.
 */
static __always_inline int outbound_finish(struct hook_context *ctx, const struct packet *packet,
					   const struct party *party)
{
	if (!packet->departure.commit && party->vm->flags & VM_COMMITTED)
		return 0;
	if (party->gateway->sync_mode != SYNC_STRICT || !commit_has_peer(party->gateway) || frame_is_segmented(ctx) ||
	    !frame_sum_is_left(ctx, packet->ip.offset + offsetof(struct iphdr, check)))
		return 0;
	return packet_postpone(ctx, packet) ? REASON_DROP_ADJUST_FAILED : REASON_FRAME_UNFINISHED;
}

/* To another network of the router: routed, not translated. 0 where the packet is for the router itself. */
static __noinline int outbound_east_west(struct hook_context *ctx, struct packet *packet,
					      struct party *party, const struct route *route)
{
	__be32 target = route->kind == ROUTE_VM ? route->via : packet->ip.destination;
	struct event about = {
		.type = EVENT_ENDPOINT_UNRESOLVED, .interface = INTERFACE_UNDERLAY,
		.address = target, .network = route->network,
	};
	__u32 index = route->network, vm_index;
	struct party to = *party;
	int reason;

	if (route->kind == ROUTE_NETWORK && index == packet->network)
		return REASON_DROP_DESTINATION_NOT_ROUTED;
	to.network = bpf_map_lookup_elem(&networks, &index);
	if (!to.network)
		return REASON_DROP_DESTINATION_NOT_ROUTED;
	if (packet->ip.destination == to.network->gateway)
		return 0;
	reason = outbound_learn(packet, party, packet->ip.source);
	if (reason)
		return reason;
	to.vm = vm_find(to.network->vni, target, &vm_index);
	if (!to.vm) {
		hand_over(ctx, packet, &about);
		return REASON_DROP_ENDPOINT_UNKNOWN;
	}
	reason = outbound_finish(ctx, packet, party);
	if (!reason)
		reason = inbound_send(ctx, packet, &to, false);
	return reason ? reason : REASON_EAST_WEST;
}

/*
 * An ICMP error of a VM that routes is about a packet to another one: that one's
 * translation is undone.
 */
static __always_inline int outbound_find_quoted_vm(struct packet *packet, struct party *party)
{
	if (!packet->ip.icmp_error || packet->quote.destination == packet->ip.source)
		return 0;
	/* No VM of the subnet is behind another: what one says about another is invented. */
	if (network_has(party->network, packet->quote.destination))
		return REASON_DROP_ICMP_QUOTE;
	party->vm = vm_find(packet->tunnel.vni, packet->quote.destination, &packet->vm);
	return party->vm ? 0 : REASON_DROP_ICMP_QUOTE;
}

/* True where the flow's port is one of a forwarding. */
static __always_inline bool outbound_forwarding(struct packet *packet, const struct party *party)
{
	struct forwarding_key key = {
		.vm = packet->vm, .protocol = packet->flow.protocol, .internal_port = packet->flow.port,
	};
	struct forwarding *forwarding;

	if (!(party->vm->flags & VM_HAS_FORWARDINGS) || packet->flow.protocol == MAPPING_ICMP)
		return false;
	forwarding = bpf_map_lookup_elem(&forwardings, &key);
	if (!forwarding)
		return false;
	packet->rewrite.to = forwarding->external_address;
	packet->rewrite.to_port = forwarding->external_port;
	packet->departure.forwarded = REASON_OUTBOUND_FORWARDING;
	return true;
}

static __always_inline int outbound_floating_ip(struct packet *packet, const struct party *party)
{
	packet->rewrite.to = party->vm->floating_ip;
	packet->rewrite.to_port = packet->rewrite.from_port;
	packet->departure.forwarded = REASON_OUTBOUND_FLOATING_IP;
	floating_ip_count(party->vm, &packet->ip, false);
	return 0;
}

/* `found`: packet->snat is what the flow has already. */
static __always_inline int outbound_shared_snat(struct packet *packet, const struct party *party, bool found)
{
	int reason = 0;

	if (packet->flow.error && !found)
		return REASON_DROP_NO_MAPPING;
	if (!packet->flow.error)
		reason = snat_outbound(party, packet->vm, &packet->flow, found,
				       tick_of(packet->now_ns), &packet->snat,
				       &packet->departure.commit);
	if (reason)
		return reason;
	packet->rewrite.to = packet->snat.address;
	packet->rewrite.to_port = packet->snat.port;
	packet->departure.forwarded = REASON_OUTBOUND_SNAT;
	return 0;
}

/*
 * Forwardings are the configuration's word. A floating IP takes new traffic; what
 * shared SNAT already carries keeps its translation until it ends.
 */
static __always_inline int outbound_translate(struct packet *packet, struct party *party)
{
	int reason = outbound_find_quoted_vm(packet, party), unfit;
	bool found;

	if (reason)
		return reason;
	packet->rewrite = (struct rewrite){
		.from = party->vm->address, .source = true,
		.from_port = packet->ip.icmp_error ? packet->quote.destination_port : packet->ip.source_port,
	};
	unfit = translate_flow(packet, true, &packet->flow);
	if (!unfit && outbound_forwarding(packet, party))
		return 0;
	found = !unfit && party->vm->snat_address &&
		!snat_find_outbound(party, packet->vm, &packet->flow, &packet->snat) &&
		(!party->vm->floating_ip || snat_has_session(party, &packet->snat));
	if (!found && party->vm->floating_ip)
		return outbound_floating_ip(packet, party);
	if (!party->router->pool_size)
		return REASON_DROP_NO_SHARED_SNAT;
	return unfit ? unfit : outbound_shared_snat(packet, party, found);
}

/* Translated once as if it went out, then as if it came in: what hairpinning has to look like (RFC 4787 REQ-9). */
__noinline int outbound_hairpin(struct hook_context *ctx, struct packet *packet)
{
	struct external_address *address;
	struct party party = {};
	int reason;

	if (!packet)
		return REASON_DROP_DESTINATION_NOT_ROUTED;
	address = external_address_find(packet->ip.destination, packet->departure.vlan);
	if (!address || inbound_find_party(address, &party))
		return REASON_DROP_DESTINATION_NOT_ROUTED;
	reason = inbound_translate(ctx, packet, &party, address);
	return reason_is_drop(reason) ? reason : 0;
}

/* Whether the destination is an address of ours that this gateway serves now; if the peer does, the packet goes there. */
static __noinline bool outbound_is_hairpin(const struct external_address *address, __u64 now_ns)
{
	struct party to = {};

	return !inbound_find_party(address, &to) && virtual_router_forwards(to.virtual_router, now_ns);
}

/* The VM behind our own address, or NULL where the second half will say why there is none. */
static __always_inline struct vm *hairpin_target(const struct packet *packet,
						 const struct external_address *address)
{
	int protocol = translate_protocol(packet->ip.protocol);
	struct mapping *mapping;

	if (address->kind == EXTERNAL_FLOATING_IP)
		return vm_at(address->index);
	if (protocol < 0 || packet->ip.icmp_error || packet->ip.later_fragment)
		return NULL;
	mapping = mapping_at(mapping_index(address->index, protocol,
					   bpf_ntohs(packet->ip.destination_port)));
	return mapping && mapping->vm ? vm_at(mapping->vm - 1) : NULL;
}

/*
 * What can be known of a hairpinned packet's second half while it is as its
 * sender made it: later it could neither be quoted nor brought again.
 */
static __noinline int outbound_check_hairpin(struct hook_context *ctx, struct packet *packet,
					     const struct external_address *address)
{
	__u32 role = INTERFACE_UNDERLAY;
	struct interface *underlay = bpf_map_lookup_elem(&interfaces, &role);
	struct party to = {};
	mac_buffer compute_mac;
	int reason;

	if (!underlay || !address)
		return REASON_DROP_DESTINATION_NOT_ROUTED;
	to.vm = hairpin_target(packet, address);
	if (!to.vm)
		return forward_check_mtu(ctx, packet, underlay->mtu - FORWARD_OVERHEAD_MAX);
	reason = inbound_find_way(ctx, packet, &to, compute_mac);
	return reason ? reason : forward_check_mtu(ctx, packet, forward_vm_mtu(to.vm, to.network));
}

/* The next hop on the external network, with all that can keep a packet from going there. */
static __always_inline int outbound_find_way(struct hook_context *ctx, struct packet *packet,
					     const struct party *party,
					     const struct external_network *network,
					     const struct external_address *address)
{
	__u32 role = INTERFACE_EXTERNAL;
	struct interface *external = bpf_map_lookup_elem(&interfaces, &role);
	int reason;

	if (packet->ip.ttl <= 1)
		return REASON_DROP_TTL_EXCEEDED;
	if (packet->departure.hairpin)
		return outbound_check_hairpin(ctx, packet, address);
	if (!external)
		return REASON_DROP_DESTINATION_NOT_ROUTED;
	/* A redirect of more than the interface takes would vanish without a count. */
	reason = forward_check_mtu(ctx, packet, external->mtu);
	if (!reason)
		reason = forward_source_mac(party->virtual_router, packet->now_ns, packet->departure.source_mac);
	if (!reason)
		reason = external_next_hop(ctx, packet, network, party->router->external_network,
					   packet->ip.destination, packet->departure.next_hop_mac);
	return reason;
}

/* A fragment has to have its ports where anything but a floating IP's address is translated. */
static __always_inline int outbound_complete_fragment(struct hook_context *ctx, struct packet *packet,
						      const struct party *party)
{
	if (!packet->departure.hairpin && party->vm && party->vm->floating_ip && !party->vm->mapping_count)
		return 0;
	return translate_complete_fragment(ctx, packet, packet->tunnel.vni);
}

static __always_inline int outbound_send(struct hook_context *ctx, struct packet *packet,
					 const struct party *party)
{
	int reason = rewrite_packet(ctx, packet, &packet->rewrite);

	if (reason)
		return reason;
	if (packet->departure.hairpin)
		return outbound_hairpin(ctx, packet);
	reason = rewrite_ttl(ctx, packet);
	if (!reason)
		reason = forward_clamp_mss(ctx, packet, party->network);
	return reason ? reason : forward_to_outside(ctx, packet);
}

static __always_inline int outbound_to_outside(struct hook_context *ctx, struct packet *packet,
					       struct party *party)
{
	__u32 index = party->router->external_network;
	struct external_network *network = bpf_map_lookup_elem(&external_networks, &index);
	struct external_address *address;
	int reason;

	if (!network)
		return REASON_DROP_DESTINATION_NOT_ROUTED;
	address = external_address_on_link(network, packet->ip.destination);
	packet->departure.vlan = network->vlan;
	packet->departure.hairpin = address && outbound_is_hairpin(address, packet->now_ns);
	if (packet->departure.hairpin && address->kind == EXTERNAL_ROUTER &&
	    packet->ip.protocol == IPPROTO_ICMP && packet->ip.icmp_type == ICMP_ECHO)
		return outbound_to_router(ctx, packet, party);
	/* The kernel remembers the tunnel, and would look for it in each datagram. */
	if (frame_is_segmented(ctx) && packet->ip.protocol != IPPROTO_TCP && !packet->departure.hairpin)
		return REASON_DROP_SEGMENTS;
	reason = outbound_find_way(ctx, packet, party, network, address);
	if (!reason)
		reason = outbound_complete_fragment(ctx, packet, party);
	if (!reason)
		reason = outbound_learn(packet, party, packet->ip.source);
	if (!reason)
		reason = outbound_translate(packet, party);
	if (!reason)
		reason = outbound_finish(ctx, packet, party);
	if (!reason)
		reason = outbound_send(ctx, packet, party);
	if (reason)
		return reason;
	if (packet->departure.hairpin)
		return REASON_HAIRPIN;
	return packet->ip.icmp_error ? REASON_ICMP_ERROR_OUTBOUND : packet->departure.forwarded;
}

static __always_inline int outbound_ipv4(struct hook_context *ctx, struct packet *packet,
					 struct party *party)
{
	struct route *route;
	int reason = ipv4_parse(ctx, packet->tunnel.inner_offset + sizeof(struct ethhdr), &packet->ip);

	if (reason)
		return reason;
	if ((__u32)packet->ip.offset + packet->ip.total_length > packet->end)
		return REASON_DROP_TRUNCATED;
	/* Merged by what is around them, not by what they are. */
	if (frame_is_segmented(ctx) && (__u32)packet->ip.offset + packet->ip.total_length != packet->end)
		return REASON_DROP_SEGMENTS;
	reason = tunnel_verify_sum(ctx, packet);
	if (reason)
		return reason;
	reason = outbound_find_party(packet, party, packet->ip.source);
	if (reason)
		return reason;
	if (!mac_equal(packet->destination_mac, party->network->gateway_mac))
		return REASON_DROP_INNER_MAC;
	packet->explainable = true;
	if (packet->ip.destination == party->network->gateway)
		return outbound_to_router(ctx, packet, party);
	if (!address_is_routable(packet->ip.destination))
		return REASON_DROP_DESTINATION_NOT_ROUTED;
	reason = outbound_carry_congestion(ctx, packet);
	if (!reason && packet->ip.icmp_error)
		reason = quote_parse(ctx, packet);
	if (reason)
		return reason;
	route = route_find_inner(party->router, party->network->router, packet->ip.destination);
	if (!route)
		return outbound_to_outside(ctx, packet, party);
	reason = outbound_east_west(ctx, packet, party, route);
	return reason ? reason : outbound_to_router(ctx, packet, party);
}

/* Says to the VM what became of its packet. `reason` where nothing is to be said. */
__noinline int outbound_explain(struct hook_context *ctx, struct packet *packet, int reason)
{
	struct icmp_reply reply = {};
	struct party party = {};
	__u16 length;
	int failed;

	if (!packet || !icmp_error_for(reason, packet, &reply))
		return reason;
	if (outbound_find_party(packet, &party, packet->ip.source) ||
	    outbound_learn(packet, &party, packet->ip.source))
		return reason;
	length = packet->ip.total_length;
	failed = icmp_error_build(ctx, packet, &reply, party.network->gateway, sizeof(struct ethhdr));
	if (!failed)
		failed = outbound_return(ctx, packet, &party, bpf_htons(ETH_P_IP));
	if (failed == REASON_FRAME_UNFINISHED)
		return failed;
	count(failed ? failed : reason, length);
	if (failed)
		return reason;
	return outbound_commit_vm(ctx, &party, INTERFACE_UNDERLAY, REASON_ICMP_ERROR_TO_VM);
}

static __always_inline int outbound_receive(struct hook_context *ctx, struct packet *packet,
					    struct party *party)
{
	struct ethhdr *eth = packet_at(ctx, packet->tunnel.inner_offset, sizeof(*eth));

	if (!eth)
		return REASON_DROP_TRUNCATED;
	if (*ethernet_protocol(eth) == bpf_htons(ETH_P_ARP))
		return outbound_arp(ctx, packet, party);
	if (*ethernet_protocol(eth) != bpf_htons(ETH_P_IP))
		return REASON_DROP_INNER_NOT_IPV4;
	mac_copy(packet->mac, eth->h_source);
	mac_copy(packet->destination_mac, eth->h_dest);
	return outbound_ipv4(ctx, packet, party);
}

/* Where a frame leaves that is on its way for this reason; INTERFACES: nowhere. */
static __always_inline __u32 outbound_egress(int reason)
{
	switch (reason) {
	case REASON_OUTBOUND_SNAT:
	case REASON_OUTBOUND_FLOATING_IP:
	case REASON_OUTBOUND_FORWARDING:
	case REASON_ICMP_ERROR_OUTBOUND:
		return INTERFACE_EXTERNAL;
	case REASON_HAIRPIN:
	case REASON_EAST_WEST:
	case REASON_ARP_REPLY_INNER:
	case REASON_ECHO_REPLY_INNER:
		return INTERFACE_UNDERLAY;
	default:
		return INTERFACES;
	}
}

/* What no frame waits for goes by way of the control plane. */
static __always_inline void outbound_tell_peer(const struct party *party)
{
	struct sync_record *record = commit_record();

	if (!record || !party->vm || !commit_needs_vm(party->vm, party->gateway))
		return;
	record_export_vm(record, party->vm, party->router, party->virtual_router);
	commit_emit(record);
}

/* The finished frame leaves, or goes to the peer first with what the peer has to know before. */
static __always_inline int outbound_leave(struct hook_context *ctx, const struct packet *packet,
					  const struct party *party, int reason)
{
	__u32 egress = outbound_egress(reason);

	if (reason == REASON_ENDPOINT_ANNOUNCED)
		outbound_tell_peer(party);
	if (egress == INTERFACES || !party->vm)
		return reason;
	if (packet->departure.commit)
		return commit_send(ctx, commit_record(), egress, reason);
	return outbound_commit_vm(ctx, party, egress, reason);
}

static __always_inline int outbound_inner(struct hook_context *ctx, struct packet *packet)
{
	struct party party = {};
	int reason;

	packet->from = INTERFACE_UNDERLAY;
	packet->now_ns = bpf_ktime_get_coarse_ns();
	packet->rewritten = false;
	packet->explainable = false;
	packet->departure.commit = false;
	reason = outbound_receive(ctx, packet, &party);
	if (reason_is_drop(reason))
		return packet->explainable ? outbound_explain(ctx, packet, reason) : reason;
	return outbound_leave(ctx, packet, &party, reason);
}

/*
 * The kernel hears no ARP that has a tag, so the control plane asks, and hears the
 * answers here. Who asks for us says as well where it is; what nobody asked for
 * matters only of somebody whom we send to.
 */
static __always_inline void underlay_hear(struct hook_context *ctx, const struct arp *arp, __be32 own_address)
{
	struct neighbour_key key = { .interface = INTERFACE_UNDERLAY, .address = arp->sender };
	struct event about = {
		.type = EVENT_NEIGHBOUR_HEARD, .interface = INTERFACE_UNDERLAY, .address = arp->sender,
	};

	if (arp->operation == bpf_htons(ARP_REPLY) || arp->target == own_address ||
	    bpf_map_lookup_elem(&neighbours, &key))
		event_emit(ctx, &about, 0);
}

/* Who has the tunnel endpoint's address? We, while Active. Our own is the kernel's, unless it is tagged. */
static __always_inline int underlay_arp(struct hook_context *ctx, const struct ethernet *ethernet,
					const struct interface *underlay)
{
	struct arp *arp = arp_at(ctx, ethernet->length);
	struct virtual_router *router;
	__u32 *virtual_router_id;
	__be32 target;
	int reason;

	if (!arp)
		return REASON_PASS_TO_KERNEL;
	if (ethernet->vlan)
		underlay_hear(ctx, arp, underlay->address);
	arp = arp_at(ctx, ethernet->length);
	if (!arp || !arp_is_request(arp))
		return REASON_PASS_TO_KERNEL;
	target = arp->target;
	virtual_router_id = bpf_map_lookup_elem(&virtual_router_by_address, &target);
	if (!virtual_router_id && ethernet->vlan && target == underlay->address) {
		reason = arp_answer(ctx, 0, ethernet->length, underlay->mac);
		return reason ? reason : REASON_ARP_REPLY_UNDERLAY;
	}
	if (!virtual_router_id)
		return REASON_PASS_TO_KERNEL;
	router = bpf_map_lookup_elem(&virtual_routers, virtual_router_id);
	if (!router || !virtual_router_is_active(router))
		return REASON_DROP_NOT_ACTIVE;
	reason = arp_answer(ctx, 0, ethernet->length, router->mac);
	return reason ? reason : REASON_ARP_REPLY_UNDERLAY;
}

static __always_inline int underlay_bfd(struct hook_context *ctx, struct packet *packet)
{
	int reason = tunnel_verify_sum(ctx, packet);

	return reason ? reason : bfd_receive(ctx, packet);
}

/*
 * RFC 9568 §6.4.3: whoever owns the address accepts what is for it. The kernel has
 * the address, and takes no frame that is for another MAC than its own.
 */
static __noinline int underlay_leave_to_kernel(struct hook_context *ctx, const struct packet *packet)
{
	__u32 role = INTERFACE_UNDERLAY, *virtual_router_id;
	struct interface *underlay = bpf_map_lookup_elem(&interfaces, &role);
	struct virtual_router *router;
	__be32 destination = packet->ip.destination;
	struct ethhdr *eth;

	if (!underlay || destination != underlay->address)
		return REASON_PASS_TO_KERNEL;
	virtual_router_id = bpf_map_lookup_elem(&virtual_router_by_address, &destination);
	router = virtual_router_id ? bpf_map_lookup_elem(&virtual_routers, virtual_router_id) : NULL;
	eth = packet_at(ctx, 0, sizeof(*eth));
	if (!router || !eth || !mac_equal(eth->h_dest, router->mac) || !virtual_router_is_active(router))
		return REASON_PASS_TO_KERNEL;
	mac_copy(eth->h_dest, underlay->mac);
	frame_claim(ctx);
	return REASON_PASS_TO_KERNEL;
}

static __always_inline int underlay_ipv4(struct hook_context *ctx, struct packet *packet,
					 const struct ethernet *ethernet, __be32 own_address)
{
	struct ipv4 *outer = &packet->ip;
	struct udphdr *udp;
	int reason = ipv4_parse(ctx, ethernet->length, outer);

	if (reason)
		return reason;
	if (outer->protocol == VRRP_PROTOCOL)
		return advertisement_receive(ctx, packet, own_address, ethernet->vlan != 0);
	if (outer->protocol == IPPROTO_UDP && outer->destination_port == bpf_htons(SYNC_UDP_PORT) &&
	    outer->destination == own_address)
		return heartbeat_receive(ctx, packet);
	if (outer->protocol != IPPROTO_UDP || outer->later_fragment ||
	    (outer->destination_port != bpf_htons(GENEVE_UDP_PORT) &&
	     outer->destination_port != bpf_htons(VXLAN_UDP_PORT)))
		return underlay_leave_to_kernel(ctx, packet);
	if (outer->fragment)
		return REASON_DROP_OUTER_FRAGMENT;
	udp = packet_at(ctx, outer->l4_offset, sizeof(*udp));
	if (!udp)
		return REASON_DROP_TRUNCATED;
	packet->end = (__u32)outer->l4_offset + bpf_ntohs(udp->len);
	reason = outer->destination_port == bpf_htons(GENEVE_UDP_PORT)
			 ? geneve_parse(ctx, outer, &packet->tunnel)
			 : vxlan_parse(ctx, outer, &packet->tunnel);
	if (reason)
		return reason;
	if (frame_settle_tunnel(ctx, packet->ip.l4_offset, packet->scratch))
		return REASON_DROP_ADJUST_FAILED;
	reason = bfd_may_be(packet) ? underlay_bfd(ctx, packet) : outbound_inner(ctx, packet);
	/* The host may have tunnels of its own. */
	if ((reason == REASON_DROP_VNI_UNKNOWN || reason == REASON_DROP_NOT_ACTIVE) &&
	    packet->tunnel.destination == own_address)
		return REASON_PASS_TO_KERNEL;
	return reason;
}

static __always_inline int underlay_receive(struct hook_context *ctx)
{
	struct packet *packet = packet_scratch();
	__u32 role = INTERFACE_UNDERLAY;
	struct interface *underlay = bpf_map_lookup_elem(&interfaces, &role);
	struct ethernet ethernet;
	int reason;

	if (frame_enter(ctx))
		return REASON_DROP_ADJUST_FAILED;
	reason = ethernet_parse(ctx, &ethernet);
	if (reason)
		return reason;
	/* Other VLANs are the host's. */
	if (!packet || !underlay || ethernet.vlan != underlay->vlan)
		return REASON_PASS_TO_KERNEL;
	if (ethernet.protocol == bpf_htons(ETH_P_ARP))
		return underlay_arp(ctx, &ethernet, underlay);
	if (ethernet.protocol == bpf_htons(ETH_P_IP))
		return underlay_ipv4(ctx, packet, &ethernet, underlay->address);
	return REASON_PASS_TO_KERNEL;
}

HOOK_PROGRAM(underlay)(struct hook_context *ctx)
{
	__u32 bytes = packet_length(ctx);

	return verdict(ctx, underlay_receive(ctx), bytes);
}
