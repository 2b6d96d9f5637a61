// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Run by the control plane: what both gateways hold is summed up and compared.
 * Where it differs the standby doubts what it has, the Active says what there is,
 * and what is still in doubt then has gone: the record of its end was lost.
 */
#include "digest.h"

/* So long a mapping may be without a session on a standby: its record is being applied on another CPU. */
#define SWEEP_BIRTH_TICKS 1

/* A mapping and whom its records speak of. */
struct held_mapping {
	struct mapping *mapping;
	struct vm *vm;
	struct router *router;
	struct virtual_router *virtual_router;
	__u32 index;
	__be32 address;
};

/* False where it is not one that is replicated. */
static __always_inline bool held_find(struct held_mapping *held, __u32 index)
{
	held->index = index;
	held->mapping = mapping_at(index);
	if (!held->mapping || !mapping_is_dynamic(held->mapping))
		return false;
	held->vm = vm_at(held->mapping->vm - 1);
	if (!held->vm || !walk_find_routers(held->vm, &held->router, &held->virtual_router))
		return false;
	held->address = walk_find_address(held->vm, index);
	return held->address;
}

static __always_inline bool held_has(const struct held_mapping *held, const struct session *session)
{
	return session->state != SESSION_FREE && session->remote &&
	       walk_is_of_mapping(session, held->mapping, held->router);
}

static __always_inline bool held_has_block(const struct held_mapping *held)
{
	struct port_block *block = port_block_at(mapping_address_index(held->index),
						 (held->index & 0xffff) / PORT_BLOCK_SIZE);

	return block && block->vm == held->mapping->vm;
}

/* The mapping that a slot beyond the first is of, or false. */
static __always_inline bool held_find_of_slot(struct held_mapping *held,
					      const struct session_slot *slot)
{
	return slot && slot->mapping && slot->vm && held_find(held, slot->mapping - 1) &&
	       held->mapping->vm == slot->vm;
}

/* A VM of which the peer can know, at the walk's position; the walk goes on. NULL: none, or the end of them. */
static __always_inline struct vm *walk_next_vm(struct walk_run *run, struct virtual_router **virtual_router)
{
	struct vm *vm = vm_at(run->walk->position);
	struct router *router;

	if (run->walk->position >= run->state->vms || !vm) {
		walk_next_phase(run->walk);
		return NULL;
	}
	run->walk->position++;
	if (!vm->address || !vm->tunnel_endpoint || !walk_find_routers(vm, &router, virtual_router))
		return NULL;
	return vm;
}

/* As walk_next_vm(), of mappings. */
static __always_inline bool walk_next_mapping(struct walk_run *run, struct held_mapping *held)
{
	if (walk_mappings_end(run)) {
		walk_next_phase(run->walk);
		return false;
	}
	if (walk_skips_block(run->walk))
		return false;
	return held_find(held, run->walk->position++);
}

/* As walk_next_vm(), of sessions beyond the first. */
static __always_inline struct session_slot *walk_next_slot(struct walk_run *run, struct held_mapping *held)
{
	struct session_slot *slot = session_slot_at(run->walk->position);

	if (walk_sessions_end(run)) {
		walk_next_phase(run->walk);
		return NULL;
	}
	run->walk->position++;
	return held_find_of_slot(held, slot) && held_has(held, &slot->session) ? slot : NULL;
}

static __always_inline void digest_next_vm(struct walk_run *run)
{
	struct virtual_router *virtual_router;
	struct vm *vm = walk_next_vm(run, &virtual_router);
	__u64 begun;

	if (!vm)
		return;
	begun = digest_begin_vm(run->walk->seed, vm);
	segment_add(begun, digest_vm(begun, vm));
}

static __always_inline void digest_next_mapping(struct walk_run *run)
{
	struct held_mapping held;
	__u64 begun;

	if (!walk_next_mapping(run, &held))
		return;
	begun = digest_begin_mapping(run->walk->seed, held.index, held.address);
	segment_add(begun, digest_mapping(begun, held.mapping, held.vm, held_has_block(&held)));
	if (held_has(&held, &held.mapping->first))
		segment_add(begun, digest_session(begun, &held.mapping->first, held.vm,
						  mapping_protocol(held.index)));
}

static __always_inline void digest_next_slot(struct walk_run *run)
{
	struct held_mapping held;
	struct session_slot *slot = walk_next_slot(run, &held);
	__u64 begun;

	if (!slot)
		return;
	begun = digest_begin_mapping(run->walk->seed, held.index, held.address);
	segment_add(begun, digest_session(begun, &slot->session, held.vm, mapping_protocol(held.index)));
}

static long digest_step(__u32 i __attribute__((unused)), struct walk_run *run)
{
	if (run->walk->phase == WALK_VMS)
		digest_next_vm(run);
	else if (run->walk->phase == WALK_MAPPINGS)
		digest_next_mapping(run);
	else if (run->walk->phase == WALK_SESSIONS)
		digest_next_slot(run);
	else
		return 1;
	return 0;
}

/* Sums up everything that is replicated, into `segments`. XDP_PASS: run again; XDP_DROP: the end. */
SEC("xdp")
int digest_xdp(struct xdp_md *ctx)
{
	struct walk_run run;

	if (!walk_start(&run, ctx, WALK_DIGEST))
		return XDP_ABORTED;
	bpf_loop(WALK_STEPS, digest_step, &run, 0);
	return walk_pause(&run);
}

