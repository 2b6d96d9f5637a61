/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Shared SNAT of one flow: its mapping and its session, found or made. */
#pragma once

#include "overload.h"
#include "replicate.h"

static __always_inline void snat_place_session(const struct router *router, __u32 vm_index,
					       const struct flow *flow, __be16 internal_port,
					       struct snat *snat)
{
	snat->session = SESSION_NONE;
	snat->session_place = (struct session_place){
		.vm = vm_index, .remote = flow->remote, .internal_port = internal_port,
		.remote_port = session_remote_port(router, flow->protocol, flow->remote_port),
		.shared = session_is_dependent(router),
	};
}

static __always_inline void snat_place_mapping(__u32 vm_index, __u32 address_index,
					       const struct flow *flow, struct snat *snat)
{
	snat->mapping_place = (struct mapping_place){
		.vm = vm_index, .address_index = address_index,
		.protocol = flow->protocol, .internal_port = flow->port,
	};
}

/* Takes over where the mapping is. */
static __always_inline void snat_take_place(struct snat *snat)
{
	snat->mapping = snat->mapping_place.index;
	snat->session_place.mapping = snat->mapping_place.index;
	snat->port = bpf_htons(snat->mapping_place.external_port);
}

/* Whether the VM has spoken with whoever it complains to. */
static __always_inline int snat_find_error(const struct party *party, struct snat *snat)
{
	struct mapping *mapping = mapping_at(snat->mapping);

	if (!mapping)
		return REASON_DROP_NO_MAPPING;
	if (session_find(party->gateway, mapping, &snat->session_place) >= 0 ||
	    snat->session_place.known)
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
	bool dependent = session_is_dependent(party->router);
	__s64 index = vm_snat_index(party->vm, party->network->router, &snat->address);

	if (index < 0)
		return REASON_DROP_NO_MAPPING;
	snat_place_session(party->router, vm_index, flow, flow->port, snat);
	snat_place_mapping(vm_index, index, flow, snat);
	if (dependent) {
		snat->session = overload_find(party->vm, &snat->mapping_place, &snat->session_place,
					      party->gateway);
		if (snat->session < 0)
			return REASON_DROP_NO_MAPPING;
	} else if (!mapping_is_first(party->vm, &snat->mapping_place, party->gateway->id) &&
		   !mapping_find(party->vm, &snat->mapping_place, party->gateway->id)) {
		return REASON_DROP_NO_MAPPING;
	}
	snat_take_place(snat);
	return flow->error && !dependent ? snat_find_error(party, snat) : 0;
}

