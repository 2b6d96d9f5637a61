/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The peer's records into our tables, and our own back home as acknowledged. */
#pragma once

#include "replicate.h"

/* Far longer than a frame is on its way; what was stamped before is no younger, whatever its bits say. */
#define RECORD_LATE_TICKS 4
/* Beside enum sync_flag, and told to nobody: what the record says is over, as a later one has said. */
#define RECORD_OVERTAKEN 0x100

static __always_inline __u32 record_stamp(__u32 sequence)
{
	return tick_now() << RECORD_STAMP_SHIFT | (sequence & ((1u << RECORD_STAMP_SHIFT) - 1));
}

/*
 * Whether a record is older than what stands here. Frames overtake each other: one
 * of a walk, which user space sends, is behind the commits of the same moment, and
 * what the peer does not hold afterwards nobody tells it again. Such a record adds
 * and takes nothing back. A peer that has restarted counts anew: what passes for
 * late then is merged for some seconds. So far that the replay window is left,
 * nothing is late.
 */
static __always_inline bool record_is_late(__u32 stamp, __u32 sequence)
{
	__u32 ahead = (stamp - sequence) & ((1u << RECORD_STAMP_SHIFT) - 1);
	__u8 ticks = tick_now() - (stamp >> RECORD_STAMP_SHIFT);

	return ahead && ahead <= SYNC_WINDOW && ticks <= RECORD_LATE_TICKS;
}

/* A session has room for 16 bits: on a busy link one in four newer records passes for late, and is merged. */
static __always_inline bool record_is_late_for(const struct session *session, __u32 sequence)
{
	__u16 ahead = session->sequence - sequence;

	return ahead && ahead <= SYNC_WINDOW && tick_now() - session->last_seen <= RECORD_LATE_TICKS;
}

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

