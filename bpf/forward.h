/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The frame around a packet that is ready to go, whichever side it leaves on. */
#pragma once

#include "mss.h"
#include "route.h"

/*
 * While draining, stragglers leave on the external side with the interface's own
 * MAC: one frame with the virtual MAC would teach the switch the way back to us.
 * Not so on the underlay: computes learn the tunnel endpoint's MAC from tunnelled
 * packets as well (Open vSwitch does), and keep it. There the switch is taught
 * for a moment, which costs nothing, since both of us forward.
 */
static __always_inline int forward_source_mac(const struct virtual_router *router, __u64 now_ns, __u8 *mac)
{
	__u32 role = INTERFACE_EXTERNAL;
	struct interface *interface;

	if (!virtual_router_drains(router, now_ns)) {
		mac_copy(mac, router->mac);
		return 0;
	}
	interface = bpf_map_lookup_elem(&interfaces, &role);
	if (!interface)
		return REASON_DROP_NOT_ACTIVE;
	mac_copy(mac, interface->mac);
	return 0;
}

/* The packet, out of whatever it came in, in an Ethernet frame on the external side. */
static __always_inline int forward_to_outside(struct hook_context *ctx, const struct packet *packet)
{
	const struct departure *departure = &packet->departure;

	if (frame_move_front(ctx, (int)packet->ip.offset - (int)ethernet_length(departure->vlan)))
		return REASON_DROP_ADJUST_FAILED;
	return ethernet_write(ctx, departure->next_hop_mac, departure->source_mac, departure->vlan)
		       ? 0 : REASON_DROP_TRUNCATED;
}

/* RFC 8926 §3.3, RFC 7348 §5: the outer source port spreads flows over paths and queues. */
static __always_inline __be16 forward_entropy_port(const struct ipv4 *ip)
{
	__u32 hash = ip->source ^ ip->destination ^
		     ((__u32)ip->source_port << 16 | ip->destination_port) ^ ip->protocol;

	hash *= 0x9e3779b1;
	return bpf_htons(49152 | hash >> 18);
}

static __always_inline bool vm_uses_vxlan(const struct vm *vm)
{
	return vm->vni >> ENCAPSULATION_SHIFT == ENCAPSULATION_VXLAN;
}

static __always_inline __u32 forward_option_length(const struct vm *vm)
{
	return vm->option_length == TUNNEL_OPTION_LENGTH ? TUNNEL_OPTION_LENGTH : 0;
}

/* IPv4, UDP and tunnel headers: what is between the outer Ethernet header and the inner one. */
struct forward_headers {
	struct iphdr ip;
	struct udphdr udp;
	union {
		struct geneve_header geneve;
		struct vxlan_header vxlan;
	} tunnel;
};
_Static_assert(sizeof(struct forward_headers) == 36, "headers have no padding");

#define FORWARD_OVERHEAD_MAX (sizeof(struct forward_headers) + TUNNEL_OPTION_LENGTH + sizeof(struct ethhdr))

/* Bytes that a tunnel to this VM adds to an IPv4 packet, inner Ethernet header included: its cost of the outer MTU. */
static __always_inline __u32 forward_overhead(const struct vm *vm)
{
	return sizeof(struct forward_headers) + forward_option_length(vm) + sizeof(struct ethhdr);
}

#define FORWARD_TTL 64

/* Of the outer IPv4 header: from what it is made of, for what has just been written is slow to read. */
static __always_inline __u16 forward_header_sum(__u8 tos, __u16 length, __be32 source, __be32 destination)
{
	__u64 sum = (__u64)source + destination + bpf_htons(0x4500 | tos) + bpf_htons(length) +
		    bpf_htons(IPV4_DONT_FRAGMENT) + bpf_htons(FORWARD_TTL << 8 | IPPROTO_UDP);

	return ~checksum_fold(sum);
}