/* Whether what snat_find_outbound() found is a session with this very remote, not only a mapping. */
static __always_inline bool snat_has_session(const struct party *party, struct snat *snat)
{
	struct mapping *mapping = mapping_at(snat->mapping);

	if (mapping && snat->session < 0)
		snat->session = session_find(party->gateway, mapping, &snat->session_place);
	return mapping && snat->session >= 0;
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

/* A session in a mapping of its own, or else in one of other ports of the VM. */
static __always_inline int snat_create_dependent(const struct party *party, struct snat *snat)
{
	if (overload_create_free(party->vm, &snat->mapping_place, &snat->session_place, party->gateway,
				 party->router->vm_block_limit)) {
		snat->session_place.mapping = snat->mapping_place.index;
		snat->session = session_create(party->gateway, &snat->session_place);
	}
	if (snat->session < 0)
		snat->session = overload_create_shared(party->vm, &snat->mapping_place,
						       &snat->session_place, party->gateway);
	if (snat->session < 0)
		return REASON_DROP_PORTS_EXHAUSTED;
	snat_take_place(snat);
	return 0;
}

static __always_inline int snat_create(const struct party *party, __u32 vm_index,
				       const struct flow *flow, bool found, struct snat *snat)
{
	__s64 index;

	if (!found) {
		index = snat_address(party, vm_index, snat);
		if (index < 0)
			return REASON_DROP_PORTS_EXHAUSTED;
		snat_place_mapping(vm_index, index, flow, snat);
		if (session_is_dependent(party->router))
			return snat_create_dependent(party, snat);
		if (!mapping_create(party->vm, &snat->mapping_place, party->gateway,
				    party->router->vm_block_limit))
			return REASON_DROP_PORTS_EXHAUSTED;
		snat_take_place(snat);
	}
	snat->session = session_create(party->gateway, &snat->session_place);
	return snat->session < 0 ? REASON_DROP_SESSION_TABLE_FULL : 0;
}

/* 0, or the reason. `found`: only the session has to be made. */
static __noinline int snat_make(const struct party *party, __u32 vm_index, const struct flow *flow,
				bool found, struct snat *snat)
{
	int reason = snat_admit(party);

	if (reason)
		return reason;
	snat_place_session(party->router, vm_index, flow, flow->port, snat);
	snat->session_place.mapping = snat->mapping;
	reason = snat_create(party, vm_index, flow, found, snat);
	if (snat->session_place.created)
		count(REASON_SESSION_CREATED, 0);
	else
		vm_uncount_session(party->vm);
	return reason;
}

/* Fills commit_record() where the peer does not hold the VM or the session as they are now. */
static __always_inline void snat_commit(const struct party *party, struct session *session,
					const struct snat *snat, bool *commit)
{
	bool needed = commit_needs_vm(party->vm, party->gateway);
	struct sync_record *record;

	needed |= commit_needs_session(session, party->gateway);
	if (!needed)
		return;
	record = commit_record();
	if (!record)
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
					 const struct flow *flow, bool found, __u32 now,
					 struct snat *snat, bool *commit)
{
	struct mapping *mapping = found ? mapping_at(snat->mapping) : NULL;
	struct session *session;
	__u8 before;
	int reason;

	if (!found && flow->tcp_flags & TCP_RST)
		return REASON_DROP_NO_MAPPING;
	if (mapping && snat->session < 0)
		snat->session = session_find(party->gateway, mapping, &snat->session_place);
	/*
	 * The end of a connection is not the beginning of one (RFC 7857 §2), but may be what
	 * the remote waits for: where filtering lets it in without a session, so it is refused.
	 */
	if (mapping && snat->session < 0 && flow->tcp_flags & TCP_RST)
		return 0;
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
	session_track(session, flow->protocol, flow->tcp_flags, true, now);
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
	__u32 index = mapping_index(address, flow->protocol, bpf_ntohs(flow->port));
	struct mapping *mapping = mapping_at(index);
	struct session *session;

	if (!mapping || !mapping->vm)
		return REASON_DROP_NO_MAPPING;
	snat->mapping = index;
	snat->vm = mapping->vm - 1;
	snat->port = mapping->internal_port;
	snat->is_static = mapping->flags & MAPPING_STATIC;
	if (snat->is_static)
		return 0;
	snat_place_session(party->router, snat->vm, flow, snat->port, snat);
	snat->session_place.mapping = index;
	snat->session = session_find(party->gateway, mapping, &snat->session_place);
	session = session_at(snat->session, mapping, index);
	if (session) {
		snat->port = session->internal_port;
		return 0;
	}
	if (snat->session_place.known)
		snat->port = snat->session_place.known_port;
	return snat_admits(party->router, flow, &snat->session_place) ? 0 : REASON_DROP_FILTERED;
}

/*
 * The packet has been forwarded. Not for errors, not for static mappings. A remote
 * that was let in without being the other end of a session changes nothing.
 */
static __always_inline void snat_track_inbound(const struct flow *flow, const struct snat *snat,
					       __u32 now)
{
	struct mapping *mapping = mapping_at(snat->mapping);
	struct session *session = mapping ? session_at(snat->session, mapping, snat->mapping) : NULL;

	if (session)
		session_track(session, flow->protocol, flow->tcp_flags, false, now);
}
