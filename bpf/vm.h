/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* VMs: found by (VNI, address), learned from what they send, forgotten when they are idle. */
#pragma once

#include "packet.h"
#include "virtual_router.h"

static __always_inline struct vm *vm_at(__u32 index)
{
	return bpf_map_lookup_elem(&vms, &index);
}

static __always_inline struct vm *vm_find(__u32 vni, __be32 address, __u32 *index)
{
	struct vm_key key = { .vni = vni, .address = address };
	__u32 *found = bpf_map_lookup_elem(&vm_by_address, &key);

	if (!found)
		return NULL;
	*index = *found;
	return vm_at(*found);
}

/* False where one more is more than the network may have. */
static __always_inline bool network_count_vm(__u32 index, bool limited)
{
	struct network *network = bpf_map_lookup_elem(&networks, &index);
	struct network_state *state = bpf_map_lookup_elem(&network_states, &index);
	__u32 before;

	if (!network || !state)
		return false;
	before = __sync_fetch_and_add(&state->vms, 1);
	if (!limited || !network->vm_limit || before < network->vm_limit)
		return true;
	__sync_fetch_and_add(&state->vms, -1);
	return false;
}

static __always_inline void network_uncount_vm(__u32 index)
{
	struct network_state *state = bpf_map_lookup_elem(&network_states, &index);

	if (state)
		__sync_fetch_and_add(&state->vms, -1);
}

static __always_inline __u64 *vm_free_word(struct gateway_state *state)
{
	return (__u64 *)&state->free_vm;
}

static __always_inline bool vm_free_word_change(struct gateway_state *state, __u64 before, __u32 first)
{
	__u64 after = ((before >> 32) + 1) << 32 | first;

	return __sync_val_compare_and_swap(vm_free_word(state), before, after) == before;
}

/* One that was given back, or -1. */
static __always_inline __s64 vm_take_free_slot(struct gateway_state *state)
{
	for (__u32 i = 0; i < 8; i++) {
		__u64 before = *(volatile __u64 *)vm_free_word(state);
		__u32 slot = (__u32)before - 1, *next;

		if (!(__u32)before)
			return -1;
		next = bpf_map_lookup_elem(&free_vms, &slot);
		if (next && vm_free_word_change(state, before, *next))
			return slot;
	}
	return -1;
}

/* False where other CPUs were faster each time: then it is tried again in the next pass. */
static __always_inline bool vm_give_slot(struct gateway_state *state, __u32 slot)
{
	__u32 *next = bpf_map_lookup_elem(&free_vms, &slot);

	for (__u32 i = 0; next && i < 8; i++) {
		__u64 before = *(volatile __u64 *)vm_free_word(state);

		*next = before;
		if (vm_free_word_change(state, before, slot + 1))
			return true;
	}
	return false;
}

/* A slot that nobody holds, all zero; or -1. */
static __always_inline __s64 vm_take_slot(void)
{
	struct gateway_state *state;
	__u32 zero = 0, slot;
	__s64 taken;

	state = bpf_map_lookup_elem(&gateway_states, &zero);
	if (!state)
		return -1;
	taken = vm_take_free_slot(state);
	if (taken >= 0)
		return taken;
	slot = __sync_fetch_and_add(&state->vms, 1);
	if (vm_at(slot))
		return slot;
	__sync_fetch_and_add(&state->vms, -1);
	return -1;
}

/* Nothing of the configuration leads to it. */
static __always_inline bool vm_may_be_forgotten(const struct vm *vm)
{
	return !vm->floating_ip && !(vm->flags & (VM_PINNED | VM_HAS_FORWARDINGS)) &&
	       !vm->static_mapping_count;
}

/* True for whoever does it. */
static __always_inline bool vm_mark_retired(struct vm *vm, __u32 now)
{
	vm->last_seen = now;
	return !(__sync_fetch_and_or(&vm->flags, VM_RETIRED) & VM_RETIRED);
}

/*
 * From here on nobody finds it by its address. Whoever found it before may still
 * give it a mapping: its slot goes to nobody else before that is over.
 */
