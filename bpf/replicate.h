/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Commit on create: session records out, in, and home again. Explicit export and import, never map bytes. */
#pragma once

#include "event.h"
#include "session.h"
#include "siphash.h"

struct sync_envelope {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	struct sync_header header;
} __attribute__((packed));

struct event_with_record {
	struct event head;
	struct sync_record record;
};

#define SYNC_OFFSET (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr))
#define SYNC_RECORDS_OFFSET (SYNC_OFFSET + sizeof(struct sync_header))
/* A neighbour of our version: what it adds is skipped. */
static __always_inline bool sync_version_is_read(__u8 version)
{
	return version >= SYNC_VERSION_FIRST && version <= SYNC_VERSION_LAST;
}

/* Where the MAC stands, in words of eight bytes from the sync header on. */
#define SYNC_MAC_WORD (__builtin_offsetof(struct sync_header, mac) / 8)

/*
 * What one packet has to tell the peer. It does not fit on the stack beside the
 * packet's own state; a CPU handles one packet at a time.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sync_record);
} commits SEC(".maps");

static __always_inline struct sync_record *commit_record(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&commits, &zero);
}

static __always_inline void record_export_vm(struct sync_record *record, const struct vm *vm,
					     const struct router *router,
					     const struct virtual_router *virtual_router)
{
	*record = (struct sync_record){
		.kind = RECORD_VM,
		.term = bpf_htonl(virtual_router->term),
		.vni = bpf_htonl(vm->vni),
		.internal_address = vm->address,
		.option_length = vm->option_length,
		.virtual_router = router->virtual_router,
		.tunnel_endpoint = vm->tunnel_endpoint,
		.port_key = bpf_htonl(vm->port_key),
	};
	__builtin_memcpy(record->mac, vm->mac, 6);
	__builtin_memcpy(record->next_hop_mac, vm->next_hop_mac, 6);
	__builtin_memcpy(record->option, vm->option, 8);
}

/* A closing connection keeps in mind that it was established. */
#define SESSION_FLAGS_REPLICATED                                                                   \
	(SESSION_FIN_OUTBOUND | SESSION_FIN_INBOUND | SESSION_REPLIED | SESSION_ESTABLISHED_COMMITTED)

/* Over record_export_vm's fields: which slot of shared SNAT, at which address. */
static __always_inline void record_export_mapping(struct sync_record *record, __u8 kind, __u32 index,
						  __be32 address, __be16 internal_port)
{
	record->kind = kind;
	record->protocol = mapping_protocol(index);
	record->external_address = address;
	record->external_port = bpf_htons(index & 0xffff);
	record->internal_port = internal_port;
}

/* Over record_export_vm's fields: a session of the mapping at `index`. */
static __always_inline void record_export_session(struct sync_record *record, __u32 index,
						  const struct session *session, __be32 address)
{
	record_export_mapping(record, RECORD_SESSION, index, address, session->internal_port);
	record->state = session->state;
	record->session_flags = session->flags & SESSION_FLAGS_REPLICATED;
	/* Of a session that is established its state says so, told before or not. */
	if (session->state != SESSION_CLOSING)
		record->session_flags &= ~SESSION_ESTABLISHED_COMMITTED;
	record->remote = session->remote;
	record->remote_port = session->remote_port;
	record->idle = bpf_htonl(tick_now() - session->last_seen);
}

static __always_inline __u64 sync_next_sequence(struct gateway_state *state)
{
	return __sync_fetch_and_add(&state->sequence, 1) + 1;
}

/* Gives the frame its sequence number, epoch and MAC. `offset`: of its sync header. */
static __always_inline int sync_seal(struct hook_context *ctx, const struct gateway *gateway,
				     struct gateway_state *state, __u64 sequence, __u32 offset)
{
	struct sync_header *header = packet_at(ctx, offset, sizeof(*header));
	__u64 mac;

