/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Shared SNAT of one flow: its mapping and its session, found or made. */
#pragma once

#include "overload.h"
#include "replicate.h"

static __always_inline struct session_place snat_session_place(const struct party *party, __u32 vm_index,
							       const struct flow *flow)
{
	return (struct session_place){
		.vm = vm_index, .remote = flow->remote, .internal_port = flow->port,
		.remote_port = session_remote_port(party->router, flow->protocol, flow->remote_port),
	};
}

static __always_inline struct mapping_place snat_mapping_place(__u32 vm_index, __u32 address_index,
							       const struct flow *flow)
{
	return (struct mapping_place){
		.vm = vm_index, .address_index = address_index,
		.protocol = flow->protocol, .internal_port = flow->port,
	};
}

/* Whether the VM has spoken with whoever it complains to. */
static __always_inline int snat_find_error(const struct party *party, struct session_place *session,
					   struct snat *snat)
{
	struct mapping *mapping = mapping_at(snat->mapping);

	if (!mapping)
		return REASON_DROP_NO_MAPPING;
	session->mapping = snat->mapping;
	if (session_find(party->gateway, mapping, session) >= 0 || session->known)
		return 0;
	return REASON_DROP_FILTERED;
}

/*
 * An existing translation of the flow that VM `vm_index` sends. 0, or the reason
 * that there is none; an error needs a session with its remote and touches nothing.
 */
static __always_inline int snat_find_outbound(const struct party *party, __u32 vm_index,
					      const struct flow *flow, struct snat *snat)
{
	bool dependent = party->router->mapping == MAPPING_ADDRESS_AND_PORT_DEPENDENT;
	__s64 index = vm_snat_index(party->vm, party->network->router, &snat->address);
	struct session_place session;
	struct mapping_place place;

	if (index < 0)
		return REASON_DROP_NO_MAPPING;
	snat->session = SESSION_NONE;
	place = snat_mapping_place(vm_index, index, flow);
	if (dependent || flow->error)
		session = snat_session_place(party, vm_index, flow);
	if (dependent) {
		snat->session = overload_find(party->vm, &place, &session, party->gateway);
		if (snat->session < 0)
			return REASON_DROP_NO_MAPPING;
	} else if (!mapping_find(party->vm, &place, party->gateway->id)) {
		return REASON_DROP_NO_MAPPING;
	}
	snat->mapping = place.index;
	snat->port = bpf_htons(place.external_port);
	return flow->error && !dependent ? snat_find_error(party, &session, snat) : 0;
}

/* Counts a session that is about to be made. 0, or the limit in the way. */
static __always_inline int snat_admit(const struct party *party)
{
	const struct router *router = party->router;
	__u32 index = party->network->router;
	struct router_state *state = bpf_map_lookup_elem(&router_states, &index);
	struct vm *vm = party->vm;
	int reason = 0;

	if (!state)
		return REASON_DROP_ROUTER_SESSION_LIMIT;
	vm_count_session(vm, index);
	if (router->vm_session_limit && vm->sessions > router->vm_session_limit)
		reason = REASON_DROP_VM_SESSION_LIMIT;
	else if (router->session_limit && state->sessions > router->session_limit)
		reason = REASON_DROP_ROUTER_SESSION_LIMIT;
	else if (router->vm_sessions_per_second && !vm_take_token(vm, router->vm_sessions_per_second))
		reason = REASON_DROP_VM_SESSION_RATE;
	if (reason)
		vm_uncount_session(vm);
	return reason;
}

/* Index of the address of the VM, chosen where it has none of its router's; or -1. */
static __always_inline __s64 snat_address(const struct party *party, __u32 vm_index, struct snat *snat)
{
	__u32 router_index = party->network->router;
	__s64 index = vm_snat_index(party->vm, router_index, &snat->address);

	if (index >= 0)
		return index;
	/* The configuration has taken it away: the old mappings age, the VM starts anew. */
	if (party->vm->snat_address)
		vm_forget_blocks(party->vm);
	if (!vm_choose_address(party->vm, vm_index, party->router, router_index, party->gateway->id))
		return -1;
	return vm_snat_index(party->vm, router_index, &snat->address);
}

static __always_inline int snat_create(const struct party *party, const struct flow *flow, bool found,
				       struct session_place *session, struct snat *snat)
{
	const struct router *router = party->router;
	struct mapping_place place;
	__s64 index;

	if (!found) {
		index = snat_address(party, session->vm, snat);
		if (index < 0)
			return REASON_DROP_PORTS_EXHAUSTED;
		place = snat_mapping_place(session->vm, index, flow);
		if (router->mapping == MAPPING_ADDRESS_AND_PORT_DEPENDENT)
			snat->session = overload_create(party->vm, &place, session, party->gateway,
							router->vm_block_limit);
		else if (!mapping_create(party->vm, &place, party->gateway, router->vm_block_limit))
			return REASON_DROP_PORTS_EXHAUSTED;
		snat->mapping = place.index;
		snat->port = bpf_htons(place.external_port);
		if (router->mapping == MAPPING_ADDRESS_AND_PORT_DEPENDENT)
			return snat->session < 0 ? REASON_DROP_PORTS_EXHAUSTED : 0;
	}
	session->mapping = snat->mapping;
	snat->session = session_create(party->gateway, session);
	return snat->session < 0 ? REASON_DROP_SESSION_TABLE_FULL : 0;
}

