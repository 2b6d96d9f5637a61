// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* underlay interface: tunnels from the computes, outwards. */
#include "arp.h"
#include "translate.h"

/* Everything that is known of a tunnelled packet once its network and its VM are. */
struct outbound {
	struct ipv4 outer;
	struct tunnel tunnel;
	struct ipv4 ip;
	struct network *network;
	struct router *router;
	struct virtual_router *virtual_router;
	struct gateway *gateway;
	struct vm *vm;
	__u32 vm_index;
	__u8 source_mac[6];
};

static __always_inline bool vm_belongs_to(__be32 address, const struct network *network)
{
	return (address & network->netmask) == network->subnet && address != network->gateway &&
	       address != network->subnet && address != (network->subnet | ~network->netmask);
}

/* Routers of the tunnel's network, and whether they are ours to serve. 0, or the reason. */
static __always_inline int outbound_find_routers(struct outbound *out, __u32 network_index)
{
	__u32 zero = 0, index = network_index;

	out->network = bpf_map_lookup_elem(&networks, &index);
	out->gateway = bpf_map_lookup_elem(&gateways, &zero);
	if (!out->network || !out->gateway || out->network->vni != out->tunnel.vni)
		return REASON_DROP_VNI_UNKNOWN;
	index = out->network->router;
	out->router = bpf_map_lookup_elem(&routers, &index);
	if (!out->router)
		return REASON_DROP_VNI_UNKNOWN;
	index = out->router->virtual_router;
	out->virtual_router = bpf_map_lookup_elem(&virtual_routers, &index);
	if (!out->virtual_router || out->tunnel.destination != out->virtual_router->address ||
	    !virtual_router_forwards(out->virtual_router))
		return REASON_DROP_NOT_ACTIVE;
	return 0;
}

/*
 * The VM that sent from `address`, and the routers of its network. The first
 * packet of a VM makes its slot; later ones need no look-up of the network.
 */
static __always_inline int outbound_find_vm(struct outbound *out, __be32 address)
{
	__u32 *network_index, vni = out->tunnel.vni;
	int reason;

	out->vm = vm_find(vni, address, &out->vm_index);
	if (out->vm)
		return outbound_find_routers(out, out->vm->network);
	network_index = bpf_map_lookup_elem(&network_by_vni, &vni);
	if (!network_index)
		return REASON_DROP_VNI_UNKNOWN;
	reason = outbound_find_routers(out, *network_index);
	if (reason)
		return reason;
	if (!vm_belongs_to(address, out->network))
		return REASON_DROP_SOURCE_NOT_IN_SUBNET;
	return 0;
}

/* Last of the checks, first of the changes: only a packet that will be forwarded teaches anything. */
static __always_inline int outbound_learn_vm(struct outbound *out, __be32 address, const __u8 *mac)
{
	if (!out->vm) {
		__u32 *network_index, vni = out->tunnel.vni;

		network_index = bpf_map_lookup_elem(&network_by_vni, &vni);
		if (!network_index)
			return REASON_DROP_VNI_UNKNOWN;
		out->vm = vm_find_or_create(vni, address, *network_index, &out->vm_index);
		if (!out->vm)
			return REASON_DROP_VM_TABLE_FULL;
	}
	vm_learn(out->vm, &out->tunnel, mac);
	return 0;
}

static __always_inline int outbound_commit_vm(struct xdp_md *ctx, struct outbound *out,
					      __u8 egress, enum reason forwarded)
{
	struct sync_record *record = commit_record();

	if (!record || !commit_needs_vm(out->vm, out->gateway))
		return forwarded;
	record_export_vm(record, out->vm, out->router, out->virtual_router);
	return commit_send(ctx, record, egress, forwarded);
}

/* Back to the VM that sent it, in the tunnel that its compute would expect. */
static __always_inline int outbound_return(struct xdp_md *ctx, const struct outbound *out)
{
	struct forward_tunnel tunnel = {
		.inner_length = out->outer.offset + out->outer.total_length - out->tunnel.inner_offset,
		.entropy_port = forward_entropy_port(&out->ip), .tos = out->ip.tos,
	};

	__builtin_memcpy(tunnel.source_mac, out->source_mac, 6);
	return forward_return(ctx, out->vm, out->virtual_router, out->tunnel.inner_offset, &tunnel);
}

