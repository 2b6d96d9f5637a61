/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Address-and-port-dependent mappings (RFC 4787 §4.1): one external port for as
 * many internal ones as there are remotes that tell them apart. A port below
 * 1024 is too rare for that: it serves one internal port, whatever the remote.
 */
#pragma once

#include "session.h"

static __always_inline __u32 overload_start(const struct vm *vm, const struct mapping_place *place,
					    const struct session_place *session)
{
	return port_hash(vm, place->internal_port, place->protocol, session->remote,
			 session->remote_port);
}

/* The i-th slot of a block; steps differ from start to start, or long runs of taken slots would form. */
static __always_inline struct mapping *overload_probe(struct mapping_place *place, __u32 block,
						      __u32 start, __u32 i)
{
	__u32 step = (start / PORT_BLOCK_SIZE | 1) * port_step(place->protocol);

	return mapping_probe_port(place, block * PORT_BLOCK_SIZE + (start + i * step) % PORT_BLOCK_SIZE);
}

/* Where the session is if it is in this mapping, and its own: not that of another port with the same remote. */
static __always_inline __s64 overload_find_in(const struct mapping_place *place,
					      struct mapping *mapping, struct session_place *place_in,
					      const struct gateway *gateway)
{
	struct session *session;
	__s64 where;

	if (mapping->vm != place->vm + 1 || mapping->flags & MAPPING_STATIC)
		return SESSION_NONE;
	place_in->mapping = place->index;
	where = session_find(gateway, mapping, place_in);
	session = session_at(where, mapping, place->index);
	return session && session->internal_port == place->internal_port ? where : SESSION_NONE;
}

/* Where the session is, or SESSION_NONE. place->index is its mapping. */
__noinline __s64 overload_find(const struct vm *vm, struct mapping_place *place,
			       struct session_place *session, const struct gateway *gateway)
{
	struct mapping *mapping;
	__u32 start;
	__s64 where;

	if (!vm || !place || !session || !gateway)
		return SESSION_NONE;
	if (mapping_is_low(place) && mapping_find_low(vm, place, gateway->id)) {
		mapping = mapping_at(place->index);
		where = mapping ? overload_find_in(place, mapping, session, gateway) : SESSION_NONE;
		if (where >= 0)
			return where;
	}
	start = overload_start(vm, place, session);
	for (__u32 n = 0; n < GATEWAYS * VM_PORT_BLOCKS; n++) {
		__u32 block = vm->blocks[(gateway->id * VM_PORT_BLOCKS + n) & 15];

		if (!block)
			continue;
		for (__u32 i = 0; i < PORT_PROBES; i++) {
			mapping = overload_probe(place, block, start, i);
			where = mapping ? overload_find_in(place, mapping, session, gateway)
					: SESSION_NONE;
			if (where >= 0)
				return where;
		}
	}
	return SESSION_NONE;
}

/* False where no slot of the VM's is free. place->index is its mapping from now on. */
__noinline bool overload_create_free(struct vm *vm, struct mapping_place *place,
				     const struct session_place *session,
				     const struct gateway *gateway, __u32 block_limit)
{
	__u64 owner;
	__u32 start;

	if (!vm || !place || !session || !gateway)
		return false;
	if (mapping_is_low(place) &&
	    (mapping_find_low(vm, place, gateway->id) || mapping_create_low(vm, place, gateway)))
		return true;
	owner = mapping_owner(place->vm, place->internal_port);
	start = overload_start(vm, place, session);
	for (__u32 n = 0; n < VM_PORT_BLOCKS; n++) {
		__u32 block = mapping_block(vm, place, gateway->id, n, block_limit);

		if (!block)
			return false;
		for (__u32 i = 0; i < PORT_PROBES; i++) {
			struct mapping *mapping = overload_probe(place, block, start, i);

			if (mapping &&
			    mapping_is_takeable(mapping, tick_now(), gateway->hold_down_ticks) &&
			    mapping_claim(vm, mapping, place->index, owner))
				return true;
		}
	}
	return false;
}

/*
 * Makes the session in a slot of the VM's that no other of its ports uses for
 * this remote. SESSION_NONE where the VM's ports are exhausted for it.
 */
__noinline __s64 overload_create_shared(const struct vm *vm, struct mapping_place *place,
					struct session_place *session,
					const struct gateway *gateway)
{
	__u32 start;

	if (!vm || !place || !session || !gateway)
		return SESSION_NONE;
	start = overload_start(vm, place, session);
	for (__u32 n = 0; n < VM_PORT_BLOCKS; n++) {
		__u32 block = vm->blocks[(gateway->id * VM_PORT_BLOCKS + n) & 15];

		if (!block)
			continue;
		for (__u32 i = 0; i < PORT_PROBES; i++) {
			struct mapping *mapping = overload_probe(place, block, start, i);
			__s64 where;

			if (!mapping || mapping->vm != place->vm + 1 ||
			    mapping->flags & MAPPING_STATIC)
				continue;
			session->mapping = place->index;
			if (session_find(gateway, mapping, session) >= 0)
				continue;
			where = session_create(gateway, session);
			if (where >= 0)
				return where;
		}
	}
	return SESSION_NONE;
}
