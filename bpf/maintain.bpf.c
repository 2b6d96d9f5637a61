// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Run by the control plane, never by a packet: sealing, bulk synchronisation, ageing, what the configuration says. */
#include <errno.h>

#include "digest.h"

/* So much longer than its last port rests a block stays with its VM, so that every port of it is seen to have rested. */
#define BLOCK_MARGIN_TICKS 8
/* So long a mapping may be without a session: far longer than any CPU takes to add it. */
#define MAPPING_BIRTH_TICKS 1
/* So long a VM's slot rests: longer than any CPU goes on with one that it has found. */
#define VM_RETIREMENT_TICKS 2

/* Seals a message of the control plane, or a heartbeat: one on a tagged underlay has a tag. */
SEC("xdp")
int seal_xdp(struct xdp_md *ctx)
{
	struct ethhdr *eth = packet_at(ctx, 0, sizeof(*eth));
	__u32 zero = 0, offset = SYNC_OFFSET;
	struct gateway *gateway = bpf_map_lookup_elem(&gateways, &zero);
	struct gateway_state *state = bpf_map_lookup_elem(&gateway_states, &zero);

	if (!eth || !gateway || !state)
		return XDP_DROP;
	if (*ethernet_protocol(eth) == bpf_htons(ETH_P_8021Q))
		offset += sizeof(struct vlan_header);
	if (sync_seal(ctx, gateway, state, sync_next_sequence(state), offset))
		return XDP_DROP;
	return XDP_TX;
}

/* Of everything, or for a repair: of the segments that differ, what this gateway is Active for. */
static __always_inline bool bulk_is_about(const struct walk_run *run, __u64 begun,
					  const struct virtual_router *router)
{
	return !run->repairs || (virtual_router_is_active(router) && segment_is_wanted(begun, WALK_REPAIR));
}

static __always_inline void bulk_vm(struct walk_run *run)
{
	struct virtual_router *virtual_router;
	struct router *router;
	struct vm *vm = vm_at(run->walk->position);

	if (run->walk->position >= run->state->vms || !vm) {
		walk_next_phase(run->walk);
		return;
	}
	run->walk->position++;
	if (!vm->address || !vm->tunnel_endpoint || !walk_find_routers(vm, &router, &virtual_router))
		return;
	if (!bulk_is_about(run, digest_begin_vm(run->walk->seed, vm), virtual_router))
		return;
	record_export_vm(&run->record, vm, router, virtual_router);
	walk_write(run);
}

static __always_inline void bulk_session(struct walk_run *run, __u32 index,
					 const struct mapping *mapping,
					 const struct session *session)
{
	struct virtual_router *virtual_router;
	struct router *router;
	struct vm *vm = vm_at(mapping->vm - 1);
	__be32 address;

	if (!vm || session->state == SESSION_FREE || !session->remote ||
	    !walk_find_routers(vm, &router, &virtual_router) ||
	    !walk_is_of_mapping(session, mapping, router))
		return;
	address = walk_find_address(vm, index);
	if (!address || !bulk_is_about(run, digest_begin_mapping(run->walk->seed, index, address), virtual_router))
		return;
	record_export_vm(&run->record, vm, router, virtual_router);
	record_export_session(&run->record, index, session, address);
	walk_write(run);
}

static __always_inline void bulk_mapping(struct walk_run *run)
{
	__u32 index = run->walk->position;
	struct mapping *mapping = mapping_at(index);

	if (walk_mappings_end(run)) {
		walk_next_phase(run->walk);
		return;
	}
	if (walk_skips_block(run->walk))
		return;
	run->walk->position++;
	if (mapping && mapping_is_dynamic(mapping))
		bulk_session(run, index, mapping, &mapping->first);
}

static __always_inline void bulk_session_slot(struct walk_run *run)
{
	struct session_slot *slot = session_slot_at(run->walk->position);
	struct mapping *mapping;

	if (walk_sessions_end(run)) {
		walk_next_phase(run->walk);
		return;
	}
	run->walk->position++;
	if (!slot || !slot->mapping || !slot->vm)
		return;
	mapping = mapping_at(slot->mapping - 1);
	if (mapping && mapping_is_dynamic(mapping) && mapping->vm == slot->vm)
		bulk_session(run, slot->mapping - 1, mapping, &slot->session);
}

static long bulk_step(__u32 i __attribute__((unused)), struct walk_run *run)
{
	if (run->walk->phase == WALK_VMS)
		bulk_vm(run);
	else if (run->walk->phase == WALK_MAPPINGS)
		bulk_mapping(run);
	else if (run->walk->phase == WALK_SESSIONS)
		bulk_session_slot(run);
	else
		return 1;
	return run->walk->records == SYNC_MAX_RECORDS;
}

