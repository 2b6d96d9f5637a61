/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A mapping with one remote endpoint: filtering, TCP state, lifetime. */
#pragma once

#include "mapping.h"

/* Whether a mapping holds sessions of several internal ports, and an internal port several mappings. */
static __always_inline bool session_is_dependent(const struct router *router)
{
	return router->mapping == MAPPING_ADDRESS_AND_PORT_DEPENDENT;
}

/*
 * What tells the sessions of a mapping apart. TCP's state is per connection; for
 * UDP the remote's address is enough (RFC 4787 REQ-8) unless the router asks for more.
 */
static __always_inline __be16 session_remote_port(const struct router *router, __u32 protocol,
						  __be16 port)
{
	if (protocol == MAPPING_TCP)
		return port;
	if (protocol == MAPPING_UDP && (session_is_dependent(router) ||
					router->filtering == FILTERING_ADDRESS_AND_PORT_DEPENDENT))
		return port;
	return 0;
}

/* Where a session is: in its mapping, in a slot of `sessions`, or nowhere. */
#define SESSION_FIRST (1LL << 32)
#define SESSION_NONE (-1LL)

static __always_inline bool session_is(const struct session *session, __be32 remote,
				       __be16 remote_port)
{
	return session->state != SESSION_FREE && session->remote == remote &&
	       session->remote_port == remote_port;
}

/* True for the session itself; one with another port of the same remote is noted. */
static __always_inline bool session_match(const struct session *session, struct session_place *place)
{
	if (session->state == SESSION_FREE || session->remote != place->remote)
		return false;
	if (session->remote_port == place->remote_port)
		return true;
	place->known = true;
	place->known_port = session->internal_port;
	return false;
}

static __always_inline struct session_slot *session_slot_at(__u32 index)
{
	return bpf_map_lookup_elem(&sessions, &index);
}

/*
 * First slot of one of the two buckets in which a session can be: one for all of a
 * mapping with the remote's address, so that one look answers both kinds of
 * filtering, and one that the remote's port leads to, for more than that holds.
 */
static __always_inline __u32 session_bucket(const struct gateway *gateway,
					    const struct session_place *place, __u32 choice)
{
	__u64 hash = ((__u64)place->mapping << 32 | place->remote) ^ gateway->seed[choice & 1];

	hash *= 0x9e3779b97f4a7c15ULL;
	hash ^= hash >> 32;
	hash += (choice & 1) * place->remote_port;
	hash *= 0xd6e8feb86659fd93ULL;
	hash ^= hash >> 32;
	return ((__u32)hash & (gateway->session_buckets - 1)) * SESSION_BUCKET_SIZE;
}

static __always_inline __u32 session_candidate(const struct gateway *gateway,
					       const struct session_place *place, __u32 i)
{
	return session_bucket(gateway, place, i / SESSION_BUCKET_SIZE) + i % SESSION_BUCKET_SIZE;
}

/* The eight bytes that say whose the slot is. */
static __always_inline __u64 session_slot_owner(const struct session_place *place)
{
	return (__u64)(place->vm + 1) << 32 | (place->mapping + 1);
}

/* False for what an earlier mapping has left behind: its remote must not reach whoever has the port now. */
static __always_inline bool session_slot_is_of(const struct session_slot *slot,
					       const struct session_place *place)
{
	return *(const __u64 *)slot == session_slot_owner(place) &&
	       (place->shared || slot->session.internal_port == place->internal_port);
}

/* Index of its slot, which is another than `besides`; or SESSION_NONE. */
__noinline __s64 session_find_beyond_first(const struct gateway *gateway,
					   struct session_place *place, __s64 besides)
{
	if (!gateway || !place)
		return SESSION_NONE;
	for (__u32 i = 0; i < 2 * SESSION_BUCKET_SIZE; i++) {
		__u32 index = session_candidate(gateway, place, i);
		struct session_slot *slot = session_slot_at(index);

		if (slot && session_slot_is_of(slot, place) && index != besides &&
		    session_match(&slot->session, place))
			return index;
	}
	return SESSION_NONE;
}

