/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Who lives, told by programs alone: heartbeats are answered in the driver, with
 * where we are Active, and the answers to our own are stamped. No process takes
 * part, so none that is stopped or starved passes for dead before its lease ends.
 *
 * In functions of their own, for the stack: what forwards has none to spare.
 */
#pragma once

#include "packet.h"
#include "replay.h"
#include "replicate.h"
#include "virtual_router.h"

struct heartbeat_roles {
	__u64 now_ns;
	__u64 word;
	__u32 first;                  /* VRID of the lowest bit */
};

static long heartbeat_roles_step(__u32 i, struct heartbeat_roles *roles)
{
	__u32 id = roles->first + i;
	struct virtual_router *router = bpf_map_lookup_elem(&virtual_routers, &id);

	if (router && virtual_router_is_active_at(router, roles->now_ns))
		roles->word |= 1ULL << (i & 63);
	return 0;
}

/* Fills in where we are Active, in the heartbeat at `offset`. What the answer's flags have to say of it. */
static __noinline __u32 heartbeat_fill(struct hook_context *ctx, __u32 offset)
{
	struct heartbeat_roles roles = { .now_ns = bpf_ktime_get_coarse_ns() };
	struct sync_heartbeat *heartbeat = packet_at(ctx, offset, sizeof(*heartbeat));

	if (!heartbeat || heartbeat->header.length != bpf_htons(sizeof(heartbeat->roles)))
		return 0;
	for (__u32 i = 0; i < ROLE_WORDS; i++) {
		roles.word = 0;
		roles.first = i * 64;
		bpf_loop(64, heartbeat_roles_step, &roles, 0);
		heartbeat = packet_at(ctx, offset, sizeof(*heartbeat));
		if (!heartbeat)
			return 0;
		heartbeat->roles[i] = roles.word;
	}
	return SYNC_ROLES;
}

/* One of our own is back, and authentic. An answer that an earlier heartbeat got says nothing new of roles. */
static __noinline int heartbeat_returned(struct hook_context *ctx, __u32 offset, __u32 path)
{
	struct sync_header *header = packet_at(ctx, offset, sizeof(*header));
	__u32 zero = 0;
	struct liveness *noted = bpf_map_lookup_elem(&liveness, &zero);
	struct sync_heartbeat *heartbeat;
	__u64 sequence;

	if (!header || !noted || path >= SYNC_PATHS)
		return REASON_DROP_SYNC_MALFORMED;
	noted->answered_ns[path] = bpf_ktime_get_ns();
	sequence = bpf_be64_to_cpu(header->sequence);
	if (sequence < noted->sequence)
		return REASON_HEARTBEAT_RETURNED;
	noted->sequence = sequence;
	heartbeat = packet_at(ctx, offset, sizeof(*heartbeat));
	noted->roles_known = heartbeat && heartbeat->header.flags & SYNC_ROLES;
	if (noted->roles_known)
		__builtin_memcpy(noted->roles, heartbeat->roles, sizeof(noted->roles));
	return REASON_HEARTBEAT_RETURNED;
}

/* Of a heartbeat at `offset`, which stands whole in the frame, and nothing behind it. 0, or the reason. */
static __noinline int heartbeat_admit(struct hook_context *ctx, const struct gateway *gateway, __u32 offset)
{
	struct sync_heartbeat *heartbeat = packet_at(ctx, offset, sizeof(*heartbeat));
	bool reply;
	__u64 mac;

	if (!heartbeat)
		return REASON_DROP_TRUNCATED;
	if (!sync_version_is_read(heartbeat->header.version))
		return REASON_DROP_SYNC_VERSION;
	if (heartbeat->header.type != SYNC_HEARTBEAT || heartbeat->header.records ||
	    heartbeat->header.path != SYNC_PATH_UNDERLAY ||
	    heartbeat->header.length != bpf_htons(sizeof(heartbeat->roles)))
		return REASON_DROP_SYNC_MALFORMED;
	mac = bpf_be64_to_cpu(heartbeat->header.mac);
	if (!siphash_is_good(ctx, gateway, offset, sizeof(*heartbeat), SYNC_MAC_WORD, mac))
		return REASON_DROP_SYNC_MAC;
	heartbeat = packet_at(ctx, offset, sizeof(*heartbeat));
	if (!heartbeat)
		return REASON_DROP_TRUNCATED;
	reply = heartbeat->header.flags & SYNC_REPLY;
	/* A request is the peer's, a reply ours. */
	if (reply != (heartbeat->header.gateway == gateway->id))
		return REASON_DROP_SYNC_OWN;
	if (reply && bpf_ntohl(heartbeat->header.epoch) != gateway->epoch)
		return REASON_DROP_SYNC_REPLAYED;
	if (!replay_is_new(reply ? REPLAY_UNDERLAY_REPLIES : REPLAY_UNDERLAY_REQUESTS,
			   bpf_ntohl(heartbeat->header.epoch),
			   bpf_be64_to_cpu(heartbeat->header.sequence)))
		return REASON_DROP_SYNC_REPLAYED;
	return 0;
}

