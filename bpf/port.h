/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* External ports: blocks of an address, each held by one VM, allocated by one gateway. */
#pragma once

#include "vm.h"

#define OWN_PORT_BLOCKS ((PORT_BLOCKS_PER_ADDRESS - FIRST_PORT_BLOCK) / GATEWAYS)

static __always_inline struct port_block *port_block_at(__u32 address_index, __u32 block)
{
	__u32 key = address_index * PORT_BLOCKS_PER_ADDRESS + block;

	return bpf_map_lookup_elem(&port_blocks, &key);
}

static __always_inline __u32 port_block_owner(__u32 block)
{
	return block % GATEWAYS;
}

/* Enters a block that the VM holds into its list; false where the list has no room. */
static __always_inline bool vm_note_block(struct vm *vm, __u32 block)
{
	__u32 base = port_block_owner(block) * VM_PORT_BLOCKS;

	for (__u32 n = 0; n < VM_PORT_BLOCKS; n++) {
		__u32 *entry = &vm->blocks[(base + n) & 15];

		if (*entry == block || !__sync_val_compare_and_swap(entry, 0, block))
			return true;
		if (*entry == block)
			return true;
	}
	return false;
}

static __always_inline void vm_forget_block(struct vm *vm, __u32 block)
{
	for (__u32 n = 0; n < GATEWAYS * VM_PORT_BLOCKS; n++)
		__sync_val_compare_and_swap(&vm->blocks[n], block, 0);
}

/*
 * Gives the VM one more of this gateway's blocks, from a random place on, so
 * that ports are hard to guess (RFC 6888 REQ-15). 0 where none is left.
 */
__noinline __u32 port_block_take(struct vm *vm, __u32 vm_index, __u32 address_index,
					__u32 gateway_id)
{
	__u32 start = bpf_get_prandom_u32();

	if (!vm)
		return 0;
	for (__u32 i = 0; i < OWN_PORT_BLOCKS; i++) {
		__u32 block = FIRST_PORT_BLOCK + (start + i) % OWN_PORT_BLOCKS * GATEWAYS +
			      (gateway_id & 1);
		struct port_block *entry = port_block_at(address_index, block);

		if (!entry)
			return 0;
		if (entry->vm || __sync_val_compare_and_swap(&entry->vm, 0, vm_index + 1))
			continue;
		entry->last_seen = tick_now();
		if (vm_note_block(vm, block))
			return block;
		entry->vm = 0;
		return 0;
	}
	return 0;
}

/* Where probing for an internal port starts in every block of its VM. */
static __always_inline __u32 port_probe(const struct vm *vm, __be16 internal_port, __u32 protocol,
					__u32 i)
{
	__u32 port = bpf_ntohs(internal_port);

	if (protocol == MAPPING_UDP)
		return ((port ^ vm->port_key) + i * 2) % PORT_BLOCK_SIZE;
	/* connect() picks ports of one parity; the lowest bit must not halve the block. */
	port = (port >> 1) | (port << 15);
	return ((port ^ (vm->port_key >> 8)) + i) % PORT_BLOCK_SIZE;
}