/* Outer headers from `offset` on, for a packet of `ip`, which they carry. */
static __always_inline int forward_write_headers(struct hook_context *ctx, __u32 offset,
						 const struct vm *vm,
						 const struct virtual_router *router,
						 const struct ipv4 *ip)
{
	struct forward_headers *outer = packet_at(ctx, offset, sizeof(*outer));
	__u32 option_length = forward_option_length(vm);
	__u32 length = forward_overhead(vm) + ip->total_length;
	__u64 *option;

	if (!outer)
		return REASON_DROP_TRUNCATED;
	outer->ip = (struct iphdr){
		.version = 4, .ihl = 5, .tos = ip->tos, .tot_len = bpf_htons(length),
		.frag_off = bpf_htons(IPV4_DONT_FRAGMENT), .ttl = FORWARD_TTL, .protocol = IPPROTO_UDP,
		.saddr = router->address, .daddr = vm->tunnel_endpoint,
		.check = forward_header_sum(ip->tos, length, router->address, vm->tunnel_endpoint),
	};
	/* RFC 8926 §3.3 and RFC 7348 §5 let IPv4 send no sum: the inner packet has its own. */
	outer->udp = (struct udphdr){
		.source = forward_entropy_port(ip),
		.dest = bpf_htons(vm_uses_vxlan(vm) ? VXLAN_UDP_PORT : GENEVE_UDP_PORT),
		.len = bpf_htons(length - sizeof(outer->ip)),
	};
	if (vm_uses_vxlan(vm)) {
		outer->tunnel.vxlan = (struct vxlan_header){
			.flags = VXLAN_VNI_VALID, .vni = tunnel_vni_field(vm->vni),
		};
		return 0;
	}
	outer->tunnel.geneve = (struct geneve_header){
		.option_words = option_length / 4,
		.flags = option_length ? GENEVE_CRITICAL : 0,
		.protocol = bpf_htons(GENEVE_PROTOCOL_ETHERNET),
		.vni = tunnel_vni_field(vm->vni),
	};
	if (!option_length)
		return 0;
	option = packet_at(ctx, offset + sizeof(*outer), TUNNEL_OPTION_LENGTH);
	if (!option)
		return REASON_DROP_TRUNCATED;
	*option = *(__u64 *)vm->option;
	return 0;
}

/* Of the pseudo-header: what is cut into segments gets the rest of the sum in each. */
static __always_inline int forward_write_sum(struct hook_context *ctx, __u32 offset)
{
	struct forward_headers *outer = packet_at(ctx, offset, sizeof(*outer));

	if (!outer)
		return REASON_DROP_TRUNCATED;
	outer->udp.check = checksum_fold(checksum_pseudo_header(outer->ip.saddr, outer->ip.daddr, IPPROTO_UDP,
								outer->udp.len));
	return 0;
}

/* The outer Ethernet header's destination: as the VM's own packets came, else asked for. */
static __always_inline int forward_compute_mac(struct hook_context *ctx, const struct packet *packet,
					       const struct vm *vm, __u8 *mac)
{
	if (!mac_is_zero(vm->next_hop_mac)) {
		mac_copy(mac, vm->next_hop_mac);
		return 0;
	}
	return neighbour_find(ctx, packet, INTERFACE_UNDERLAY, 0, vm->tunnel_endpoint, mac);
}

/*
 * The packet, out of whatever it came in, in a tunnel of our own to the VM's
 * compute: what came in outer headers is never reflected. `protocol`: Ethernet's.
 */