/* Back to the peer, by the MAC that it came from, with our own: never a virtual one. */
static __noinline int heartbeat_turn_round(struct hook_context *ctx, __u32 ip_offset, __u32 offset)
{
	__u32 role = INTERFACE_UNDERLAY, flags = heartbeat_fill(ctx, offset);
	struct interface *underlay = bpf_map_lookup_elem(&interfaces, &role);
	struct sync_header *header;
	struct ethhdr *eth;
	struct iphdr *ip;
	__be32 address;
	__u64 mac;

	header = packet_at(ctx, offset, sizeof(*header));
	if (!underlay || !header)
		return REASON_DROP_TRUNCATED;
	header->flags = SYNC_REPLY | flags;
	header->mac = 0;
	mac = siphash_packet(ctx, offset, sizeof(struct sync_heartbeat), SYNC_MAC_WORD, SIPHASH_OUR_KEY);
	header = packet_at(ctx, offset, sizeof(*header));
	eth = packet_at(ctx, 0, sizeof(*eth));
	ip = packet_at(ctx, ip_offset, sizeof(*ip));
	if (!header || !eth || !ip)
		return REASON_DROP_TRUNCATED;
	header->mac = bpf_cpu_to_be64(mac);
	mac_copy(eth->h_dest, eth->h_source);
	mac_copy(eth->h_source, underlay->mac);
	address = ip->saddr;
	ip->saddr = ip->daddr;
	ip->daddr = address;
	return REASON_HEARTBEAT_TURNED;
}

/*
 * UDP to the port of replication at our own address on the underlay: packet->ip.
 * Where there is no such peer it is the host's. Forged ones cost one MAC of 64
 * bytes each, two while one key follows another, and get no answer.
 */
static __noinline int heartbeat_receive(struct hook_context *ctx, const struct packet *packet)
{
	__u32 zero = 0, ip_offset = packet->ip.offset, offset = packet->ip.l4_offset + sizeof(struct udphdr);
	struct gateway *gateway = bpf_map_lookup_elem(&gateways, &zero);
	struct gateway_state *state = bpf_map_lookup_elem(&gateway_states, &zero);
	struct sync_header *header;
	struct udphdr *udp;
	int reason;

	if (!gateway || !state || gateway->sync_mode == SYNC_NONE || !gateway->peer_underlay_address)
		return REASON_PASS_TO_KERNEL;
	/* No options, one hop (RFC 5082), as on the ha link. */
	if (packet->ip.source != gateway->peer_underlay_address || packet->ip.ttl != 255 || packet->ip.fragment ||
	    packet->ip.l4_offset != ip_offset + sizeof(struct iphdr) ||
	    packet->ip.total_length != sizeof(struct iphdr) + sizeof(*udp) + sizeof(struct sync_heartbeat))
		return REASON_DROP_SYNC_MALFORMED;
	reason = heartbeat_admit(ctx, gateway, offset);
	if (reason)
		return reason;
	state->peer_heard_underlay_ns = bpf_ktime_get_ns();
	/* What the sum was of is about to change, and the MAC covers more. */
	udp = packet_at(ctx, packet->ip.l4_offset, sizeof(*udp));
	header = packet_at(ctx, offset, sizeof(*header));
	if (!udp || !header)
		return REASON_DROP_TRUNCATED;
	if (header->flags & SYNC_REPLY)
		return heartbeat_returned(ctx, offset, SYNC_PATH_UNDERLAY);
	udp->check = 0;
	return heartbeat_turn_round(ctx, ip_offset, offset);
}