/*
 * Everything that we hold, a frame at a time. data_in: room for a full frame.
 * XDP_TX: a sealed frame; XDP_PASS: nothing yet, run again; XDP_DROP: the end.
 */
SEC("xdp")
int bulk_xdp(struct xdp_md *ctx)
{
	struct walk_run run;

	if (!walk_start_frame(&run, ctx, WALK_BULK))
		return XDP_ABORTED;
	bpf_loop(WALK_STEPS, bulk_step, &run, 0);
	return walk_finish(&run, 1);
}

/* As bulk_xdp, of the segments that are wanted. */
SEC("xdp")
int repair_xdp(struct xdp_md *ctx)
{
	struct walk_run run;

	if (!walk_start_frame(&run, ctx, WALK_REPAIR))
		return XDP_ABORTED;
	run.repairs = true;
	bpf_loop(WALK_STEPS, bulk_step, &run, 0);
	return walk_finish(&run, 1);
}

/* A standby's own clock says nothing of use: from the takeover on every session starts a new life. */
static __always_inline bool age_is_over(const struct walk_run *run, const struct session *session,
					__u32 protocol, const struct virtual_router *router)
{
	__u32 since = router->active_since_ns >> TICK_SHIFT;
	__u32 seen = session->last_seen;

	/* Being made on another CPU, which says last when it was seen. */
	if (session->state == SESSION_FREE || !seen)
		return false;
	if ((__s32)(since - seen) > 0)
		seen = since;
	return (__s32)(tick_now() - seen) > (__s32)session_timeout_ticks(run->gateway, session, protocol);
}

static __always_inline void age_record(struct walk_run *run, __u32 index, __be16 internal_port,
				       const struct vm *vm, const struct router *router,
				       const struct virtual_router *virtual_router)
{
	record_export_vm(&run->record, vm, router, virtual_router);
	record_export_mapping(&run->record, RECORD_DELETE, index, walk_find_address(vm, index),
			      internal_port);
	count(REASON_SESSION_EXPIRED, 0);
}

/* True once it has been seen without a session by an earlier pass. The clock of a session that is not there holds when. */
static __always_inline bool age_was_empty_before(struct mapping *mapping)
{
	if (!mapping->first.last_seen)
		mapping->first.last_seen = tick_now();
	return tick_now() - mapping->first.last_seen > MAPPING_BIRTH_TICKS;
}

static __always_inline void age_mapping_at(struct walk_run *run, __u32 index, struct mapping *mapping)
{
	struct virtual_router *virtual_router;
	struct router *router;
	struct vm *vm = vm_at(mapping->vm - 1);

	/* What the configuration has ended ends on both gateways by itself. */
	if (!vm || !walk_find_routers(vm, &router, &virtual_router) || !walk_find_address(vm, index)) {
		mapping_free(mapping, index, tick_now());
		return;
	}
	if (!virtual_router_is_active(virtual_router))
		return;
	/* Its first session has gone before and others keep it alive, or it is being made on another CPU. */
	if (mapping->first.state == SESSION_FREE &&
	    (mapping->session_count || !age_was_empty_before(mapping)))
		return;
	if (mapping->first.state != SESSION_FREE &&
	    !age_is_over(run, &mapping->first, mapping_protocol(index), virtual_router))
		return;
	if (mapping->session_count) {
		/* Others keep the mapping alive; its first place becomes free for a new remote. */
		age_record(run, index, mapping->first.internal_port, vm, router, virtual_router);
		run->record.remote = mapping->first.remote;
		run->record.remote_port = mapping->first.remote_port;
		session_end_first(mapping, mapping->vm - 1);
	} else {
		age_record(run, index, mapping->internal_port, vm, router, virtual_router);
		port_log_port(EVENT_PORTS_RELEASED, mapping->vm - 1, index);
		mapping_free(mapping, index, tick_now());
	}
	walk_write(run);
}

/* A block that has been empty for the hold-down goes back to its gateway. */
static __always_inline void age_block(struct walk_run *run)
{
	__u32 index = run->walk->position, number = index % 65536 / PORT_BLOCK_SIZE;
	__u32 address_index = mapping_address_index(index);
	struct virtual_router *virtual_router;
	struct port_block *block;
	struct router *router;
	struct vm *vm;

	if (index % PORT_BLOCK_SIZE || mapping_protocol(index))
		return;
	block = port_block_at(address_index, number);
	if (!block || !block->vm || block->mappings ||
	    tick_now() - block->last_seen <= run->gateway->hold_down_ticks + BLOCK_MARGIN_TICKS)
		return;
	vm = vm_at(block->vm - 1);
	if (vm && vm->snat_address == address_index + 1) {
		vm_forget_block(vm, number);
		vm_forget_address(vm);
	}
	if (vm && walk_find_routers(vm, &router, &virtual_router) && virtual_router_is_active(virtual_router))
		port_log_block(EVENT_PORTS_RELEASED, block->vm - 1, address_index, number);
	port_block_release(address_index, number);
}