static __always_inline int forward_to_vm(struct hook_context *ctx, struct packet *packet,
					 const struct vm *vm, const struct network *network,
					 const struct virtual_router *router,
					 const __u8 *compute_mac, __be16 protocol)
{
	__u32 role = INTERFACE_UNDERLAY, outer_length, inner_offset;
	struct interface *underlay = bpf_map_lookup_elem(&interfaces, &role);
	bool tunnelled = packet->from == INTERFACE_UNDERLAY, summed = false;
	struct ethhdr *inner;
	__u16 vlan;
	int reason, moved;

	if (!underlay)
		return REASON_DROP_ADJUST_FAILED;
	vlan = underlay->vlan;
	outer_length = ethernet_length(vlan);
	inner_offset = outer_length + forward_overhead(vm) - sizeof(struct ethhdr);
	/* No header can say more, of however many segments. */
	if (packet->ip.total_length + forward_overhead(vm) > 0xffff)
		return REASON_DROP_SEGMENTS;
	moved = (int)packet->ip.offset - (int)(inner_offset + sizeof(struct ethhdr));
	if (tunnelled)
		summed = frame_has_tunnel_sums(ctx);
	if (tunnelled ? frame_move_front(ctx, moved) : frame_enter_tunnel(ctx, moved))
		return REASON_DROP_ADJUST_FAILED;
	if (!ethernet_write(ctx, compute_mac, router->mac, vlan))
		return REASON_DROP_TRUNCATED;
	reason = forward_write_headers(ctx, outer_length, vm, router, &packet->ip);
	if (!reason && summed)
		reason = forward_write_sum(ctx, outer_length);
	inner = packet_at(ctx, inner_offset, sizeof(*inner));
	if (reason || !inner)
		return REASON_DROP_TRUNCATED;
	mac_copy(inner->h_dest, vm->mac);
	mac_copy(inner->h_source, network->gateway_mac);
	*ethernet_protocol(inner) = protocol;
	return 0;
}

/* Of the largest IPv4 packet that the frame puts on the wire. */
static __always_inline __u32 forward_wire_length(struct hook_context *ctx, const struct packet *packet)
{
	__u32 segment = frame_segment_size(ctx), header = sizeof(struct udphdr);

	if (!segment)
		return packet->ip.total_length;
	if (packet->ip.protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = packet_at(ctx, packet->ip.l4_offset, sizeof(*tcp));

		header = tcp ? tcp->doff * 4 : sizeof(*tcp);
	}
	return packet->ip.l4_offset - packet->ip.offset + header + segment;
}

/* Its sender is told so, or it is split by the control plane where its sender allows that. */
static __always_inline int forward_too_long(struct hook_context *ctx, struct packet *packet, __u32 mtu)
{
	struct event about = {
		.type = EVENT_FRAGMENTATION_NEEDED, .interface = packet->from, .mtu = mtu,
	};

	packet->mtu = mtu;
	if (packet->ip.dont_fragment)
		return REASON_DROP_MTU_EXCEEDED;
	hand_over(ctx, packet, &about);
	return REASON_DROP_FRAGMENTATION_NEEDED;
}

/* Whether an IPv4 packet of `mtu` bytes is the largest that may go on. */
static __always_inline int forward_check_mtu(struct hook_context *ctx, struct packet *packet, __u32 mtu)
{
	return forward_wire_length(ctx, packet) <= mtu ? 0 : forward_too_long(ctx, packet, mtu);
}

/* The largest IPv4 packet that fits into a tunnel to the VM, and that the VM takes. */
static __always_inline __u32 forward_vm_mtu(const struct vm *vm, const struct network *network)
{
	__u32 role = INTERFACE_UNDERLAY, mtu;
	struct interface *underlay = bpf_map_lookup_elem(&interfaces, &role);

	if (!underlay)
		return 0;
	mtu = underlay->mtu - forward_overhead(vm);
	return network->mtu && network->mtu < mtu ? network->mtu : mtu;
}

/* The largest segment that needs no fragmentation on the way through the tunnel, said where both ends listen: in SYNs. */
static __always_inline int forward_clamp_mss(struct hook_context *ctx, const struct packet *packet,
					     const struct network *network)
{
	__u16 mss = network->mss;

	if (!(packet->ip.tcp_flags & TCP_SYN) || packet->ip.later_fragment)
		return 0;
	/* Between two VMs both tunnels count. */
	if (packet->mss && (!mss || packet->mss < mss))
		mss = packet->mss;
	return mss ? mss_clamp(ctx, packet, mss) : 0;
}