static __always_inline __s64 session_find(const struct gateway *gateway, struct mapping *mapping,
					  struct session_place *place)
{
	if (session_match(&mapping->first, place))
		return SESSION_FIRST;
	if (!mapping->session_count)
		return SESSION_NONE;
	return session_find_beyond_first(gateway, place, SESSION_NONE);
}

/* NULL where there is none, or it has ended meanwhile. */
static __always_inline struct session *session_at(__s64 where, struct mapping *mapping, __u32 index)
{
	struct session_slot *slot;

	if (where == SESSION_FIRST)
		return &mapping->first;
	slot = where < 0 ? NULL : session_slot_at(where);
	if (!slot || slot->mapping != index + 1)
		return NULL;
	/* The compiler would add the offset before it asks for NULL. */
	asm volatile("" : "+r"(slot));
	return &slot->session;
}

/* The eight bytes that claim it: remote, remote_port, state, flags. */
static __always_inline __u64 *session_claim_word(struct session *session)
{
	return (__u64 *)session;
}

/* The eight bytes that claim a first session go last: whoever claims it next finds the rest clean, and keeps what it writes. */
static __always_inline __u64 session_clear(struct session *session)
{
	session->last_seen = 0;
	session->internal_port = 0;
	session->sequence = 0;
	asm volatile("" ::: "memory");
	return __sync_lock_test_and_set(session_claim_word(session), 0);
}

/* Without a remote it was none, but what a packet wrote that came too late. */
static __always_inline void session_end_first(struct mapping *mapping, __u32 vm_index)
{
	struct vm *vm = vm_at(vm_index);

	if ((__u32)session_clear(&mapping->first) && vm)
		vm_uncount_session(vm);
}

static __always_inline void session_slot_free(struct session_slot *slot)
{
	session_clear(&slot->session);
	asm volatile("" ::: "memory");
	slot->mapping = 0;
}

/* `mapping`: the one that it names, whoever has that now: its count is of slots. */
static __always_inline void session_slot_end(struct session_slot *slot, struct mapping *mapping)
{
	__u32 owner = __sync_lock_test_and_set(&slot->vm, 0);
	struct vm *vm = owner ? vm_at(owner - 1) : NULL;

	if (!owner)
		return;
	if (mapping)
		__sync_fetch_and_add(&mapping->session_count, -1);
	session_slot_free(slot);
	if (vm)
		vm_uncount_session(vm);
}

static __always_inline void session_end_at(__s64 where, struct mapping *mapping, __u32 vm_index)
{
	struct session_slot *slot;

	if (where == SESSION_FIRST) {
		session_end_first(mapping, vm_index);
		return;
	}
	slot = where < 0 ? NULL : session_slot_at(where);
	if (slot)
		session_slot_end(slot, mapping);
}

/*
 * With all of its sessions: those beyond the first that are still there are
 * nobody's, found by nobody, and counted here until ageing comes to them. Only the
 * peer and the configuration end a mapping that has such.
 */
static __always_inline void mapping_free(struct mapping *mapping, __u32 index, __u32 now)
{
	struct vm *vm;
	__u32 owner;

	/* It rests from here on: nobody takes it before it is clean. */
	mapping->last_seen = now;
	owner = __sync_lock_test_and_set(mapping_owner_word(mapping), 0);
	if (!owner)
		return;
	session_end_first(mapping, owner - 1);
	vm = vm_at(owner - 1);
	if (vm)
		__sync_fetch_and_add(&vm->mapping_count, -1);
	port_block_count(mapping_address_index(index), index & 0xffff, -1, now);
	if (!mapping_may_rest())
		__sync_val_compare_and_swap(&mapping->last_seen, now, 0);
}

static __noinline int mapping_end(__u32 index, __u32 now)
{
	struct mapping *mapping = mapping_at(index);

	if (mapping)
		mapping_free(mapping, index, now);
	return 0;
}

/* Whether the first of its buckets has one with its remote's address. */
static __always_inline bool session_address_is_there(const struct gateway *gateway,
						     const struct session_place *place)
{
	for (__u32 i = 0; i < SESSION_BUCKET_SIZE; i++) {
		struct session_slot *slot = session_slot_at(session_candidate(gateway, place, i));

		if (slot && session_slot_is_of(slot, place) && slot->session.remote == place->remote)
			return true;
	}
	return false;
}