/* From here on it is as if nobody had ever had it. */
static __always_inline void age_resting(const struct walk_run *run, struct mapping *mapping)
{
	__u32 since = mapping->last_seen;

	if (!since || tick_now() - since < run->gateway->hold_down_ticks)
		return;
	if (__sync_val_compare_and_swap(&mapping->last_seen, since, 0) == since)
		mapping_has_rested();
}

/* A block without mappings is left alone, but not the low ones, which nobody holds: their ports rest as well. */
static __always_inline bool age_skips_block(struct walk *walk)
{
	return walk->position % 65536 / PORT_BLOCK_SIZE >= FIRST_PORT_BLOCK && walk_skips_block(walk);
}

static __always_inline void age_mapping(struct walk_run *run)
{
	__u32 index = run->walk->position;
	struct mapping *mapping = mapping_at(index);

	if (walk_mappings_end(run)) {
		walk_next_phase(run->walk);
		return;
	}
	age_block(run);
	if (age_skips_block(run->walk))
		return;
	run->walk->position++;
	if (mapping && mapping_is_dynamic(mapping))
		age_mapping_at(run, index, mapping);
	else if (mapping && !mapping->vm)
		age_resting(run, mapping);
}

static __always_inline void age_session_slot(struct walk_run *run)
{
	struct session_slot *slot = session_slot_at(run->walk->position);
	struct virtual_router *virtual_router;
	struct mapping *mapping;
	struct router *router;
	struct vm *vm;

	if (walk_sessions_end(run)) {
		walk_next_phase(run->walk);
		return;
	}
	run->walk->position++;
	/* Without a VM it is being made on another CPU. */
	if (!slot || !slot->mapping || !slot->vm)
		return;
	mapping = mapping_at(slot->mapping - 1);
	vm = mapping && mapping_is_dynamic(mapping) && mapping->vm == slot->vm ? vm_at(slot->vm - 1)
									      : NULL;
	/* Left behind, here as on the peer. */
	if (!vm || !walk_find_routers(vm, &router, &virtual_router) ||
	    !walk_is_of_mapping(&slot->session, mapping, router)) {
		session_slot_end(slot, mapping);
		return;
	}
	if (!virtual_router_is_active(virtual_router) ||
	    !age_is_over(run, &slot->session, mapping_protocol(slot->mapping - 1), virtual_router))
		return;
	age_record(run, slot->mapping - 1, slot->session.internal_port, vm, router, virtual_router);
	run->record.remote = slot->session.remote;
	run->record.remote_port = slot->session.remote_port;
	session_slot_end(slot, mapping);
	walk_write(run);
}

/* Two races and a change of address may leave blocks in its list that it does not hold. */
static __always_inline void age_vm_blocks(struct vm *vm, __u32 index)
{
	__u32 address = vm->snat_address;

	for (__u32 n = 0; n < GATEWAYS * VM_PORT_BLOCKS; n++) {
		__u32 block = vm->blocks[n];
		struct port_block *entry;

		if (!block)
			continue;
		entry = address ? port_block_at(address - 1, block) : NULL;
		if (!entry || entry->vm != index + 1)
			__sync_val_compare_and_swap(&vm->blocks[n], block, 0);
	}
	vm_forget_address(vm);
}

/* Nobody finds it by its address any more; once nobody can hold it either, the slot is another's. */
static __always_inline void age_retired_vm(struct gateway_state *state, struct vm *vm, __u32 index)
{
	if (tick_now() - vm->last_seen < VM_RETIREMENT_TICKS || vm_has_ports(vm) ||
	    vm->static_mapping_count || vm->sessions)
		return;
	__builtin_memset(vm, 0, sizeof(*vm));
	/* Else it stays retired. */
	if (!vm_give_slot(state, index))
		vm->flags = VM_RETIRED;
}

/* Like a session's, its clock starts anew with a takeover: a standby sees no packets. */
static __always_inline bool age_vm_is_over(const struct walk_run *run, const struct vm *vm,
					   const struct virtual_router *router)
{
	__u32 since = router->active_since_ns >> TICK_SHIFT, seen = vm->last_seen;

	if (!run->gateway->vm_ticks || vm_has_ports(vm))
		return false;
	if ((__s32)(since - seen) > 0)
		seen = since;
	return (__s32)(tick_now() - seen) > (__s32)run->gateway->vm_ticks;
}