/* A VM asks for its gateway's MAC. Its request is also the first that we hear of many a VM. */
static __always_inline int outbound_arp(struct xdp_md *ctx, struct outbound *out)
{
	__u32 offset = out->tunnel.inner_offset;
	struct arp *arp = arp_request_at(ctx, offset + sizeof(struct ethhdr));
	__be32 sender, target;
	__u8 mac[6];
	int reason;

	if (!arp)
		return REASON_DROP_INNER_ARP;
	sender = arp->sender;
	target = arp->target;
	__builtin_memcpy(mac, arp->sender_mac, 6);
	reason = outbound_find_vm(out, sender);
	if (reason)
		return reason;
	if (target != out->network->gateway)
		return REASON_DROP_INNER_ARP;
	reason = forward_source_mac(out->virtual_router, INTERFACE_UNDERLAY, out->source_mac);
	if (!reason)
		reason = outbound_learn_vm(out, sender, mac);
	if (!reason)
		reason = arp_answer(ctx, offset, out->network->gateway_mac);
	if (!reason)
		reason = outbound_return(ctx, out);
	if (reason)
		return reason;
	return outbound_commit_vm(ctx, out, INTERFACE_UNDERLAY, REASON_ARP_REPLY_INNER);
}

/* To the router itself: only echo requests are answered. */
static __always_inline int outbound_to_router(struct xdp_md *ctx, struct outbound *out,
					      const __u8 *mac)
{
	struct ethhdr *eth;
	int reason;

	if (out->ip.fragment)
		return REASON_DROP_FRAGMENT;
	if (out->ip.protocol != IPPROTO_ICMP)
		return REASON_DROP_DESTINATION_NOT_ROUTED;
	if (out->ip.icmp_type != ICMP_ECHO)
		return REASON_DROP_ICMP_TYPE;
	reason = forward_source_mac(out->virtual_router, INTERFACE_UNDERLAY, out->source_mac);
	if (!reason)
		reason = outbound_learn_vm(out, out->ip.source, mac);
	if (!reason)
		reason = rewrite_echo_reply(ctx, &out->ip);
	if (reason)
		return reason;
	eth = packet_at(ctx, out->tunnel.inner_offset, sizeof(*eth));
	if (!eth)
		return REASON_DROP_TRUNCATED;
	__builtin_memcpy(eth->h_dest, eth->h_source, 6);
	__builtin_memcpy(eth->h_source, out->network->gateway_mac, 6);
	reason = outbound_return(ctx, out);
	if (reason)
		return reason;
	return outbound_commit_vm(ctx, out, INTERFACE_UNDERLAY, REASON_ECHO_REPLY_INNER);
}

/* RFC 1812 §5.3.7 and the network's own addresses: nothing of that goes to the provider. */
static __always_inline bool outbound_is_routable(__be32 destination, const struct network *network)
{
	__u8 first = bpf_ntohl(destination) >> 24;

	if (first == 0 || first == 127 || first >= 224)
		return false;
	return (destination & network->netmask) != network->subnet;
}

/* What every way out ends with: rewritten, out of the tunnel, addressed to the next hop. */
static __always_inline int outbound_send(struct xdp_md *ctx, struct outbound *out,
					 const struct rewrite *rewrite, const __u8 *next_hop_mac)
{
	int reason = rewrite_packet(ctx, &out->ip, rewrite);

	if (reason)
		return reason;
	return forward_decapsulate(ctx, out->tunnel.inner_offset, out->source_mac, next_hop_mac);
}

static __always_inline int outbound_floating_ip(struct xdp_md *ctx, struct outbound *out,
						const __u8 *next_hop_mac)
{
	struct rewrite rewrite = {
		.from = out->ip.source, .to = out->vm->floating_ip, .source = true,
		.from_port = out->ip.source_port, .to_port = out->ip.source_port,
	};
	int reason;

	if (translate_is_icmp_error(&out->ip))
		return REASON_DROP_ICMP_TYPE;
	reason = outbound_send(ctx, out, &rewrite, next_hop_mac);
	if (reason)
		return reason;
	return outbound_commit_vm(ctx, out, INTERFACE_EXTERNAL, REASON_OUTBOUND_FLOATING_IP);
}

/* Finds or makes the session; fills *place. NULL with *reason where there can be none. */
static __always_inline struct session *outbound_session(struct outbound *out,
							struct mapping_place *place,
							struct mapping **found, int *reason)
{
	struct session_place session_place = { .remote = out->ip.destination };
	struct mapping *mapping = *found;
	struct session *session;