/* 0, or the reason. `found`: only the session has to be made. */
static __noinline int snat_make(const struct party *party, __u32 vm_index, const struct flow *flow,
				bool found, struct snat *snat)
{
	struct session_place session = snat_session_place(party, vm_index, flow);
	int reason = snat_admit(party);

	if (reason)
		return reason;
	reason = snat_create(party, flow, found, &session, snat);
	if (session.created)
		count(REASON_SESSION_CREATED, 0);
	else
		vm_uncount_session(party->vm);
	return reason;
}

/* Fills commit_record() where the peer does not hold the VM or the session as they are now. */
static __always_inline void snat_commit(const struct party *party, struct session *session,
					const struct snat *snat, bool *commit)
{
	struct sync_record *record = commit_record();
	bool needed = commit_needs_vm(party->vm, party->gateway);

	needed |= commit_needs_session(session, party->gateway);
	if (!needed || !record)
		return;
	record_export_vm(record, party->vm, party->router, party->virtual_router);
	record_export_session(record, snat->mapping, session, snat->address);
	*commit = true;
}

/*
 * Finds or makes mapping and session, tracks TCP state; 0, or the reason to drop.
 * `found` is what snat_find_outbound() said and `snat` what it filled in. Sets
 * *commit where the record that it has exported has to reach the peer first.
 */
static __always_inline int snat_outbound(const struct party *party, __u32 vm_index,
					 const struct flow *flow, bool found, struct snat *snat,
					 bool *commit)
{
	struct mapping *mapping = found ? mapping_at(snat->mapping) : NULL;
	struct session *session;
	__u8 before;
	int reason;

	if (!found && flow->tcp_flags & TCP_RST)
		return REASON_DROP_NO_MAPPING;
	if (mapping && snat->session < 0) {
		struct session_place place = snat_session_place(party, vm_index, flow);

		place.mapping = snat->mapping;
		snat->session = session_find(party->gateway, mapping, &place);
	}
	if (!mapping || snat->session < 0) {
		reason = snat_make(party, vm_index, flow, mapping, snat);
		if (reason)
			return reason;
		mapping = mapping_at(snat->mapping);
	}
	session = mapping ? session_at(snat->session, mapping, snat->mapping) : NULL;
	if (!session)
		return REASON_DROP_SESSION_TABLE_FULL;
	before = session->state;
	session_track(session, flow->protocol, flow->tcp_flags, true);
	if (before != SESSION_ESTABLISHED && session->state == SESSION_ESTABLISHED)
		count(REASON_SESSION_ESTABLISHED, 0);
	snat_commit(party, session, snat, commit);
	return 0;
}

/* RFC 4787 §5: whether the remote may send to the mapping without being the other end of a session. */
static __always_inline bool snat_admits(const struct router *router, const struct flow *flow,
					const struct session_place *session)
{
	if (router->filtering == FILTERING_ADDRESS_AND_PORT_DEPENDENT)
		return false;
	/* An error speaks of what was sent: somebody has spoken with this remote. */
	return session->known || (router->filtering == FILTERING_ENDPOINT_INDEPENDENT && !flow->error);
}

/*
 * Looks up an inbound flow at address index `address`; 0, DROP_NO_MAPPING or
 * DROP_FILTERED. Needs the party's router and gateway.
 */
static __always_inline int snat_find_inbound(const struct party *party, __u32 address,
					     const struct flow *flow, struct snat *snat)
{
	struct session_place place = snat_session_place(party, 0, flow);
	struct mapping *mapping;
	struct session *session;

	place.mapping = mapping_index(address, flow->protocol, bpf_ntohs(flow->port));
	mapping = mapping_at(place.mapping);
	if (!mapping || !mapping->vm)
		return REASON_DROP_NO_MAPPING;
	*snat = (struct snat){
		.mapping = place.mapping, .session = SESSION_NONE,
		.vm = mapping->vm - 1, .port = mapping->internal_port,
		.is_static = mapping->flags & MAPPING_STATIC,
	};
	if (snat->is_static)
		return 0;
	snat->session = session_find(party->gateway, mapping, &place);
	session = session_at(snat->session, mapping, place.mapping);
	if (session) {
		snat->port = session->internal_port;
		return 0;
	}
	if (place.known)
		snat->port = place.known_port;
	return snat_admits(party->router, flow, &place) ? 0 : REASON_DROP_FILTERED;
}

/*
 * The packet has been forwarded. Not for errors, not for static mappings. A remote
 * that was let in without being the other end of a session changes nothing.
 */
static __always_inline void snat_track_inbound(const struct party *party __attribute__((unused)),
					       const struct flow *flow, const struct snat *snat)
{
	struct mapping *mapping = mapping_at(snat->mapping);
	struct session *session = mapping ? session_at(snat->session, mapping, snat->mapping) : NULL;

	if (session)
		session_track(session, flow->protocol, flow->tcp_flags, false);
}