/* In one step: a free session has to stay all zero, or nobody could claim it. */
static __always_inline void session_doubt(struct session *session)
{
	__u64 *word = session_claim_word(session), before = *(volatile __u64 *)word;

	if (before)
		__sync_val_compare_and_swap(word, before, before | (__u64)SESSION_DOUBTED << 56);
}

static __always_inline void doubt_next_vm(struct walk_run *run)
{
	struct virtual_router *virtual_router;
	struct vm *vm = walk_next_vm(run, &virtual_router);

	if (vm && !virtual_router_is_active(virtual_router) &&
	    segment_is_wanted(digest_begin_vm(run->walk->seed, vm), WALK_DOUBT))
		__sync_fetch_and_or(&vm->flags, VM_DOUBTED);
}

/* What is another's: the Active's word counts, and nobody's where we are it. */
static __always_inline bool held_is_doubtful(const struct walk_run *run, const struct held_mapping *held)
{
	return !virtual_router_is_active(held->virtual_router) &&
	       segment_is_wanted(digest_begin_mapping(run->walk->seed, held->index, held->address),
				 WALK_DOUBT);
}

static __always_inline void doubt_next_mapping(struct walk_run *run)
{
	struct held_mapping held;

	if (walk_next_mapping(run, &held) && held_is_doubtful(run, &held))
		session_doubt(&held.mapping->first);
}

static __always_inline void doubt_next_slot(struct walk_run *run)
{
	struct held_mapping held;
	struct session_slot *slot = walk_next_slot(run, &held);

	if (slot && held_is_doubtful(run, &held))
		session_doubt(&slot->session);
}

static long doubt_step(__u32 i __attribute__((unused)), struct walk_run *run)
{
	if (run->walk->phase == WALK_VMS)
		doubt_next_vm(run);
	else if (run->walk->phase == WALK_MAPPINGS)
		doubt_next_mapping(run);
	else if (run->walk->phase == WALK_SESSIONS)
		doubt_next_slot(run);
	else
		return 1;
	return 0;
}

/* Marks what a standby holds in the segments that are wanted; the Active's records take the mark away. */
SEC("xdp")
int doubt_xdp(struct xdp_md *ctx)
{
	struct walk_run run;

	if (!walk_start(&run, ctx, WALK_DOUBT))
		return XDP_ABORTED;
	bpf_loop(WALK_STEPS, doubt_step, &run, 0);
	return walk_pause(&run);
}

static __always_inline void sweep_next_slot(struct walk_run *run)
{
	struct held_mapping held;
	struct session_slot *slot = walk_next_slot(run, &held);

	if (slot && slot->session.flags & SESSION_DOUBTED && held_is_doubtful(run, &held))
		session_slot_end(slot, held.mapping);
}

/* A mapping of which no session is left goes with its last. */
static __always_inline void sweep_next_mapping(struct walk_run *run)
{
	struct held_mapping held;
	struct session *first;
	__u8 age;

	if (!walk_next_mapping(run, &held) || !held_is_doubtful(run, &held))
		return;
	first = &held.mapping->first;
	age = tick_now() - (held.mapping->last_seen >> RECORD_STAMP_SHIFT);
	if (first->state != SESSION_FREE && !(first->flags & SESSION_DOUBTED))
		return;
	if (held.mapping->session_count)
		session_end_first(held.mapping, held.mapping->vm - 1);
	else if (first->state != SESSION_FREE || age > SWEEP_BIRTH_TICKS)
		mapping_end(held.index, tick_now());
}

/* One that the configuration names stays, as one that was never heard. */
static __always_inline void vm_sweep(struct vm *vm, __u32 index)
{
	if (vm->mapping_count || vm->flags & VM_PINNED || vm_forget(vm, index, tick_now()))
		return;
	vm->tunnel_endpoint = 0;
	__builtin_memset(vm->next_hop_mac, 0, 6);
}

static __always_inline void sweep_next_vm(struct walk_run *run)
{
	__u32 index = run->walk->position;
	struct virtual_router *virtual_router;
	struct vm *vm = walk_next_vm(run, &virtual_router);

	if (vm && vm->flags & VM_DOUBTED && !virtual_router_is_active(virtual_router) &&
	    segment_is_wanted(digest_begin_vm(run->walk->seed, vm), WALK_DOUBT))
		vm_sweep(vm, index);
}

/* The other way round than all other walks: with its sessions a mapping goes, and with its mappings a VM. */
static long sweep_step(__u32 i __attribute__((unused)), struct walk_run *run)
{
	if (run->walk->phase == SWEEP_SESSIONS)
		sweep_next_slot(run);
	else if (run->walk->phase == SWEEP_MAPPINGS)
		sweep_next_mapping(run);
	else if (run->walk->phase == SWEEP_VMS)
		sweep_next_vm(run);
	else
		return 1;
	return 0;
}

/* Ends what is still in doubt after the Active has said all that there is. */
SEC("xdp")
int sweep_xdp(struct xdp_md *ctx)
{
	struct walk_run run;

	if (!walk_start(&run, ctx, WALK_SWEEP))
		return XDP_ABORTED;
	bpf_loop(WALK_STEPS, sweep_step, &run, 0);
	return walk_pause(&run);
}