	*reason = REASON_DROP_NO_MAPPING;
	if (!mapping && (out->ip.tcp_flags & TCP_RST))
		return NULL;
	*reason = REASON_DROP_PORTS_EXHAUSTED;
	if (!mapping)
		mapping = mapping_create(out->vm, place, out->gateway) ? mapping_at(place->index) : NULL;
	if (!mapping)
		return NULL;
	*found = mapping;
	session_place.mapping = place->index;
	session_place.remote_port = session_remote_port(place->protocol, out->ip.destination_port);
	session = session_find(out->gateway, mapping, &session_place);
	if (session)
		return session;
	*reason = REASON_DROP_SESSION_TABLE_FULL;
	session = session_create(out->gateway, mapping, &session_place);
	if (session)
		count(REASON_SESSION_CREATED, 0);
	return session;
}

static __always_inline int outbound_shared_snat(struct xdp_md *ctx, struct outbound *out,
						struct mapping_place *place, struct mapping *mapping,
						const __u8 *next_hop_mac)
{
	struct sync_record *record = commit_record();
	struct rewrite rewrite;
	struct session *session;
	bool needed;
	int reason;
	__u8 before;

	session = outbound_session(out, place, &mapping, &reason);
	if (!session || !record)
		return reason;
	before = session->state;
	session_track(session, place->protocol, out->ip.tcp_flags, true);
	if (before != SESSION_ESTABLISHED && session->state == SESSION_ESTABLISHED)
		count(REASON_SESSION_ESTABLISHED, 0);
	needed = commit_needs_vm(out->vm, out->gateway);
	needed |= commit_needs_session(session, out->gateway);
	if (needed) {
		record_export_vm(record, out->vm, out->router, out->virtual_router);
		record_export_session(record, place->index, mapping, session, out->router);
	}
	rewrite = (struct rewrite){
		.from = out->ip.source, .to = out->router->external_address, .source = true,
		.from_port = place->internal_port, .to_port = bpf_htons(place->external_port),
	};
	reason = outbound_send(ctx, out, &rewrite, next_hop_mac);
	if (reason)
		return reason;
	return needed ? commit_send(ctx, record, INTERFACE_EXTERNAL, REASON_OUTBOUND_SNAT)
		      : REASON_OUTBOUND_SNAT;
}

/*
 * A floating IP takes new traffic; what shared SNAT already carries keeps its
 * translation until it ends.
 */
static __always_inline int outbound_translate(struct xdp_md *ctx, struct outbound *out,
					      const __u8 *next_hop_mac)
{
	int protocol = translate_protocol(&out->ip, true);
	struct mapping_place place = {
		.vm = out->vm_index, .address_index = out->router->external_address_index,
		.protocol = protocol, .internal_port = out->ip.source_port,
	};
	struct mapping *mapping = NULL;

	if (protocol >= 0 && out->router->external_address)
		mapping = mapping_find(out->vm, &place, out->gateway->id) ? mapping_at(place.index) : NULL;
	if (out->vm->floating_ip && !mapping)
		return outbound_floating_ip(ctx, out, next_hop_mac);
	if (!out->router->external_address)
		return REASON_DROP_NO_SHARED_SNAT;
	if (protocol < 0)
		return -protocol;
	return outbound_shared_snat(ctx, out, &place, mapping, next_hop_mac);
}

/* RFC 6040 §4.2: who can hear of congestion in the tunnel is told, the others have to feel a loss. */
static __always_inline int outbound_carry_congestion(struct xdp_md *ctx, const struct outbound *out)
{
	struct iphdr *header;
	__be16 before, after;

	if ((out->tunnel.tos & ECN_MASK) != ECN_CE || (out->ip.tos & ECN_MASK) == ECN_CE)
		return 0;
	if (!(out->ip.tos & ECN_MASK))
		return REASON_DROP_CONGESTION;
	header = packet_at(ctx, out->ip.offset, sizeof(*header));
	if (!header)
		return REASON_DROP_TRUNCATED;
	before = *(__be16 *)header;
	header->tos |= ECN_CE;
	after = *(__be16 *)header;
	checksum_replace2(&header->check, before, after);
	return 0;
}

/* A redirect of more than the interface takes would vanish without a count. */
static __always_inline bool outbound_fits(const struct outbound *out)
{
	__u32 role = INTERFACE_EXTERNAL;
	struct interface *external = bpf_map_lookup_elem(&interfaces, &role);

	return external && out->ip.total_length <= external->mtu;
}

