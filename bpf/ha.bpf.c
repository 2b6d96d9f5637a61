// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* ha interface: the peer's records are verified, applied and turned round in the driver. */
#include "apply.h"
#include "heartbeat.h"

struct sync_packet {
	__u32 length;                 /* of the frame up to the end of what is authenticated */
	__u32 payload_offset;
	__u32 epoch;
	__u64 sequence;
	__u8 type;
	__u8 flags;
	__u8 records;
	__u8 gateway;
	__u8 egress;
	__u8 stride;                  /* bytes of each record: those of a later version may be longer */
};

/* Fills *packet from an authentic datagram of ours or the peer's. 0, or the reason. */
static __always_inline int sync_parse(struct xdp_md *ctx, const struct gateway *gateway,
				      const struct ipv4 *ip, struct sync_packet *packet)
{
	struct sync_header *header = packet_at(ctx, SYNC_OFFSET, sizeof(*header));
	__u64 mac;

	/* No options, one hop (RFC 5082): nobody else sends such. */
	if (!header || ip->l4_offset != sizeof(struct ethhdr) + sizeof(struct iphdr) ||
	    ip->ttl != 255 || ip->fragment)
		return REASON_DROP_SYNC_MALFORMED;
	if (!sync_version_is_read(header->version))
		return REASON_DROP_SYNC_VERSION;
	*packet = (struct sync_packet){
		.length = ip->offset + ip->total_length,
		.epoch = bpf_ntohl(header->epoch),
		.sequence = bpf_be64_to_cpu(header->sequence),
		.type = header->type, .flags = header->flags, .records = header->records,
		.gateway = header->gateway, .egress = header->egress,
		.stride = header->record_words ? header->record_words * 8 : sizeof(struct sync_record),
	};
	packet->payload_offset = SYNC_RECORDS_OFFSET + header->records * packet->stride;
	/* Shorter ones there never were. */
	if (header->record_words > 31 || packet->stride < sizeof(struct sync_record))
		return REASON_DROP_SYNC_MALFORMED;
	/* One of the underlay's would be counted in the wrong window. */
	if (packet->records > SYNC_MAX_RECORDS || (packet->type == SYNC_HEARTBEAT && header->path != SYNC_PATH_HA) ||
	    packet->payload_offset + bpf_ntohs(header->length) != packet->length)
		return REASON_DROP_SYNC_MALFORMED;
	mac = bpf_be64_to_cpu(header->mac);
	if (!siphash_is_good(ctx, gateway, SYNC_OFFSET, packet->length - SYNC_OFFSET, SYNC_MAC_WORD, mac))
		return REASON_DROP_SYNC_MAC;
	return 0;
}

/* A request is the peer's, a reply ours: anything else is a reflection or a stranger. */
static __always_inline int sync_admit(const struct sync_packet *packet, const struct gateway *gateway)
{
	bool reply = packet->flags & SYNC_REPLY;

	if (reply != (packet->gateway == gateway->id))
		return REASON_DROP_SYNC_OWN;
	if (reply && packet->epoch != gateway->epoch)
		return REASON_DROP_SYNC_REPLAYED;
	if (!replay_is_new(reply ? REPLAY_REPLIES : REPLAY_REQUESTS, packet->epoch, packet->sequence))
		return REASON_DROP_SYNC_REPLAYED;
	return 0;
}

/* A datagram's record, where a CPU keeps those of its own packets: the stack has no room. */
static __always_inline struct sync_record *record_load(struct xdp_md *ctx, __u32 offset)
{
	struct sync_record *record = commit_record();

	if (!record || bpf_xdp_load_bytes(ctx, offset, record, sizeof(*record)))
		return NULL;
	return record;
}

struct sync_apply_walk {
	struct xdp_md *ctx;
	__u16 flags;
	__u16 stride;
	__u32 sequence;
};