static __always_inline struct router *record_find_router(const struct sync_record *record,
							 __u32 *network_index, __u32 *router_index)
{
	__u32 vni = bpf_ntohl(record->vni);
	__u32 *index = bpf_map_lookup_elem(&network_by_vni, &vni);
	struct network *network = index ? bpf_map_lookup_elem(&networks, index) : NULL;

	if (!network || network->vni != vni)
		return NULL;
	*network_index = *index;
	*router_index = network->router;
	return bpf_map_lookup_elem(&routers, router_index);
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

/* What the configuration says of a VM it has said here as well; only the way there is learned. */
static __always_inline void record_import_way(const struct sync_record *record, struct vm *vm)
{
	if (record->tunnel_endpoint != vm->tunnel_endpoint || mac_is_zero(record->next_hop_mac))
		return;
	__builtin_memcpy(vm->next_hop_mac, record->next_hop_mac, 6);
	__builtin_memcpy(vm->option, record->option, 8);
	vm->option_length = record->option_length;
	__sync_fetch_and_or(&vm->flags, VM_COMMITTED);
}

/* `keep`: what stands here is better known. */
static __always_inline void record_import_vm(const struct sync_record *record, struct vm *vm,
					     bool keep, __u32 sequence)
{
	if (!record->tunnel_endpoint || record->option_length > TUNNEL_OPTION_LENGTH)
		return;
	/* Mappings are found by the key: a straggler's must not hide those of the new Active. */
	if (!keep || !vm_has_ports(vm))
		vm->port_key = bpf_ntohl(record->port_key);
	if (keep && vm->tunnel_endpoint && !mac_is_zero(vm->next_hop_mac))
		return;
	vm->stamp = record_stamp(sequence);
	vm->last_seen = tick_now();
	if (vm->flags & VM_PINNED) {
		record_import_way(record, vm);
		return;
	}
	__builtin_memcpy(vm->mac, record->mac, 6);
	__builtin_memcpy(vm->next_hop_mac, record->next_hop_mac, 6);
	__builtin_memcpy(vm->option, record->option, 8);
	vm->option_length = record->option_length;
	vm->tunnel_endpoint = record->tunnel_endpoint;
	__sync_fetch_and_or(&vm->flags, VM_COMMITTED);
}

/* The slot that a record names, or -1 where its address is not one of its router's here. */
__noinline __s64 record_mapping_index(const struct sync_record *record)
{
	struct external_key key = {};
	struct external_address *external;
	struct external_network *network;
	__u32 index, router_index;
	struct snat_address *snat;
	struct router *router;

	if (!record || record->protocol >= MAPPING_PROTOCOLS)
		return -1;
	router = record_find_router(record, &index, &router_index);
	if (!router)
		return -1;
	index = router->external_network;
	network = bpf_map_lookup_elem(&external_networks, &index);
	if (!network)
		return -1;
	key.address = record->external_address;
	key.vlan = network->vlan;
	external = bpf_map_lookup_elem(&external_addresses, &key);
	if (!external || external->kind != EXTERNAL_ROUTER)
		return -1;
	index = external->index;
	snat = bpf_map_lookup_elem(&snat_addresses, &index);
	if (!snat || snat->address != key.address || snat->router != router_index)
		return -1;
	return mapping_index(index, record->protocol, bpf_ntohs(record->external_port));
}

/*
 * A VM has one address (RFC 4787 REQ-2). Where it has got another here, the Active
 * keeps its own and refuses the other; elsewhere what the Active says holds, and
 * the mappings at the old address age. 0, or the sync_flag.
 */
static __always_inline __u32 record_take_address(struct vm *vm, __u32 router_index,
						 __u32 address_index, bool active, bool late)
{
	__be32 address;

	if (vm->snat_address == address_index + 1)
		return 0;
	if (vm->snat_address) {
		if (late)
			return RECORD_OVERTAKEN;
		if (active && vm_snat_index(vm, router_index, &address) >= 0)
			return SYNC_REFUSED;
		vm_forget_blocks(vm);
	}
	return __sync_val_compare_and_swap(&vm->snat_address, 0, address_index + 1) ? SYNC_REFUSED : 0;
}

/*
 * Who allocated a port decides about it: within the sender's own blocks its
 * record replaces whatever we still have, elsewhere only what is free or the same.
 * Forwardings are the configuration's and never replaced. 0, or the sync_flag.
 */
static __always_inline __u32 record_take_mapping(const struct sync_record *record,
						struct session_place *place, struct vm *vm,
						const struct gateway *gateway, __u32 sequence)
{
	__u64 owner = mapping_owner(place->vm, record->internal_port);
	__u32 number = (place->mapping & 0xffff) / PORT_BLOCK_SIZE;
	struct port_block *block = port_block_at(mapping_address_index(place->mapping), number);
	struct mapping *mapping = mapping_at(place->mapping);
	bool same;

	if (!block || !mapping || mapping->flags & MAPPING_STATIC)
		return SYNC_UNAPPLIED;
	same = *mapping_owner_word(mapping) == owner || (place->shared && mapping->vm == place->vm + 1);
	if (!same) {
		if (mapping->vm) {
			if (port_block_owner(number) == gateway->id)
				return SYNC_UNAPPLIED;
			if (record_is_late(mapping->last_seen, sequence))
				return RECORD_OVERTAKEN;
			mapping_end(place->mapping, tick_now());
		}
		if (!mapping_claim(vm, mapping, place->mapping, owner))
			return SYNC_UNAPPLIED;
	}
	if (!same || !record_is_late(mapping->last_seen, sequence))
		mapping->last_seen = record_stamp(sequence);
	/* Slots below 1024 are given out one by one. */
	if (number < FIRST_PORT_BLOCK)
		return 0;
	block->vm = place->vm + 1;
	return vm_note_block(vm, number, VM_PORT_BLOCKS) ? 0 : SYNC_UNAPPLIED;
}

/* What the sender knows of a session that we know better: that it holds it, and perhaps that it got further. */
static __always_inline void session_merge(struct session *session, const struct sync_record *record)
{
	__u32 seen = tick_now() - bpf_ntohl(record->idle);

	session->flags = (session->flags & ~SESSION_DOUBTED) | SESSION_COMMITTED |
			 (record->session_flags & (SESSION_REPLIED | SESSION_ESTABLISHED_COMMITTED));
	if (record->state == SESSION_ESTABLISHED) {
		session->flags |= SESSION_ESTABLISHED_COMMITTED;
		if (session->state == SESSION_TRANSITORY)
			session->state = SESSION_ESTABLISHED;
	}
	if ((__s32)(seen - session->last_seen) > 0)
		session->last_seen = seen;
}

static __always_inline void session_import(struct session *session, const struct sync_record *record,
					   __u32 sequence)
{
	session->state = record->state;
	session->flags = (record->session_flags & SESSION_FLAGS_REPLICATED) | SESSION_COMMITTED;
	if (record->state == SESSION_ESTABLISHED)
		session->flags |= SESSION_ESTABLISHED_COMMITTED;
	session->internal_port = record->internal_port;
	session->sequence = sequence;
	session->last_seen = tick_now() - bpf_ntohl(record->idle);
}

/* Limits are the Active's affair: what it has let in is counted here, and not asked. */
static __always_inline __s64 record_create_session(struct vm *vm, __u32 router_index,
						   struct session_place *place,
						   const struct gateway *gateway)
{
	__s64 where;

	vm_count_session(vm, router_index);
	where = session_create(gateway, place);
	if (!place->created)
		vm_uncount_session(vm);
	return where;
}

/* 0, or the sync_flag. */
static __always_inline __u32 record_import_session(const struct sync_record *record,
						   struct session_place *place, struct vm *vm,
						   __u32 router_index, const struct gateway *gateway,
						   bool active, __u32 sequence)
{
	struct mapping *mapping = mapping_at(place->mapping);
	struct session *session;
	__s64 where;

	if (!mapping)
		return SYNC_UNAPPLIED;
	where = session_find(gateway, mapping, place);
	session = session_at(where, mapping, place->mapping);
	if (session && (active || record_is_late_for(session, sequence))) {
		/* The port is another's where this remote is concerned. */
		if (session->internal_port != record->internal_port)
			return active ? SYNC_UNAPPLIED : RECORD_OVERTAKEN;
		session_merge(session, record);
		return 0;
	}
	if (!session) {
		where = record_create_session(vm, router_index, place, gateway);
		session = session_at(where, mapping, place->mapping);
	}
	if (!session)
		return SYNC_UNAPPLIED;
	session_import(session, record, sequence);
	return 0;
}

/* Named by what it maps: the port may have been given to another meanwhile. */
static __always_inline bool record_names_mapping(const struct sync_record *record,
						 const struct mapping *mapping,
						 bool shared)
{
	struct vm *vm = mapping_is_dynamic(mapping) ? vm_at(mapping->vm - 1) : NULL;

	if (!vm || vm->vni != bpf_ntohl(record->vni) || vm->address != record->internal_address)
		return false;
	return mapping->internal_port == record->internal_port || shared;
}

/* A mapping that was made again while the record of its end was on its way stays, with what is new in it. */
static __always_inline void record_delete_mapping(struct mapping *mapping, __u32 index, __u32 sequence)
{
	if (!record_is_late(mapping->last_seen, sequence))
		mapping_end(index, tick_now());
	else if (!record_is_late_for(&mapping->first, sequence))
		session_end_first(mapping, mapping->vm - 1);
}

static __always_inline bool record_delete(const struct sync_record *record,
					  const struct gateway *gateway, const struct router *router,
					  __u32 sequence)
{
	struct session_place place = {
		.remote = record->remote, .remote_port = record->remote_port,
		.internal_port = record->internal_port,
	};
	__s64 index = record_mapping_index(record), where;
	struct mapping *mapping;
	struct session *session;

	if (index < 0)
		return false;
	mapping = mapping_at(index);
	if (!mapping || !record_names_mapping(record, mapping, session_is_dependent(router)))
		return true;
	if (!record->remote) {
		record_delete_mapping(mapping, index, sequence);
		return true;
	}
	place.mapping = index;
	place.vm = mapping->vm - 1;
	where = session_find(gateway, mapping, &place);
	session = session_at(where, mapping, index);
	if (session && session->internal_port == record->internal_port &&
	    !record_is_late_for(session, sequence))
		session_end_at(where, mapping, mapping->vm - 1);
	return true;
}

/* The Active has forgotten it. What has ports or a place in the configuration here is not idle here. */
static __always_inline void record_delete_vm(const struct sync_record *record, __u32 sequence)
{
	struct vm *vm;
	__u32 index;

	vm = vm_find(bpf_ntohl(record->vni), record->internal_address, &index);
	if (vm && !vm->mapping_count && !record_is_late(vm->stamp, sequence) && vm_forget(vm, index, tick_now()))
		count(REASON_VM_EXPIRED, 0);
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
					     const struct session_place *place, bool active,
					     __u32 sequence)
{
	for (__u32 id = 0; id < GATEWAYS; id++) {
		struct mapping_place rival = {
			.vm = place->vm, .address_index = mapping_address_index(place->mapping),
			.protocol = record->protocol, .internal_port = record->internal_port,
		};
		struct mapping *mapping;

		if (!mapping_find(vm, &rival, id) || rival.index == place->mapping)
			continue;
		if (active)
			return SYNC_REFUSED;
		mapping = mapping_at(rival.index);
		if (mapping && record_is_late(mapping->last_seen, sequence))
			return RECORD_OVERTAKEN;
		mapping_end(rival.index, tick_now());
	}
	return 0;
}

/* A session into its mapping, and the mapping to its VM. 0, or the sync_flag. */
static __always_inline __u32 record_apply_session(const struct sync_record *record, struct vm *vm,
						  __u32 vm_index, const struct router *router,
						  __u32 router_index, const struct gateway *gateway,
						  __u32 sequence)
{
	struct session_place place = {
		.vm = vm_index, .remote = record->remote, .remote_port = record->remote_port,
		.internal_port = record->internal_port, .shared = session_is_dependent(router),
	};
	bool active = record_meets_active(record), late = record_is_late(vm->stamp, sequence);
	__s64 index = record_mapping_index(record);
	__u32 flag;

	if (index < 0 || record->state == SESSION_FREE || record->state > SESSION_CLOSING ||
	    !record->remote) {
		record_import_vm(record, vm, active || late, sequence);
		return SYNC_UNAPPLIED;
	}
	place.mapping = index;
	flag = record_take_address(vm, router_index, mapping_address_index(index), active, late);
	/* Before its key may change: the rivals are found by the old one. */
	if (!flag && !place.shared)
		flag = record_end_rivals(record, vm, &place, active, sequence);
	if (flag)
		return flag;
	record_import_vm(record, vm, active || late, sequence);
	flag = record_take_mapping(record, &place, vm, gateway, sequence);
	return flag ? flag : record_import_session(record, &place, vm, router_index, gateway, active,
						   sequence);
}

/*
 * 0, or the sync_flag that says what became of it. Idempotent: a repeated record
 * changes nothing more. `sequence`: that of its frame.
 */
__noinline __u32 record_apply(const struct sync_record *record, __u32 sequence)
{
	__u32 zero = 0, vm_index, network_index, router_index;
	struct gateway *gateway = bpf_map_lookup_elem(&gateways, &zero);
	struct router *router;
	struct vm *vm;
	bool active;

	if (!gateway || !record)
		return SYNC_UNAPPLIED;
	if (record_is_fenced(record))
		return SYNC_REFUSED;
	router = record_find_router(record, &network_index, &router_index);
	active = record_meets_active(record);
	/* Who is Active decides about ends: what the former one ended on its way out will end here by itself. */
	if (active && (record->kind == RECORD_DELETE || record->kind == RECORD_VM_DELETE))
		return 0;
	if (!router)
		return SYNC_UNAPPLIED;
	if (record->kind == RECORD_DELETE)
		return record_delete(record, gateway, router, sequence) ? 0 : SYNC_UNAPPLIED;
	if (record->kind == RECORD_VM_DELETE) {
		record_delete_vm(record, sequence);
		return 0;
	}
	/* A later version's: it has to know that we do not hold what it says. */
	if (record->kind != RECORD_VM && record->kind != RECORD_SESSION)
		return SYNC_UNAPPLIED;
	vm = vm_find_or_create(bpf_ntohl(record->vni), record->internal_address, network_index,
			     tick_now(), &vm_index);
	if (!vm)
		return SYNC_UNAPPLIED;
	if (vm->flags & VM_DOUBTED)
		__sync_fetch_and_and(&vm->flags, ~(__u32)VM_DOUBTED);
	if (record->kind == RECORD_SESSION)
		return record_apply_session(record, vm, vm_index, router, router_index, gateway,
					    sequence) & ~(__u32)RECORD_OVERTAKEN;
	record_import_vm(record, vm, active || record_is_late(vm->stamp, sequence), sequence);
	return 0;
}

/* Our own record has come home: what it says is held twice now. */
__noinline int record_acknowledge(const struct sync_record *record)
{
	__u32 zero = 0, vm_index;
	struct gateway *gateway = bpf_map_lookup_elem(&gateways, &zero);
	struct session_place place = {};
	struct mapping *mapping;
	struct session *session;
	struct vm *vm;
	__s64 index;

	if (!record || !gateway ||
	    (record->kind != RECORD_VM && record->kind != RECORD_SESSION))
		return 0;
	vm = vm_find(bpf_ntohl(record->vni), record->internal_address, &vm_index);
	if (!vm)
		return 0;
	if (vm->tunnel_endpoint == record->tunnel_endpoint && mac_equal(vm->mac, record->mac) &&
	    mac_equal(vm->next_hop_mac, record->next_hop_mac))
		__sync_fetch_and_or(&vm->flags, VM_COMMITTED);
	if (record->kind != RECORD_SESSION)
		return 0;
	index = record_mapping_index(record);
	if (index < 0)
		return 0;
	mapping = mapping_at(index);
	if (!mapping)
		return 0;
	place.mapping = index;
	place.vm = vm_index;
	place.remote = record->remote;
	place.remote_port = record->remote_port;
	place.internal_port = record->internal_port;
	session = session_at(session_find(gateway, mapping, &place), mapping, index);
	if (!session)
		return 0;
	session->flags |= SESSION_COMMITTED;
	if (record->state == SESSION_ESTABLISHED)
		session->flags |= SESSION_ESTABLISHED_COMMITTED;
	return 0;
}