static __always_inline void age_vm_at(struct walk_run *run, __u32 index, struct vm *vm)
{
	struct virtual_router *virtual_router;
	struct router *router;

	age_vm_blocks(vm, index);
	if (vm->flags & VM_RETIRED) {
		age_retired_vm(run->state, vm, index);
		return;
	}
	if (!walk_find_routers(vm, &router, &virtual_router)) {
		vm_retire(vm, index, tick_now());
		return;
	}
	if (!virtual_router_is_active(virtual_router) || !age_vm_is_over(run, vm, virtual_router) ||
	    !vm_forget(vm, index, tick_now()))
		return;
	count(REASON_VM_EXPIRED, 0);
	record_export_vm(&run->record, vm, router, virtual_router);
	run->record.kind = RECORD_VM_DELETE;
	walk_write(run);
}

static __always_inline void age_vm(struct walk_run *run)
{
	__u32 index = run->walk->position;
	struct vm *vm = vm_at(index);

	if (index >= run->state->vms || !vm) {
		walk_next_phase(run->walk);
		return;
	}
	run->walk->position++;
	if (vm->address || vm->flags)
		age_vm_at(run, index, vm);
}

static long age_step(__u32 i __attribute__((unused)), struct walk_run *run)
{
	if (run->walk->phase == WALK_VMS)
		age_vm(run);
	else if (run->walk->phase == WALK_MAPPINGS)
		age_mapping(run);
	else if (run->walk->phase == WALK_SESSIONS)
		age_session_slot(run);
	else
		return 1;
	return run->walk->records == SYNC_MAX_RECORDS;
}

/* What has expired, freed here and told to the peer. Same protocol as bulk_xdp. */
SEC("xdp")
int age_xdp(struct xdp_md *ctx)
{
	struct walk_run run;

	if (!walk_start_frame(&run, ctx, WALK_AGE))
		return XDP_ABORTED;
	bpf_loop(WALK_STEPS, age_step, &run, 0);
	return walk_finish(&run, 0);
}

/* Where it lives is the configuration's word; an old next hop leads to an old endpoint. */
static __always_inline void vm_pin(struct vm *vm, const struct vm_ensure *request)
{
	/* What its compute has taught since stays: how to get there, and the option that it wants back. */
	if (vm->tunnel_endpoint != request->tunnel_endpoint) {
		__builtin_memset(vm->next_hop_mac, 0, 6);
		__builtin_memcpy(vm->option, request->option, 8);
		vm->option_length = request->option_length;
	}
	__builtin_memcpy(vm->mac, request->mac, 6);
	vm->tunnel_endpoint = request->tunnel_endpoint;
}

static __always_inline void vm_configure(struct vm *vm, __u32 network, const struct vm_ensure *request)
{
	__u32 flags = request->flags & (VM_PINNED | VM_HAS_FORWARDINGS), before = vm->network;

	/* Networks may have been numbered anew. */
	if (before != network && network_count_vm(network, false)) {
		network_uncount_vm(before);
		vm->network = network;
	}
	if (flags & VM_PINNED)
		vm_pin(vm, request);
	vm->floating_ip_counter = request->floating_ip_counter;
	vm->floating_ip = request->floating_ip;
	__sync_fetch_and_and(&vm->flags, ~(__u32)(VM_PINNED | VM_HAS_FORWARDINGS) | flags);
	__sync_fetch_and_or(&vm->flags, flags);
}

/* All that the configuration says of a VM, which may not have sent anything yet. */
SEC("syscall")
int vm_ensure(struct vm_ensure *request)
{
	/* Where the compiler moves a pointer along its context, the verifier refuses the program. */
	struct vm_ensure wanted = *request;
	__u32 *network = bpf_map_lookup_elem(&network_by_vni, &wanted.vni);
	__u32 index = 0;
	struct vm *vm;

	if (!network)
		return -ENOENT;
	if (!wanted.address || (wanted.option_length && wanted.option_length != TUNNEL_OPTION_LENGTH))
		return -EINVAL;
	/* One that is forgotten at the same moment gets another slot. */
	for (__u32 i = 0; i < 4; i++) {
		vm = vm_find_or_create(wanted.vni, wanted.address, *network, tick_now_fine(), &index);
		if (!vm)
			return -ENOSPC;
		vm_configure(vm, *network, &wanted);
		request->vm = index;
		if (!(vm->flags & VM_RETIRED))
			return 0;
	}
	return -EAGAIN;
}

