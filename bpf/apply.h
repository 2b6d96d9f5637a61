/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The peer's records into our tables, and our own back home as acknowledged. */
#pragma once

#include "replicate.h"

/* Split brain is harmless: an Active that another one has followed is told so, after a grace for its stragglers. */
static __always_inline bool record_is_fenced(const struct sync_record *record)
{
	__u32 id = record->virtual_router, term = bpf_ntohl(record->term), known;
	struct virtual_router *router = bpf_map_lookup_elem(&virtual_routers, &id);

	if (!router)
		return true;
	known = router->term;
	if (term > known) {
		/* Exchanged: the control plane writes state and term as one word, and may be doing so. */
		if (router->state != VIRTUAL_ROUTER_ACTIVE)
			__sync_val_compare_and_swap(&router->term, known, term);
		return false;
	}
	return term < known && router->state == VIRTUAL_ROUTER_ACTIVE &&
	       bpf_ktime_get_ns() > router->active_since_ns + FORMER_ACTIVE_GRACE_NS;
}

static __always_inline struct vm *record_find_vm(const struct sync_record *record, __u32 *index)
{
	__u32 vni = bpf_ntohl(record->vni);
	__u32 *network = bpf_map_lookup_elem(&network_by_vni, &vni);

	return network ? vm_find_or_create(vni, record->internal_address, *network, index) : NULL;
}

/*
 * Whether we are the Active that the record's sender follows: a standby that sends
 * all it has after a silence, or the former Active with its stragglers. Packets
 * pass here and not there, so what it says adds to our tables and changes nothing
 * that we know better: when a session was last seen, where a VM lives, which port
 * an endpoint has.
 */
static __always_inline bool record_meets_active(const struct sync_record *record)
{
	__u32 id = record->virtual_router;
	struct virtual_router *router = bpf_map_lookup_elem(&virtual_routers, &id);

	return router && router->state == VIRTUAL_ROUTER_ACTIVE &&
	       bpf_ntohl(record->term) <= router->term;
}

static __always_inline bool vm_has_blocks(const struct vm *vm)
{
	__u32 blocks = 0;

	for (__u32 n = 0; n < GATEWAYS * VM_PORT_BLOCKS; n++)
		blocks |= vm->blocks[n];
	return blocks;
}

static __always_inline void record_import_vm(const struct sync_record *record, struct vm *vm,
					     bool active)
{
	if (!record->tunnel_endpoint || record->option_length > GENEVE_OVN_LENGTH)
		return;
	/* Mappings are found by the key: a straggler's must not hide those of the new Active. */
	if (!active || !vm_has_blocks(vm))
		vm->port_key = bpf_ntohl(record->port_key);
	if (active && vm->tunnel_endpoint)
		return;
	__builtin_memcpy(vm->mac, record->mac, 6);
	__builtin_memcpy(vm->next_hop_mac, record->next_hop_mac, 6);
	__builtin_memcpy(vm->option, record->option, 8);
	vm->option_length = record->option_length;
	vm->tunnel_endpoint = record->tunnel_endpoint;
	vm->last_seen = tick_now();
	vm->flags |= VM_COMMITTED;
}

/* The slot that a record names, or -1 where its address is not a router's here. */
static __always_inline __s64 record_mapping_index(const struct sync_record *record)
{
	__be32 address = record->external_address;
	struct external_address *external = bpf_map_lookup_elem(&external_addresses, &address);

	if (!external || external->kind != EXTERNAL_ROUTER || record->protocol >= MAPPING_PROTOCOLS)
		return -1;
	return mapping_index(external->index, record->protocol, bpf_ntohs(record->external_port));
}

static __always_inline void session_slot_free(struct session_slot *slot, struct mapping *mapping)
{
	session_clear(&slot->session);
	slot->mapping = 0;
	if (mapping && mapping->session_count)
		__sync_fetch_and_add(&mapping->session_count, -1);
}

struct mapping_end_walk {
	__u32 mapping;                /* index + 1 */
};

static long mapping_end_step(__u32 i, struct mapping_end_walk *walk)
{
	struct session_slot *slot = session_slot_at(i);

	if (!slot)
		return 1;
	if (slot->mapping == walk->mapping)
		session_slot_free(slot, NULL);
	return 0;
}

