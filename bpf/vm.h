/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* VMs: found by (VNI, address), learned from what they send. */
#pragma once

#include "geneve.h"
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

/* Its index, or -1 where the table is full. A slot lost to a race between CPUs is never reused: at most one a VM and CPU. */
__noinline __s64 vm_create(__u32 vni, __be32 address, __u32 network)
{
	struct vm_key key = { .vni = vni, .address = address };
	struct gateway_state *state;
	__u32 zero = 0, slot, winner;
	struct vm *vm;

	state = bpf_map_lookup_elem(&gateway_states, &zero);
	if (!state)
		return -1;
	slot = __sync_fetch_and_add(&state->vms, 1);
	vm = vm_at(slot);
	if (!vm) {
		__sync_fetch_and_add(&state->vms, -1);
		return -1;
	}
	vm->vni = vni;
	vm->address = address;
	vm->network = network;
	/* Even, so that a UDP port keeps its parity (RFC 4787 REQ-4). */
	vm->port_key = bpf_get_prandom_u32() & ~1u;
	if (bpf_map_update_elem(&vm_by_address, &key, &slot, BPF_NOEXIST))
		return vm_find(vni, address, &winner) ? winner : -1;
	return slot;
}

static __always_inline struct vm *vm_find_or_create(__u32 vni, __be32 address, __u32 network,
						    __u32 *index)
{
	struct vm *vm = vm_find(vni, address, index);
	__s64 created;

	if (vm)
		return vm;
	created = vm_create(vni, address, network);
	if (created < 0)
		return NULL;
	*index = created;
	return vm_at(created);
}

static __always_inline bool mac_equal(const __u8 *a, const __u8 *b)
{
	return *(__u32 *)a == *(__u32 *)b && *(__u16 *)(a + 4) == *(__u16 *)(b + 4);
}

static __always_inline bool mac_is_zero(const __u8 *mac)
{
	return !(*(__u32 *)mac | *(__u16 *)(mac + 4));
}

/* Takes over where the VM lives from its own packet; a change has to reach the peer before the packet leaves. */
static __always_inline void vm_learn(struct vm *vm, const struct tunnel *tunnel, const __u8 *mac)
{
	bool known = vm->tunnel_endpoint == tunnel->source && mac_equal(vm->mac, mac) &&
		     mac_equal(vm->next_hop_mac, tunnel->source_mac) &&
		     vm->option_length == tunnel->option_length &&
		     *(__u64 *)vm->option == *(__u64 *)tunnel->option;
	__u32 now = tick_now();

	if (vm->last_seen != now)
		vm->last_seen = now;
	if (known)
		return;
	count(vm->tunnel_endpoint ? REASON_VM_MOVED : REASON_VM_LEARNED, 0);
	vm->flags &= ~VM_COMMITTED;
	__builtin_memcpy(vm->mac, mac, 6);
	__builtin_memcpy(vm->next_hop_mac, tunnel->source_mac, 6);
	__builtin_memcpy(vm->option, tunnel->option, 8);
	vm->option_length = tunnel->option_length;
	vm->tunnel_endpoint = tunnel->source;
}