static __always_inline void static_mapping_uncount(__u32 owner)
{
	struct vm *vm = owner ? vm_at(owner - 1) : NULL;

	if (vm)
		__sync_fetch_and_add(&vm->static_mapping_count, -1);
}

/* The port of a forwarding is its own from here on: a mapping that a VM has there ends. */
SEC("syscall")
int forwarding_ensure(struct forwarding_ensure *request)
{
	__u64 wanted = mapping_static_owner(request->vm, request->internal_port), before;
	struct mapping *mapping = mapping_at(request->mapping);
	struct vm *vm = vm_at(request->vm);

	if (!mapping || !vm || !vm->address || vm->flags & VM_RETIRED)
		return -ENOENT;
	if (mapping_is_dynamic(mapping))
		mapping_end(request->mapping, tick_now_fine());
	before = *mapping_owner_word(mapping);
	if (before == wanted)
		return 0;
	__sync_fetch_and_add(&vm->static_mapping_count, 1);
	if ((before && !(before >> 48 & MAPPING_STATIC)) ||
	    __sync_val_compare_and_swap(mapping_owner_word(mapping), before, wanted) != before) {
		__sync_fetch_and_add(&vm->static_mapping_count, -1);
		return -EBUSY;
	}
	static_mapping_uncount(before);
	if (!before && __sync_lock_test_and_set(&mapping->last_seen, 0))
		mapping_has_rested();
	return 0;
}

SEC("syscall")
int forwarding_remove(struct forwarding_ensure *request)
{
	__u64 owner = mapping_static_owner(request->vm, request->internal_port);
	struct mapping *mapping = mapping_at(request->mapping);

	if (!mapping || *mapping_owner_word(mapping) != owner)
		return -ENOENT;
	/* RFC 6888 REQ-8 holds for such a port as well. */
	mapping->last_seen = mapping_may_rest() ? tick_now_fine() : 0;
	if (__sync_val_compare_and_swap(mapping_owner_word(mapping), owner, 0) == owner)
		static_mapping_uncount(owner);
	return 0;
}

/* What the peer is to be told; its kind stays 0 where the VM's network has gone, and there is nobody to be told for. */
static __always_inline void session_end_record(struct session_end *request, const struct vm *vm,
					       __be16 internal_port, __u32 sequence)
{
	struct virtual_router *virtual_router;
	struct router *router;

	__builtin_memset(&request->record, 0, sizeof(request->record));
	if (!walk_find_routers(vm, &router, &virtual_router))
		return;
	record_export_vm(&request->record, vm, router, virtual_router);
	record_export_mapping(&request->record, RECORD_DELETE, request->mapping,
			      walk_find_address(vm, request->mapping), internal_port);
	request->record.remote = request->remote;
	request->record.remote_port = request->remote_port;
	request->record.sequence = bpf_htonl(sequence);
}

/* Ends a session, or with remote 0 a mapping with all of its own. */
SEC("syscall")
int session_end(struct session_end *request)
{
	struct session_place place = {
		.mapping = request->mapping, .remote = request->remote,
		.remote_port = request->remote_port,
	};
	struct mapping *mapping = mapping_at(place.mapping);
	struct session *session;
	__u32 zero = 0, sequence;
	struct gateway *gateway = bpf_map_lookup_elem(&gateways, &zero);
	struct gateway_state *state = bpf_map_lookup_elem(&gateway_states, &zero);
	struct virtual_router *virtual_router;
	struct router *router;
	struct vm *vm;
	__s64 where;

	if (!mapping || !gateway || !state || !mapping_is_dynamic(mapping))
		return -ENOENT;
	/* Before it ends: what a packet makes again at once is newer. */
	sequence = sync_next_sequence(state);
	place.vm = mapping->vm - 1;
	place.internal_port = mapping->internal_port;
	vm = vm_at(place.vm);
	if (!vm)
		return -ENOENT;
	if (!place.remote) {
		session_end_record(request, vm, mapping->internal_port, sequence);
		port_log_port(EVENT_PORTS_RELEASED, mapping->vm - 1, place.mapping);
		mapping_end(place.mapping, tick_now_fine());
		return 0;
	}
	place.shared = walk_find_routers(vm, &router, &virtual_router) && session_is_dependent(router);
	where = session_find(gateway, mapping, &place);
	session = session_at(where, mapping, place.mapping);
	if (!session)
		return -ENOENT;
	session_end_record(request, vm, session->internal_port, sequence);
	session_end_at(where, mapping, mapping->vm - 1);
	return 0;
}