/*
 * Frees a mapping with all of its sessions: one left behind would let its remote
 * through to whoever gets the port next. Only the peer ends a mapping that still
 * has sessions beyond the first, so the walk over the table is rare.
 */
static __noinline int mapping_end(__u32 index, const struct gateway *gateway)
{
	struct mapping_end_walk walk = { .mapping = index + 1 };
	struct mapping *mapping = mapping_at(index);

	if (!mapping || !gateway)
		return 0;
	if (mapping->session_count)
		bpf_loop(gateway->session_buckets * SESSION_BUCKET_SIZE, mapping_end_step, &walk, 0);
	mapping_free(mapping, index);
	return 0;
}

/*
 * Who allocated a port decides about it: within the sender's own blocks its
 * record replaces whatever we still have, elsewhere only what is free or the same.
 */
static __always_inline bool record_take_mapping(const struct sync_record *record, __u32 vm_index,
						struct vm *vm, __u32 index, struct mapping *mapping,
						const struct gateway *gateway)
{
	__u64 owner = mapping_owner(vm_index, record->internal_port);
	__u32 port = index & 0xffff, address_index = index / 65536 / MAPPING_PROTOCOLS;
	__u32 number = port / PORT_BLOCK_SIZE;
	struct port_block *block = port_block_at(address_index, number);

	if (!block)
		return false;
	if (*mapping_owner_word(mapping) != owner) {
		if (mapping->vm) {
			if (port_block_owner(number) == gateway->id)
				return false;
			mapping_end(index, gateway);
		}
		if (__sync_val_compare_and_swap(mapping_owner_word(mapping), 0, owner))
			return false;
		mapping->last_seen = tick_now();
		port_block_count(address_index, port, 1);
	}
	block->vm = vm_index + 1;
	return vm_note_block(vm, number);
}

/* What the sender knows of a session that passes here: that it holds it, and perhaps that it got further. */
static __always_inline void session_merge(struct session *session, const struct sync_record *record)
{
	__u32 seen = tick_now() - bpf_ntohl(record->idle);

	session->flags |= (record->session_flags & SESSION_REPLIED) | SESSION_COMMITTED;
	if (record->state == SESSION_ESTABLISHED) {
		session->flags |= SESSION_ESTABLISHED_COMMITTED;
		if (session->state == SESSION_TRANSITORY)
			session->state = SESSION_ESTABLISHED;
	}
	if ((__s32)(seen - session->last_seen) > 0)
		session->last_seen = seen;
}

static __always_inline bool record_import_session(const struct sync_record *record, __u32 vm_index,
						  struct vm *vm, const struct gateway *gateway,
						  bool active)
{
	__s64 index = record_mapping_index(record);
	struct session_place place;
	struct mapping *mapping;
	struct session *session;

	if (index < 0)
		return false;
	mapping = mapping_at(index);
	if (!mapping || !record_take_mapping(record, vm_index, vm, index, mapping, gateway))
		return false;
	place = (struct session_place){
		.mapping = index, .remote = record->remote, .remote_port = record->remote_port,
	};
	session = session_find(gateway, mapping, &place);
	if (session && active) {
		session_merge(session, record);
		return true;
	}
	if (!session)
		session = session_create(gateway, mapping, &place);
	if (!session)
		return false;
	session->state = record->state;
	session->flags = record->session_flags | SESSION_COMMITTED;
	if (record->state == SESSION_ESTABLISHED)
		session->flags |= SESSION_ESTABLISHED_COMMITTED;
	session->last_seen = tick_now() - bpf_ntohl(record->idle);
	session->term = bpf_ntohl(record->term);
	return true;
}

static __always_inline bool record_delete(const struct sync_record *record,
					  const struct gateway *gateway)
{
	__s64 index = record_mapping_index(record);
	struct session_place place;
	struct session_slot *slot;
	struct mapping *mapping;
	struct vm *vm;

	if (index < 0)
		return false;
	mapping = mapping_at(index);
	if (!mapping || !mapping->vm)
		return true;
	vm = vm_at(mapping->vm - 1);
	/* Named by what it maps: the port may have been given to another meanwhile. */
	if (!vm || vm->vni != bpf_ntohl(record->vni) || vm->address != record->internal_address ||
	    mapping->internal_port != record->internal_port)
		return true;
	if (!record->remote) {
		mapping_end(index, gateway);
		return true;
	}
	place = (struct session_place){
		.mapping = index, .remote = record->remote, .remote_port = record->remote_port,
	};
	if (session_is(&mapping->first, place.remote, place.remote_port)) {
		session_clear(&mapping->first);
		return true;
	}
	slot = session_slot_beyond_first(gateway, &place);
	if (slot)
		session_slot_free(slot, mapping);
	return true;
}