static long sync_apply_step(__u32 i, struct sync_apply_walk *walk)
{
	struct sync_record *record = record_load(walk->ctx, SYNC_RECORDS_OFFSET + i * walk->stride);

	if (!record) {
		walk->flags |= SYNC_UNAPPLIED;
		return 1;
	}
	/* One that went through user space is older than the frame that carries it. */
	walk->flags |= record_apply(record, record->sequence ? bpf_ntohl(record->sequence) : walk->sequence);
	return 0;
}

__noinline __u32 sync_apply(struct xdp_md *ctx, __u32 records, __u32 sequence, __u32 stride)
{
	struct sync_apply_walk walk = { .ctx = ctx, .sequence = sequence, .stride = stride };

	bpf_loop(records & 15, sync_apply_step, &walk, 0);
	return walk.flags;
}

/* Sends the datagram back with what became of it; sequence and epoch stay its sender's. */
static __always_inline int sync_turn_round(struct xdp_md *ctx, const struct sync_packet *packet,
					   __u8 flags, enum reason reason)
{
	struct sync_envelope *envelope = packet_at(ctx, 0, sizeof(*envelope));
	__u8 mac_address[6];
	__be32 address;
	__u64 mac;

	if (!envelope)
		return REASON_DROP_SYNC_MALFORMED;
	__builtin_memcpy(mac_address, envelope->eth.h_dest, 6);
	__builtin_memcpy(envelope->eth.h_dest, envelope->eth.h_source, 6);
	__builtin_memcpy(envelope->eth.h_source, mac_address, 6);
	address = envelope->ip.saddr;
	envelope->ip.saddr = envelope->ip.daddr;
	envelope->ip.daddr = address;
	envelope->udp.check = 0;
	envelope->header.flags = SYNC_REPLY | flags;
	envelope->header.mac = 0;
	mac = siphash_packet(ctx, SYNC_OFFSET, packet->length - SYNC_OFFSET, SYNC_MAC_WORD, SIPHASH_OUR_KEY);
	envelope = packet_at(ctx, 0, sizeof(*envelope));
	if (!envelope)
		return REASON_DROP_SYNC_MALFORMED;
	envelope->header.mac = bpf_cpu_to_be64(mac);
	return reason;
}

/* Of its own, for the stack: applying records needs all that there is. */
static __noinline int sync_emit(struct xdp_md *ctx, __u32 payload_offset)
{
	struct event about = { .type = EVENT_SYNC_MESSAGE, .interface = INTERFACE_HA };

	return event_emit(ctx, &about, payload_offset);
}

static __always_inline int sync_request(struct xdp_md *ctx, const struct sync_packet *packet)
{
	__u32 flags;

	switch (packet->type) {
	case SYNC_HEARTBEAT:
		flags = heartbeat_fill(ctx, SYNC_OFFSET);
		return sync_turn_round(ctx, packet, flags, REASON_HEARTBEAT_TURNED);
	case SYNC_COMMIT:
		if (packet->records != 1)
			return REASON_DROP_SYNC_MALFORMED;
		flags = sync_apply(ctx, packet->records, packet->sequence, packet->stride);
		return sync_turn_round(ctx, packet, flags, REASON_COMMIT_APPLIED);
	case SYNC_RECORDS:
		flags = sync_apply(ctx, packet->records, packet->sequence, packet->stride);
		return sync_turn_round(ctx, packet, flags, REASON_SYNC_APPLIED);
	case SYNC_CONTROL:
		sync_emit(ctx, packet->payload_offset);
		return REASON_SYNC_TO_CONTROL_PLANE;
	default:
		return REASON_DROP_SYNC_MALFORMED;
	}
}

