// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* external interface: from the provider network, inwards. */
#include "arp.h"
#include "translate.h"

/* Everything that is known of a packet to one of our addresses. */
struct inbound {
	struct ipv4 ip;
	struct external_address *address;
	struct router *router;
	struct virtual_router *virtual_router;
	struct gateway *gateway;
	struct vm *vm;
};

/* Whose address it is. PASS_TO_KERNEL where it is none of ours. */
static __always_inline int inbound_find_address(struct inbound *in, __be32 address)
{
	__u32 zero = 0, index;

	in->address = bpf_map_lookup_elem(&external_addresses, &address);
	if (!in->address)
		return REASON_PASS_TO_KERNEL;
	index = in->address->router;
	in->router = bpf_map_lookup_elem(&routers, &index);
	in->gateway = bpf_map_lookup_elem(&gateways, &zero);
	if (!in->router || !in->gateway)
		return REASON_PASS_TO_KERNEL;
	index = in->router->virtual_router;
	in->virtual_router = bpf_map_lookup_elem(&virtual_routers, &index);
	return in->virtual_router ? 0 : REASON_PASS_TO_KERNEL;
}

static __always_inline int external_arp(struct xdp_md *ctx)
{
	struct arp *arp = arp_request_at(ctx, sizeof(struct ethhdr));
	struct inbound in = {};
	__be32 target;
	int reason;

	if (!arp)
		return REASON_PASS_TO_KERNEL;
	target = arp->target;
	reason = inbound_find_address(&in, target);
	if (reason)
		return reason;
	if (!virtual_router_is_active(in.virtual_router))
		return REASON_DROP_NOT_ACTIVE;
	reason = arp_answer(ctx, 0, in.virtual_router->mac);
	return reason ? reason : REASON_ARP_REPLY_EXTERNAL;
}

/* What every way in ends with: rewritten and in the tunnel to its VM's compute. */
static __always_inline int inbound_send(struct xdp_md *ctx, struct inbound *in,
					const struct rewrite *rewrite)
{
	__u32 index = in->vm->network, role = INTERFACE_UNDERLAY;
	struct interface *underlay = bpf_map_lookup_elem(&interfaces, &role);
	struct network *network = bpf_map_lookup_elem(&networks, &index);
	struct forward_tunnel tunnel = {
		.inner_length = sizeof(struct ethhdr) + in->ip.total_length, .tos = in->ip.tos,
	};
	int reason;

	if (!network || !underlay || network->vni != in->vm->vni)
		return REASON_DROP_VNI_UNKNOWN;
	if (!in->vm->tunnel_endpoint)
		return REASON_DROP_ENDPOINT_UNKNOWN;
	if (in->ip.ttl <= 1)
		return REASON_DROP_TTL_EXCEEDED;
	if (in->ip.total_length + geneve_overhead(in->vm->option_length) > underlay->mtu)
		return REASON_DROP_MTU_EXCEEDED;
	reason = forward_source_mac(in->virtual_router, INTERFACE_UNDERLAY, tunnel.source_mac);
	if (!reason)
		reason = rewrite_packet(ctx, &in->ip, rewrite);
	if (reason)
		return reason;
	tunnel.entropy_port = forward_entropy_port(&in->ip);
	return forward_encapsulate(ctx, in->vm, network, in->virtual_router, &tunnel);
}

static __always_inline int inbound_floating_ip(struct xdp_md *ctx, struct inbound *in)
{
	struct rewrite rewrite = {
		.from = in->ip.destination,
		.from_port = in->ip.destination_port, .to_port = in->ip.destination_port,
	};
	int reason;

	in->vm = vm_at(in->address->index);
	if (!in->vm)
		return REASON_DROP_ENDPOINT_UNKNOWN;
	if (translate_is_icmp_error(&in->ip))
		return REASON_DROP_ICMP_TYPE;
	/* An echo reply's query id is where a destination port would be. */
	rewrite.to = in->vm->address;
	reason = inbound_send(ctx, in, &rewrite);
	return reason ? reason : REASON_INBOUND_FLOATING_IP;
}

static __always_inline int inbound_echo(struct xdp_md *ctx, struct inbound *in)
{
	struct ethhdr *eth = packet_at(ctx, 0, sizeof(*eth));
	__u8 source_mac[6];
	int reason;

	if (in->ip.fragment)
		return REASON_DROP_FRAGMENT;
	reason = forward_source_mac(in->virtual_router, INTERFACE_EXTERNAL, source_mac);
	if (!reason)
		reason = rewrite_echo_reply(ctx, &in->ip);
	if (reason)
		return reason;
	if (!eth)
		return REASON_DROP_TRUNCATED;
	__builtin_memcpy(eth->h_dest, eth->h_source, 6);
	__builtin_memcpy(eth->h_source, source_mac, 6);
	return REASON_ECHO_REPLY_EXTERNAL;
}

static __always_inline int inbound_shared_snat(struct xdp_md *ctx, struct inbound *in)
{
	int protocol = translate_protocol(&in->ip, false);
	struct session_place place = { .remote = in->ip.source };
	struct mapping *mapping;
	struct session *session;
	struct rewrite rewrite;
	int reason;

	if (protocol < 0)
		return -protocol;
	place.mapping = mapping_index(in->address->index, protocol,
				      bpf_ntohs(in->ip.destination_port));
	place.remote_port = session_remote_port(protocol, in->ip.source_port);
	mapping = mapping_at(place.mapping);
	if (!mapping || !mapping->vm)
		return REASON_DROP_NO_MAPPING;
	session = session_find(in->gateway, mapping, &place);
	if (!session)
		return REASON_DROP_FILTERED;
	in->vm = vm_at(mapping->vm - 1);
	if (!in->vm)
		return REASON_DROP_NO_MAPPING;
	rewrite = (struct rewrite){
		.from = in->ip.destination, .to = in->vm->address,
		.from_port = in->ip.destination_port, .to_port = mapping->internal_port,
	};
	reason = inbound_send(ctx, in, &rewrite);
	if (reason)
		return reason;
	session_track(session, protocol, in->ip.tcp_flags, false);
	return REASON_INBOUND_SNAT;
}

static __always_inline int external_ipv4(struct xdp_md *ctx)
{
	struct iphdr *header = packet_at(ctx, sizeof(struct ethhdr), sizeof(*header));
	struct inbound in = {};
	int reason;

	if (!header)
		return REASON_DROP_TRUNCATED;
	reason = inbound_find_address(&in, header->daddr);
	if (!reason)
		reason = ipv4_parse(ctx, sizeof(struct ethhdr), &in.ip);
	if (reason)
		return reason;
	if (!virtual_router_forwards(in.virtual_router))
		return REASON_DROP_NOT_ACTIVE;
	if (in.address->kind == EXTERNAL_FLOATING_IP)
		return inbound_floating_ip(ctx, &in);
	if (in.ip.protocol == IPPROTO_ICMP && in.ip.icmp_type == ICMP_ECHO)
		return inbound_echo(ctx, &in);
	return inbound_shared_snat(ctx, &in);
}

static __always_inline int external_receive(struct xdp_md *ctx)
{
	struct ethhdr *eth = packet_at(ctx, 0, sizeof(*eth));

	if (!eth)
		return REASON_DROP_TRUNCATED;
	if (eth->h_proto == bpf_htons(ETH_P_ARP))
		return external_arp(ctx);
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return external_ipv4(ctx);
	return REASON_PASS_TO_KERNEL;
}

SEC("xdp")
int external_xdp(struct xdp_md *ctx)
{
	__u32 bytes = packet_length(ctx);

	return verdict(external_receive(ctx), bytes);
}