static __always_inline int outbound_ipv4(struct xdp_md *ctx, struct outbound *out, const __u8 *mac,
					 const __u8 *destination_mac)
{
	__u8 next_hop_mac[6];
	int reason = ipv4_parse(ctx, out->tunnel.inner_offset + sizeof(struct ethhdr), &out->ip);

	if (reason)
		return reason;
	if (out->ip.offset + out->ip.total_length > out->outer.offset + out->outer.total_length)
		return REASON_DROP_TRUNCATED;
	reason = outbound_find_vm(out, out->ip.source);
	if (reason)
		return reason;
	if (!mac_equal(destination_mac, out->network->gateway_mac))
		return REASON_DROP_INNER_MAC;
	if (out->ip.destination == out->network->gateway ||
	    (out->router->external_address && out->ip.destination == out->router->external_address))
		return outbound_to_router(ctx, out, mac);
	if (!outbound_is_routable(out->ip.destination, out->network))
		return REASON_DROP_DESTINATION_NOT_ROUTED;
	if (out->ip.ttl <= 1)
		return REASON_DROP_TTL_EXCEEDED;
	if (!outbound_fits(out))
		return REASON_DROP_MTU_EXCEEDED;
	reason = forward_source_mac(out->virtual_router, INTERFACE_EXTERNAL, out->source_mac);
	if (!reason)
		reason = forward_next_hop(ctx, out->router, out->ip.destination, next_hop_mac);
	if (!reason)
		reason = outbound_carry_congestion(ctx, out);
	if (!reason)
		reason = outbound_learn_vm(out, out->ip.source, mac);
	if (reason)
		return reason;
	return outbound_translate(ctx, out, next_hop_mac);
}

static __always_inline int outbound_inner(struct xdp_md *ctx, struct outbound *out)
{
	struct ethhdr *eth = packet_at(ctx, out->tunnel.inner_offset, sizeof(*eth));
	__u8 mac[6], destination_mac[6];

	if (!eth)
		return REASON_DROP_TRUNCATED;
	if (eth->h_proto == bpf_htons(ETH_P_ARP))
		return outbound_arp(ctx, out);
	if (eth->h_proto != bpf_htons(ETH_P_IP))
		return REASON_DROP_INNER_NOT_IPV4;
	__builtin_memcpy(mac, eth->h_source, 6);
	__builtin_memcpy(destination_mac, eth->h_dest, 6);
	return outbound_ipv4(ctx, out, mac, destination_mac);
}

/* Who has the tunnel endpoint's address? We, while Active. */
static __always_inline int underlay_arp(struct xdp_md *ctx)
{
	struct arp *arp = arp_request_at(ctx, sizeof(struct ethhdr));
	struct virtual_router *router;
	__u32 *virtual_router_id;
	__be32 target;
	int reason;

	if (!arp)
		return REASON_PASS_TO_KERNEL;
	target = arp->target;
	virtual_router_id = bpf_map_lookup_elem(&virtual_router_by_address, &target);
	if (!virtual_router_id)
		return REASON_PASS_TO_KERNEL;
	router = bpf_map_lookup_elem(&virtual_routers, virtual_router_id);
	if (!router || !virtual_router_is_active(router))
		return REASON_DROP_NOT_ACTIVE;
	reason = arp_answer(ctx, 0, router->mac);
	return reason ? reason : REASON_ARP_REPLY_UNDERLAY;
}

static __always_inline int underlay_receive(struct xdp_md *ctx)
{
	struct ethhdr *eth = packet_at(ctx, 0, sizeof(*eth));
	struct outbound out = {};
	int reason;

	if (!eth)
		return REASON_DROP_TRUNCATED;
	if (eth->h_proto == bpf_htons(ETH_P_ARP))
		return underlay_arp(ctx);
	if (eth->h_proto != bpf_htons(ETH_P_IP))
		return REASON_PASS_TO_KERNEL;
	reason = ipv4_parse(ctx, sizeof(*eth), &out.outer);
	if (reason)
		return reason;
	if (out.outer.protocol != IPPROTO_UDP || out.outer.later_fragment ||
	    out.outer.destination_port != bpf_htons(GENEVE_UDP_PORT))
		return REASON_PASS_TO_KERNEL;
	if (out.outer.fragment)
		return REASON_DROP_OUTER_FRAGMENT;
	reason = geneve_parse(ctx, &out.outer, &out.tunnel);
	if (reason)
		return reason;
	return outbound_inner(ctx, &out);
}

SEC("xdp")
int underlay_xdp(struct xdp_md *ctx)
{
	__u32 bytes = packet_length(ctx);

	return verdict(underlay_receive(ctx), bytes);
}