/* Unwraps the frame that went out with its record. 0, or the reason. */
static __always_inline int commit_release(struct xdp_md *ctx, const struct sync_packet *packet)
{
	struct sync_record *record;

	if (packet->records != 1 || packet->egress >= INTERFACE_HA)
		return REASON_DROP_SYNC_MALFORMED;
	if (packet->flags & SYNC_REFUSED)
		return REASON_DROP_SYNC_TERM;
	record = record_load(ctx, SYNC_RECORDS_OFFSET);
	if (!record)
		return REASON_DROP_SYNC_MALFORMED;
	/* A peer without room must not stop the traffic: this session is ours alone, and counted so. */
	if (packet->flags & SYNC_UNAPPLIED)
		count(REASON_SESSION_UNPROTECTED, 0);
	record_acknowledge(record);
	/* Ethernet pads short frames: only the envelope knows where ours ends. */
	if (packet->length < packet_length(ctx) &&
	    bpf_xdp_adjust_tail(ctx, (int)packet->length - (int)packet_length(ctx)))
		return REASON_DROP_ADJUST_FAILED;
	if (bpf_xdp_adjust_head(ctx, packet->payload_offset))
		return REASON_DROP_ADJUST_FAILED;
	return 0;
}

static long sync_acknowledge_step(__u32 i, struct sync_apply_walk *walk)
{
	struct sync_record *record = record_load(walk->ctx, SYNC_RECORDS_OFFSET + i * walk->stride);

	if (!record)
		return 1;
	record_acknowledge(record);
	return 0;
}

static __always_inline int sync_reply(struct xdp_md *ctx, const struct sync_packet *packet,
				      struct gateway_state *state)
{
	struct sync_apply_walk walk = { .ctx = ctx, .stride = packet->stride };

	state->unanswered_since_ns = 0;
	switch (packet->type) {
	case SYNC_HEARTBEAT:
		return heartbeat_returned(ctx, SYNC_OFFSET, SYNC_PATH_HA);
	case SYNC_RECORDS:
		/* Not acknowledged: whoever sends all that it has must know that the peer lacks some of it. */
		if (packet->flags & SYNC_REFUSED)
			return REASON_DROP_SYNC_TERM;
		if (packet->flags & SYNC_UNAPPLIED)
			return REASON_DROP_SYNC_UNAPPLIED;
		bpf_loop(packet->records & 15, sync_acknowledge_step, &walk, 0);
		__sync_fetch_and_add(&state->acknowledged, 1);
		if (packet->egress)
			__sync_fetch_and_add(&state->bulk_acknowledged, 1);
		return REASON_SYNC_ACKNOWLEDGED;
	case SYNC_COMMIT: {
		int reason = commit_release(ctx, packet);

		return reason ? reason : REASON_COMMIT_RELEASED;
	}
	default:
		return REASON_DROP_SYNC_MALFORMED;
	}
}

static __always_inline int ha_receive(struct xdp_md *ctx, __u32 *egress)
{
	__u32 zero = 0;
	struct gateway *gateway = bpf_map_lookup_elem(&gateways, &zero);
	struct gateway_state *state = bpf_map_lookup_elem(&gateway_states, &zero);
	struct ethhdr *eth = packet_at(ctx, 0, sizeof(*eth));
	struct sync_packet packet;
	struct ipv4 ip;
	int reason;

	if (!eth)
		return REASON_DROP_TRUNCATED;
	if (!gateway || !state || eth->h_proto != bpf_htons(ETH_P_IP))
		return REASON_PASS_TO_KERNEL;
	reason = ipv4_parse(ctx, sizeof(*eth), &ip);
	if (reason)
		return reason;
	if (ip.protocol != IPPROTO_UDP || ip.destination_port != bpf_htons(SYNC_UDP_PORT) ||
	    ip.destination != gateway->ha_address)
		return REASON_PASS_TO_KERNEL;
	reason = sync_parse(ctx, gateway, &ip, &packet);
	if (!reason)
		reason = sync_admit(&packet, gateway);
	if (reason)
		return reason;
	state->peer_heard_ns = bpf_ktime_get_ns();
	*egress = packet.egress;
	return packet.flags & SYNC_REPLY ? sync_reply(ctx, &packet, state)
					 : sync_request(ctx, &packet);
}

SEC("xdp")
int ha_xdp(struct xdp_md *ctx)
{
	__u32 bytes = packet_length(ctx), egress = 0;
	int reason = ha_receive(ctx, &egress);

	if (reason == REASON_COMMIT_RELEASED) {
		count(reason, bytes);
		return bpf_redirect_map(&ports, egress, 0);
	}
	return verdict(ctx, reason, bytes);
}