static __always_inline void vm_unlist(const struct vm *vm, __u32 index)
{
	struct vm_key key = { .vni = vm->vni, .address = vm->address };
	__u32 *found = bpf_map_lookup_elem(&vm_by_address, &key);

	if (found && *found == index)
		bpf_map_delete_elem(&vm_by_address, &key);
	network_uncount_vm(vm->network);
}

static __always_inline void vm_retire(struct vm *vm, __u32 index, __u32 now)
{
	if (vm_mark_retired(vm, now))
		vm_unlist(vm, index);
}

/* An idle one. Asked again once it is marked, for vm_ensure() writes first and looks for the mark then. */
static __always_inline bool vm_forget(struct vm *vm, __u32 index, __u32 now)
{
	if (!vm_may_be_forgotten(vm) || !vm_mark_retired(vm, now))
		return false;
	if (!vm_may_be_forgotten(vm)) {
		__sync_fetch_and_and(&vm->flags, ~(__u32)VM_RETIRED);
		return false;
	}
	vm_unlist(vm, index);
	return true;
}

/*
 * Its index, or a negative reason. Limits are for VMs that come by themselves:
 * those of the configuration and of the peer's records are counted only.
 */
__noinline __s64 vm_create_at(__u32 vni, __be32 address, __u32 network, bool limited, __u32 now)
{
	struct vm_key key = { .vni = vni, .address = address };
	__u32 slot, winner;
	struct vm *vm;
	__s64 taken;

	if (!network_count_vm(network, limited))
		return -REASON_DROP_NETWORK_VM_LIMIT;
	taken = vm_take_slot();
	slot = taken;
	vm = taken < 0 ? NULL : vm_at(slot);
	if (!vm) {
		network_uncount_vm(network);
		return -REASON_DROP_VM_TABLE_FULL;
	}
	vm->vni = vni;
	vm->network = network;
	vm->last_seen = now;
	/* Even, so that a UDP port keeps its parity (RFC 4787 REQ-4). */
	vm->port_key = bpf_get_prandom_u32() & ~1u;
	asm volatile("" ::: "memory");
	vm->address = address;
	if (!bpf_map_update_elem(&vm_by_address, &key, &slot, BPF_NOEXIST))
		return slot;
	/* Another CPU was faster. */
	vm_retire(vm, slot, now);
	return vm_find(vni, address, &winner) ? (__s64)winner : -REASON_DROP_VM_TABLE_FULL;
}

static __always_inline __s64 vm_create(__u32 vni, __be32 address, __u32 network, bool limited)
{
	return vm_create_at(vni, address, network, limited, tick_now());
}

/* One that the configuration or the peer speaks of. */
static __always_inline struct vm *vm_find_or_create(__u32 vni, __be32 address, __u32 network,
						  __u32 now, __u32 *index)
{
	struct vm *vm = vm_find(vni, address, index);
	__s64 created;

	if (vm)
		return vm;
	created = vm_create_at(vni, address, network, false, now);
	if (created < 0)
		return NULL;
	*index = created;
	return vm_at(created);
}

/* Whether a packet that claims to be the VM's comes from elsewhere than the configuration says. */
static __always_inline bool vm_is_spoofed(const struct vm *vm, const struct tunnel *tunnel,
					  const __u8 *mac)
{
	return vm->flags & VM_PINNED &&
	       (vm->tunnel_endpoint != tunnel->source || !mac_equal(vm->mac, mac));
}

static __always_inline void vm_learn_way(struct vm *vm, const struct tunnel *tunnel)
{
	__sync_fetch_and_and(&vm->flags, ~(__u32)VM_COMMITTED);
	mac_copy(vm->next_hop_mac, tunnel->source_mac);
	*(__u64 *)vm->option = *(__u64 *)tunnel->option;
	vm->option_length = tunnel->option_length;
}

