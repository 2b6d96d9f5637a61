/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A mapping with one remote endpoint: filtering, TCP state, lifetime. */
#pragma once

#include "mapping.h"

/* Filtering is by address for UDP and ICMP (RFC 4787 REQ-8), by address and port for TCP, whose state is per connection. */
static __always_inline __be16 session_remote_port(__u32 protocol, __be16 port)
{
	return protocol == MAPPING_TCP ? port : 0;
}

static __always_inline bool session_is(const struct session *session, __be32 remote,
				       __be16 remote_port)
{
	return session->state != SESSION_FREE && session->remote == remote &&
	       session->remote_port == remote_port;
}

static __always_inline struct session_slot *session_slot_at(__u32 index)
{
	return bpf_map_lookup_elem(&sessions, &index);
}

/* First slot of one of the two buckets in which a session may be. */
static __always_inline __u32 session_bucket(const struct gateway *gateway, __u32 mapping,
					    __be32 remote, __be16 remote_port, __u32 choice)
{
	__u64 hash = (__u64)mapping << 32 | remote;

	hash ^= (__u64)remote_port << 24 ^ gateway->key[choice & 1];
	hash *= 0x9e3779b97f4a7c15ULL;
	hash ^= hash >> 32;
	hash *= 0xd6e8feb86659fd93ULL;
	hash ^= hash >> 32;
	return ((__u32)hash & (gateway->session_buckets - 1)) * SESSION_BUCKET_SIZE;
}

struct session_place {
	__u32 mapping;                /* index */
	__be32 remote;
	__be16 remote_port;
	__u16 pad;
};

/* Index of its slot, or -1. */
__noinline __s64 session_find_beyond_first(const struct gateway *gateway,
					   const struct session_place *place)
{
	if (!gateway || !place)
		return -1;
	for (__u32 i = 0; i < 2 * SESSION_BUCKET_SIZE; i++) {
		__u32 index = session_bucket(gateway, place->mapping, place->remote,
					     place->remote_port, i / SESSION_BUCKET_SIZE) +
			      i % SESSION_BUCKET_SIZE;
		struct session_slot *slot = session_slot_at(index);

		if (slot && slot->mapping == place->mapping + 1 &&
		    session_is(&slot->session, place->remote, place->remote_port))
			return index;
	}
	return -1;
}

static __always_inline struct session_slot *
session_slot_beyond_first(const struct gateway *gateway, const struct session_place *place)
{
	__s64 index = session_find_beyond_first(gateway, place);

	return index < 0 ? NULL : session_slot_at(index);
}

static __always_inline struct session *session_find(const struct gateway *gateway,
						    struct mapping *mapping,
						    const struct session_place *place)
{
	struct session_slot *slot;

	if (session_is(&mapping->first, place->remote, place->remote_port))
		return &mapping->first;
	if (!mapping->session_count)
		return NULL;
	slot = session_slot_beyond_first(gateway, place);
	if (!slot)
		return NULL;
	/* The compiler would add the offset before it asks for NULL. */
	asm volatile("" : "+r"(slot));
	return &slot->session;
}

/* Index of a slot that is the session's from now on, or -1. */
__noinline __s64 session_take_slot(const struct gateway *gateway, const struct session_place *place)
{
	if (!gateway || !place)
		return -1;
	for (__u32 i = 0; i < 2 * SESSION_BUCKET_SIZE; i++) {
		__u32 index = session_bucket(gateway, place->mapping, place->remote,
					     place->remote_port, i / SESSION_BUCKET_SIZE) +
			      i % SESSION_BUCKET_SIZE;
		struct session_slot *slot = session_slot_at(index);

		if (slot && !slot->mapping &&
		    !__sync_val_compare_and_swap(&slot->mapping, 0, place->mapping + 1))
			return index;
	}
	return -1;
}

/* NULL where the table has no room: established sessions never make way. */
static __always_inline struct session *session_create(const struct gateway *gateway,
						      struct mapping *mapping,
						      const struct session_place *place)
{
	struct session *session = &mapping->first;
	struct session_slot *slot;

	/* Claimed by its first eight bytes, which are zero while it is free. */
	__u64 claim = (__u64)SESSION_TRANSITORY << 48 | (__u64)place->remote_port << 32 | place->remote;

	if (__sync_val_compare_and_swap((__u64 *)session, 0, claim)) {
		__s64 index;

		/* Another CPU was faster for the same remote. */
		if (session_is(session, place->remote, place->remote_port))
			return session;
		index = session_take_slot(gateway, place);
		slot = index < 0 ? NULL : session_slot_at(index);
		if (!slot)
			return NULL;
		session = &slot->session;
		session->remote = place->remote;
		session->remote_port = place->remote_port;
		session->flags = 0;
		session->last_seen = tick_now();
		asm volatile("" ::: "memory");
		session->state = SESSION_TRANSITORY;
		__sync_fetch_and_add(&mapping->session_count, 1);
	}
	session->last_seen = tick_now();
	return session;
}

/* RFC 7857 §2: a reset or both FINs make a connection transitory, a new SYN starts another. */
static __always_inline void session_track_tcp(struct session *session, __u8 tcp_flags, bool outbound)
{
	__u8 fin = outbound ? SESSION_FIN_OUTBOUND : SESSION_FIN_INBOUND;
	__u8 both = SESSION_FIN_OUTBOUND | SESSION_FIN_INBOUND;

	if (tcp_flags & TCP_RST) {
		session->state = SESSION_CLOSING;
		return;
	}
	if (tcp_flags & TCP_SYN) {
		if (session->state == SESSION_CLOSING && outbound) {
			session->flags &= ~(both | SESSION_REPLIED | SESSION_COMMITTED |
					    SESSION_ESTABLISHED_COMMITTED);
			session->state = SESSION_TRANSITORY;
		}
		return;
	}
	if (tcp_flags & TCP_FIN)
		session->flags |= fin;
	if ((session->flags & both) == both)
		session->state = SESSION_CLOSING;
	else if (outbound && (tcp_flags & TCP_ACK) && (session->flags & SESSION_REPLIED) &&
		 session->state == SESSION_TRANSITORY)
		session->state = SESSION_ESTABLISHED;
}

static __always_inline void session_track(struct session *session, __u32 protocol, __u8 tcp_flags,
					  bool outbound)
{
	__u32 now = tick_now();

	if (session->last_seen != now)
		session->last_seen = now;
	if (!outbound && !(session->flags & SESSION_REPLIED))
		session->flags |= SESSION_REPLIED;
	if (protocol == MAPPING_TCP)
		session_track_tcp(session, tcp_flags, outbound);
	else if (session->state == SESSION_TRANSITORY && (session->flags & SESSION_REPLIED)) {
		session->state = SESSION_ESTABLISHED;
		/* Without a state of their own to lose: the lifetime is the same. */
		session->flags |= SESSION_ESTABLISHED_COMMITTED;
	}
}

static __always_inline __u32 session_timeout_ticks(const struct gateway *gateway,
						   const struct session *session, __u32 protocol)
{
	if (protocol == MAPPING_UDP)
		return gateway->udp_ticks;
	if (protocol == MAPPING_ICMP)
		return gateway->icmp_ticks;
	return session->state == SESSION_ESTABLISHED ? gateway->tcp_established_ticks
						     : gateway->tcp_transitory_ticks;
}