/* Index of a slot that is the session's from now on, or SESSION_NONE. */
static __always_inline __s64 session_take_slot(const struct gateway *gateway,
					       const struct session_place *place)
{
	/* One of each address is enough to know it by: the others leave room for that. */
	__u32 second = session_address_is_there(gateway, place) ? SESSION_BUCKET_SIZE : 0;

	for (__u32 i = 0; i < 2 * SESSION_BUCKET_SIZE; i++) {
		__u32 index = session_candidate(gateway, place, i ^ second);
		struct session_slot *slot = session_slot_at(index);

		if (slot && !slot->mapping &&
		    !__sync_val_compare_and_swap(&slot->mapping, 0, place->mapping + 1))
			return index;
	}
	return SESSION_NONE;
}

/* Takes back what cannot stay. Where ageing was faster, it has also taken it off the count. */
static __always_inline __s64 session_withdraw(struct session_slot *slot, struct mapping *mapping,
					      struct session_place *place)
{
	place->created = !__sync_lock_test_and_set(&slot->vm, 0);
	if (place->created)
		return SESSION_NONE;
	__sync_fetch_and_add(&mapping->session_count, -1);
	session_slot_free(slot);
	return SESSION_NONE;
}

static __always_inline __s64 session_create_beyond_first(const struct gateway *gateway,
							 struct mapping *mapping,
							 struct session_place *place)
{
	__s64 index = session_take_slot(gateway, place);
	struct session_slot *slot = index < 0 ? NULL : session_slot_at(index);

	if (!slot)
		return SESSION_NONE;
	slot->session = (struct session){
		.remote = place->remote, .remote_port = place->remote_port,
		.internal_port = place->internal_port, .last_seen = tick_now(),
	};
	/* Whoever ends it takes it off: not before it is there. */
	__sync_fetch_and_add(&mapping->session_count, 1);
	slot->vm = place->vm + 1;
	asm volatile("" ::: "memory");
	slot->session.state = SESSION_TRANSITORY;
	/* One of the same name on another CPU at the same time: one of both sees the other, and goes. */
	if (mapping->vm != place->vm + 1 || session_match(&mapping->first, place) ||
	    session_find_beyond_first(gateway, place, index) >= 0)
		return session_withdraw(slot, mapping, place);
	place->created = true;
	return index;
}

/*
 * Where the session is now, or SESSION_NONE where the table has no room:
 * established sessions never make way. The caller has counted it, and takes that
 * back unless place->created: then whoever ends it does.
 */
__noinline __s64 session_create(const struct gateway *gateway, struct session_place *place)
{
	struct mapping *mapping;
	__u64 claim;

	if (!gateway || !place)
		return SESSION_NONE;
	mapping = mapping_at(place->mapping);
	if (!mapping || mapping->vm != place->vm + 1)
		return SESSION_NONE;
	claim = (__u64)SESSION_TRANSITORY << 48 | (__u64)place->remote_port << 32 | place->remote;
	if (__sync_val_compare_and_swap(session_claim_word(&mapping->first), 0, claim)) {
		/* Another CPU was faster for the same remote. */
		if (session_is(&mapping->first, place->remote, place->remote_port))
			return SESSION_FIRST;
		return session_create_beyond_first(gateway, mapping, place);
	}
	mapping->first.last_seen = tick_now();
	mapping->first.internal_port = place->internal_port;
	/* Freed by ageing at this very moment, or made beyond the first on another CPU. */
	if (mapping->vm != place->vm + 1 ||
	    (mapping->session_count && session_find_beyond_first(gateway, place, SESSION_NONE) >= 0)) {
		place->created = !session_clear(&mapping->first);
		return SESSION_NONE;
	}
	place->created = true;
	return SESSION_FIRST;
}

/*
 * RFC 7857 §2: a reset or both FINs make a connection transitory, a new SYN
 * starts another. Anybody can make up a reset; only who has not got one goes on
 * acknowledging, and that undoes it.
 */
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
		 session->state != SESSION_ESTABLISHED)
		session->state = SESSION_ESTABLISHED;
}

static __always_inline void session_track(struct session *session, __u32 protocol, __u8 tcp_flags,
					  bool outbound, __u32 now)
{
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