	if (!header)
		return REASON_DROP_SYNC_MALFORMED;
	if (header->type != SYNC_CONTROL && header->path == SYNC_PATH_HA && !state->unanswered_since_ns)
		state->unanswered_since_ns = bpf_ktime_get_coarse_ns();
	header->gateway = gateway->id;
	header->epoch = bpf_htonl(gateway->epoch);
	header->sequence = bpf_cpu_to_be64(sequence);
	header->mac = 0;
	mac = siphash_packet(ctx, offset, packet_length(ctx) - offset, SYNC_MAC_WORD, SIPHASH_OUR_KEY);
	header = packet_at(ctx, offset, sizeof(*header));
	if (!header)
		return REASON_DROP_SYNC_MALFORMED;
	header->mac = bpf_cpu_to_be64(mac);
	return 0;
}

static __always_inline int sync_write_envelope(struct hook_context *ctx, const struct gateway *gateway,
					       __u32 length)
{
	struct sync_envelope *envelope = packet_at(ctx, 0, sizeof(*envelope));
	__u32 role = INTERFACE_HA;
	struct interface *interface = bpf_map_lookup_elem(&interfaces, &role);

	if (!envelope || !interface)
		return REASON_DROP_ADJUST_FAILED;
	__builtin_memcpy(envelope->eth.h_dest, gateway->peer_mac, 6);
	__builtin_memcpy(envelope->eth.h_source, interface->mac, 6);
	envelope->eth.h_proto = bpf_htons(ETH_P_IP);
	envelope->ip = (struct iphdr){
		.version = 4, .ihl = 5, .tos = 0xc0,
		.tot_len = bpf_htons(length - sizeof(envelope->eth)),
		.frag_off = bpf_htons(IPV4_DONT_FRAGMENT), .ttl = 255, .protocol = IPPROTO_UDP,
		.saddr = gateway->ha_address, .daddr = gateway->peer_address,
	};
	envelope->ip.check = checksum_ipv4_header(&envelope->ip);
	envelope->udp = (struct udphdr){
		.source = bpf_htons(SYNC_UDP_PORT), .dest = bpf_htons(SYNC_UDP_PORT),
		.len = bpf_htons(length - sizeof(envelope->eth) - sizeof(envelope->ip)),
	};
	return 0;
}

/* Puts the finished frame behind its record, addressed to the peer. */
static __always_inline int commit_wrap(struct hook_context *ctx, const struct gateway *gateway,
				       struct gateway_state *state,
				       const struct sync_record *record, __u8 egress)
{
	const __u32 added = sizeof(struct sync_envelope) + sizeof(*record);
	struct sync_envelope *envelope;
	__u32 payload;
	int reason;

	if (frame_wrap(ctx, added))
		return REASON_DROP_ADJUST_FAILED;
	payload = packet_length(ctx) - added;
	reason = sync_write_envelope(ctx, gateway, payload + added);
	if (reason)
		return reason;
	envelope = packet_at(ctx, 0, added);
	if (!envelope)
		return REASON_DROP_ADJUST_FAILED;
	envelope->header = (struct sync_header){
		.version = SYNC_VERSION, .type = SYNC_COMMIT, .records = 1,
		.egress = egress, .length = bpf_htons(payload),
	};
	__builtin_memcpy((void *)(envelope + 1), record, sizeof(*record));
	return sync_seal(ctx, gateway, state, sync_next_sequence(state), SYNC_OFFSET);
}

/*
 * A record by way of the control plane: the packet does not wait for it. Its
 * sequence is of this moment, for commits will overtake it.
 */
static __always_inline void commit_emit(const struct sync_record *record)
{
	struct event_with_record *event = NULL;
	struct gateway_state *state;
	__u32 zero = 0;

	state = bpf_map_lookup_elem(&gateway_states, &zero);
	if (state && event_has_room(EVENTS_BYTES / 4 * 3))
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		/* What the peer is never sent this way, bulk synchronisation has to bring. */
		count(REASON_SESSION_UNPROTECTED, 0);
		return;
	}
	event->head = (struct event){ .type = EVENT_RECORD, .length = sizeof(*record) };
	event->record = *record;
	event->record.sequence = bpf_htonl(sync_next_sequence(state));
	bpf_ringbuf_submit(event, 0);
}