/*
 * An internal endpoint has one mapping (RFC 4787 REQ-1). One that a lost commit
 * or a time alone left here would be found first after a takeover, and move
 * every connection of its endpoint to another port: what the Active says ends it.
 * The Active itself keeps its own and refuses the other.
 *
 * Inlined for the stack: Linux 6.1 rounds every frame up to 32 bytes, and the
 * calls from ha_xdp() to mapping_find() share 512.
 */
static __always_inline int record_end_rivals(const struct sync_record *record, const struct vm *vm,
					__u32 vm_index, const struct gateway *gateway,
					bool active)
{
	__s64 index = record_mapping_index(record);

	if (index < 0)
		return 0;
	for (__u32 id = 0; id < GATEWAYS; id++) {
		struct mapping_place place = {
			.vm = vm_index, .address_index = (__u32)index / 65536 / MAPPING_PROTOCOLS,
			.protocol = record->protocol, .internal_port = record->internal_port,
		};

		if (!mapping_find(vm, &place, id) || place.index == index)
			continue;
		if (active)
			return SYNC_REFUSED;
		mapping_end(place.index, gateway);
	}
	return 0;
}

/* 0, or the sync_flag that says what became of it. Idempotent: a repeated record changes nothing more. */
__noinline __u32 record_apply(const struct sync_record *record)
{
	__u32 zero = 0, vm_index = 0;
	struct gateway *gateway = bpf_map_lookup_elem(&gateways, &zero);
	struct vm *vm;
	bool active;

	if (!gateway || !record)
		return SYNC_UNAPPLIED;
	if (record_is_fenced(record))
		return SYNC_REFUSED;
	active = record_meets_active(record);
	/* Who is Active decides about ends: what the former one ended on its way out will end here by itself. */
	if (record->kind == RECORD_DELETE)
		return active || record_delete(record, gateway) ? 0 : SYNC_UNAPPLIED;
	vm = record_find_vm(record, &vm_index);
	if (!vm)
		return SYNC_UNAPPLIED;
	/* Before its key may change: the rivals are found by the old one. */
	if (record->kind == RECORD_SESSION &&
	    record_end_rivals(record, vm, vm_index, gateway, active))
		return SYNC_REFUSED;
	record_import_vm(record, vm, active);
	if (record->kind == RECORD_VM)
		return 0;
	if (record->kind != RECORD_SESSION || record->state == SESSION_FREE ||
	    record->state > SESSION_CLOSING || !record->remote)
		return SYNC_UNAPPLIED;
	return record_import_session(record, vm_index, vm, gateway, active) ? 0 : SYNC_UNAPPLIED;
}

/* Our own record has come home: what it says is held twice now. */
__noinline int record_acknowledge(const struct sync_record *record)
{
	__u32 zero = 0, vm_index;
	struct gateway *gateway = bpf_map_lookup_elem(&gateways, &zero);
	struct session_place place;
	struct mapping *mapping;
	struct session *session;
	struct vm *vm;
	__s64 index;

	if (!record || !gateway || record->kind == RECORD_DELETE)
		return 0;
	vm = vm_find(bpf_ntohl(record->vni), record->internal_address, &vm_index);
	if (!vm)
		return 0;
	if (vm->tunnel_endpoint == record->tunnel_endpoint && mac_equal(vm->mac, record->mac))
		vm->flags |= VM_COMMITTED;
	if (record->kind != RECORD_SESSION)
		return 0;
	index = record_mapping_index(record);
	if (index < 0)
		return 0;
	mapping = mapping_at(index);
	if (!mapping)
		return 0;
	place = (struct session_place){
		.mapping = index, .remote = record->remote, .remote_port = record->remote_port,
	};
	session = session_find(gateway, mapping, &place);
	if (!session)
		return 0;
	session->flags |= SESSION_COMMITTED;
	if (record->state == SESSION_ESTABLISHED)
		session->flags |= SESSION_ESTABLISHED_COMMITTED;
	return 0;
}