/* Takes over where the VM lives from its own packet; a change has to reach the peer before the packet leaves. */
static __always_inline void vm_learn(struct vm *vm, const struct tunnel *tunnel, const __u8 *mac, __u32 now)
{
	bool known = vm->tunnel_endpoint == tunnel->source && mac_equal(vm->mac, mac) &&
		     mac_equal(vm->next_hop_mac, tunnel->source_mac) &&
		     vm->option_length == tunnel->option_length &&
		     *(__u64 *)vm->option == *(__u64 *)tunnel->option;

	if (vm->last_seen != now)
		vm->last_seen = now;
	if (known)
		return;
	/* One move in a tick: a VM that is in two places would send every packet by way of the peer. */
	if (vm->tunnel_endpoint && vm->moved == now)
		return;
	if (vm->tunnel_endpoint)
		vm->moved = now;
	vm_learn_way(vm, tunnel);
	/* The configuration says where it lives, but not what leads there. */
	if (vm->flags & VM_PINNED)
		return;
	count(vm->tunnel_endpoint ? REASON_VM_MOVED : REASON_VM_LEARNED, 0);
	mac_copy(vm->mac, mac);
	vm->tunnel_endpoint = tunnel->source;
}

static __always_inline void router_count_sessions(__u32 index, __s32 change)
{
	struct router_state *state = bpf_map_lookup_elem(&router_states, &index);

	if (state)
		__sync_fetch_and_add(&state->sessions, change);
}

/* sessions and session_router. */
static __always_inline __u64 *vm_session_word(struct vm *vm)
{
	return (__u64 *)&vm->sessions;
}

/* The configuration may have given its network to another router. */
static __always_inline void vm_move_sessions(struct vm *vm, __u32 router)
{
	for (__u32 i = 0; i < 8; i++) {
		__u64 before = *(volatile __u64 *)vm_session_word(vm);
		__u64 after = (__u64)router << 32 | (__u32)before;

		if (before == after)
			return;
		if (__sync_val_compare_and_swap(vm_session_word(vm), before, after) != before)
			continue;
		router_count_sessions(before >> 32, -(__s32)(__u32)before);
		router_count_sessions(router, (__u32)before);
		return;
	}
}

/* Before the session is made, so that no two CPUs make the last that is allowed. */
static __always_inline void vm_count_session(struct vm *vm, __u32 router)
{
	vm_move_sessions(vm, router);
	router_count_sessions(__sync_fetch_and_add(vm_session_word(vm), 1) >> 32, 1);
}

static __always_inline void vm_uncount_session(struct vm *vm)
{
	router_count_sessions(__sync_fetch_and_add(vm_session_word(vm), -1) >> 32, -1);
}

/* A bucket of as many new sessions as may come in a second; each tick fills it. */
static __always_inline bool vm_take_token(struct vm *vm, __u32 rate)
{
	__u32 filled = vm->session_tokens_tick, now = tick_now();

	if (filled != now && __sync_val_compare_and_swap(&vm->session_tokens_tick, filled, now) == filled)
		vm->session_tokens = rate;
	if ((__s32)__sync_fetch_and_add(&vm->session_tokens, -1) > 0)
		return true;
	__sync_fetch_and_add(&vm->session_tokens, 1);
	return false;
}

static __always_inline bool vm_has_blocks(const struct vm *vm)
{
	__u32 blocks = 0;

	for (__u32 n = 0; n < GATEWAYS * VM_PORT_BLOCKS; n++)
		blocks |= vm->blocks[n];
	return blocks;
}

/* Without any it may get another address the next time; with one it keeps it (RFC 4787 REQ-2). */
static __always_inline bool vm_has_ports(const struct vm *vm)
{
	return vm->mapping_count || vm_has_blocks(vm);
}

/* Index of the address that its ports are of; -1 where it has none, or the configuration has taken it away. */
static __always_inline __s64 vm_snat_index(const struct vm *vm, __u32 router, __be32 *address)
{
	__u32 index = vm->snat_address - 1;
	struct snat_address *snat;

	if (!vm->snat_address)
		return -1;
	snat = bpf_map_lookup_elem(&snat_addresses, &index);
	if (!snat || !snat->address || snat->router != router)
		return -1;
	*address = snat->address;
	return index;
}