/*
 * The last step of a packet that made or changed something which the peer does
 * not hold yet: it leaves by way of the peer. Returns COMMIT_SENT, the reason
 * to drop, or `forwarded` where it must not wait.
 */
__noinline int commit_send(struct hook_context *ctx, const struct sync_record *record, __u32 egress,
				  int forwarded)
{
	__u32 zero = 0, role = INTERFACE_HA;
	struct gateway *gateway = bpf_map_lookup_elem(&gateways, &zero);
	struct gateway_state *state = bpf_map_lookup_elem(&gateway_states, &zero);
	struct interface *ha = bpf_map_lookup_elem(&interfaces, &role);
	const __u32 added = sizeof(struct sync_envelope) - sizeof(struct ethhdr) + sizeof(*record);
	int reason;

	if (!record || !gateway || !state || !ha)
		return forwarded;
	if (gateway->sync_mode == SYNC_ASYNC) {
		commit_emit(record);
		return forwarded;
	}
	if (frame_is_segmented(ctx) || frame_wire_length(ctx) + added > ha->mtu ||
	    frame_wire_length(ctx) + sizeof(struct sync_envelope) + sizeof(*record) > SIPHASH_MAX_FRAME) {
		count(REASON_COMMIT_OVERSIZE, packet_length(ctx));
		commit_emit(record);
		return forwarded;
	}
	reason = commit_wrap(ctx, gateway, state, record, egress);
	return reason ? reason : REASON_COMMIT_SENT;
}

/*
 * A peer that is heard need not hear us: a link may work one way only, and a peer
 * refuses what it takes for repeated. What is sent to such a peer never comes home.
 */
static __always_inline bool peer_answers(const struct gateway *gateway,
					 const struct gateway_state *state, __u64 now_ns)
{
	__u64 since = state->unanswered_since_ns;

	return !since || now_ns < since + gateway->solo_after_ns;
}

/* Whether there is a peer to hold anything. Alone, what is made is marked so that it is counted once. */
static __always_inline bool commit_has_peer(const struct gateway *gateway)
{
	struct gateway_state *state;
	__u32 zero = 0;
	__u64 now_ns;

	if (gateway->sync_mode == SYNC_NONE)
		return false;
	state = bpf_map_lookup_elem(&gateway_states, &zero);
	now_ns = bpf_ktime_get_coarse_ns();
	return state && peer_is_alive(gateway, state, now_ns) && peer_answers(gateway, state, now_ns);
}

static __always_inline bool commit_needs_vm(struct vm *vm, const struct gateway *gateway)
{
	if (vm->flags & VM_COMMITTED)
		return false;
	if (commit_has_peer(gateway)) {
		/* Without acknowledgement nobody else will say that it arrived. */
		if (gateway->sync_mode == SYNC_ASYNC)
			__sync_fetch_and_or(&vm->flags, VM_COMMITTED);
		return true;
	}
	/* Alone it stays as it is: the first packet with a peer again tells where the VM lives now. */
	return false;
}

static __always_inline bool commit_needs_session(struct session *session,
						 const struct gateway *gateway)
{
	__u8 wanted = SESSION_COMMITTED;

	if (session->state == SESSION_ESTABLISHED)
		wanted |= SESSION_ESTABLISHED_COMMITTED;
	if ((session->flags & wanted) == wanted)
		return false;
	if (commit_has_peer(gateway)) {
		if (gateway->sync_mode == SYNC_ASYNC)
			session->flags |= wanted;
		return true;
	}
	/* Each time, for each has to be made good: the control plane may have missed the silence. */
	if (gateway->sync_mode != SYNC_NONE) {
		session->flags |= SESSION_UNPROTECTED;
		count(REASON_SESSION_UNPROTECTED, 0);
	}
	session->flags |= wanted;
	return false;
}
