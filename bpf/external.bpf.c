// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* external interface: from the provider network, inwards. */
#include "arp.h"
#include "icmp_error.h"
#include "inbound.h"

/*
 * Where the kernel cannot ask, the control plane does, and hears the answer here.
 * What nobody asked for matters only of somebody whom we send to.
 */
static __always_inline int external_hear(struct hook_context *ctx, const struct ethernet *ethernet,
					 const struct arp *arp)
{
	struct neighbour_key key = {
		.interface = INTERFACE_EXTERNAL, .vlan = ethernet->vlan, .address = arp->sender,
	};
	struct event about = {
		.type = EVENT_NEIGHBOUR_HEARD, .interface = INTERFACE_EXTERNAL,
		.vlan = ethernet->vlan, .address = arp->sender,
	};

	if (arp->operation == bpf_htons(ARP_REPLY) || bpf_map_lookup_elem(&neighbours, &key))
		event_emit(ctx, &about, 0);
	return REASON_PASS_TO_KERNEL;
}

static __always_inline int external_arp(struct hook_context *ctx, const struct ethernet *ethernet)
{
	struct arp *arp = arp_at(ctx, ethernet->length);
	struct external_address *address;
	struct party party = {};
	__be32 target;
	int reason;

	if (!arp)
		return REASON_PASS_TO_KERNEL;
	if (!arp_is_request(arp))
		return external_hear(ctx, ethernet, arp);
	target = arp->target;
	address = external_address_find(target, ethernet->vlan);
	if (!address)
		return REASON_PASS_TO_KERNEL;
	reason = inbound_find_party(address, &party);
	if (reason)
		return reason;
	if (!virtual_router_is_active(party.virtual_router))
		return REASON_DROP_NOT_ACTIVE;
	reason = arp_answer(ctx, 0, ethernet->length, party.virtual_router->mac);
	return reason ? reason : REASON_ARP_REPLY_EXTERNAL;
}

/* Back to the neighbour that the frame came from, with our own MAC as the source. */
static __always_inline int external_return(struct hook_context *ctx, const struct packet *packet,
					   const struct virtual_router *router)
{
	mac_buffer source_mac;
	int reason = forward_source_mac(router, packet->now_ns, source_mac);

	if (reason)
		return reason;
	return ethernet_write(ctx, packet->mac, source_mac, packet->vlan) ? 0 : REASON_DROP_TRUNCATED;
}

static __always_inline int external_echo(struct hook_context *ctx, struct packet *packet,
					 const struct party *party)
{
	int reason = packet->ip.fragment ? REASON_DROP_FRAGMENT : rewrite_echo_reply(ctx, &packet->ip);

	if (!reason)
		reason = external_return(ctx, packet, party->virtual_router);
	return reason ? reason : REASON_ECHO_REPLY_EXTERNAL;
}

static __always_inline int external_translate(struct hook_context *ctx, struct packet *packet,
					      struct party *party,
					      const struct external_address *address)
{
	int reason = 0;

	if (!virtual_router_forwards(party->virtual_router, packet->now_ns))
		return REASON_DROP_NOT_ACTIVE;
	if (packet->ip.icmp_error)
		reason = quote_parse(ctx, packet);
	else if (address->kind == EXTERNAL_ROUTER)
		reason = translate_complete_fragment(ctx, packet, FRAGMENT_EXTERNAL | packet->vlan);
	if (reason)
		return reason;
	if (address->kind == EXTERNAL_ROUTER && packet->ip.protocol == IPPROTO_ICMP &&
	    packet->ip.icmp_type == ICMP_ECHO)
		return external_echo(ctx, packet, party);
	return inbound_translate(ctx, packet, party, address);
}

/* Says to the sender what became of its packet. `reason` where nothing is to be said. */
__noinline int external_explain(struct hook_context *ctx, struct packet *packet, int reason)
{
	struct external_address *address;
	struct icmp_reply reply = {};
	struct party party = {};
	__be32 source;
	__u16 length;
	int failed;

	if (!packet || !icmp_error_for(reason, packet, &reply))
		return reason;
	address = external_address_find(packet->ip.destination, packet->vlan);
	if (!address || inbound_find_party(address, &party))
		return reason;
	length = packet->ip.total_length;
	source = party.router->external_address ? party.router->external_address : packet->ip.destination;
	failed = icmp_error_build(ctx, packet, &reply, source, ethernet_length(packet->vlan));
	if (!failed)
		failed = external_return(ctx, packet, party.virtual_router);
	if (failed == REASON_FRAME_UNFINISHED)
		return failed;
	count(failed ? failed : reason, length);
	return failed ? reason : REASON_ICMP_ERROR_TO_OUTSIDE;
}

/* RFC 1812 §5.3.4, §5.3.7: sent to us alone, by a host that can be outside. */
static __always_inline int external_admit(struct hook_context *ctx, struct packet *packet,
					  const struct party *party)
{
	__u32 role = INTERFACE_EXTERNAL;
	struct interface *external = bpf_map_lookup_elem(&interfaces, &role);
	struct ethhdr *eth = packet_at(ctx, 0, sizeof(*eth));

	if (!eth || !external)
		return REASON_DROP_TRUNCATED;
	if (!mac_equal(eth->h_dest, party->virtual_router->mac) && !mac_equal(eth->h_dest, external->mac))
		return REASON_PASS_TO_KERNEL;
	if (!address_is_routable(packet->ip.source) || packet->ip.source == packet->ip.destination ||
	    route_find_inner(party->router, packet->router, packet->ip.source))
		return REASON_DROP_SOURCE_NOT_OUTSIDE;
	mac_copy(packet->mac, eth->h_source);
	return 0;
}

static __always_inline int external_ipv4(struct hook_context *ctx, struct packet *packet,
					 const struct ethernet *ethernet)
{
	struct iphdr *header = packet_at(ctx, ethernet->length, sizeof(*header));
	struct external_address *address;
	struct party party = {};
	int reason;

	if (!header)
		return REASON_DROP_TRUNCATED;
	address = external_address_find(header->daddr, ethernet->vlan);
	if (!address)
		return REASON_PASS_TO_KERNEL;
	packet->from = INTERFACE_EXTERNAL;
	packet->now_ns = bpf_ktime_get_coarse_ns();
	packet->vlan = ethernet->vlan;
	packet->router = address->router;
	packet->mss = 0;
	packet->rewritten = false;
	reason = inbound_find_party(address, &party);
	if (!reason)
		reason = ipv4_parse(ctx, ethernet->length, &packet->ip);
	if (!reason)
		reason = external_admit(ctx, packet, &party);
	if (reason)
		return reason;
	reason = external_translate(ctx, packet, &party, address);
	return reason_is_drop(reason) ? external_explain(ctx, packet, reason) : reason;
}

static __always_inline int external_receive(struct hook_context *ctx)
{
	struct packet *packet = packet_scratch();
	struct ethernet ethernet;
	int reason;

	if (frame_enter(ctx))
		return REASON_DROP_ADJUST_FAILED;
	reason = ethernet_parse(ctx, &ethernet);
	if (reason || !packet)
		return reason;
	if (ethernet.protocol == bpf_htons(ETH_P_ARP))
		return external_arp(ctx, &ethernet);
	if (ethernet.protocol == bpf_htons(ETH_P_IP))
		return external_ipv4(ctx, packet, &ethernet);
	return REASON_PASS_TO_KERNEL;
}

HOOK_PROGRAM(external)(struct hook_context *ctx)
{
	__u32 bytes = packet_length(ctx);

	return verdict(ctx, external_receive(ctx), bytes);
}
