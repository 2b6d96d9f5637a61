/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* External ports: blocks of an address, each held by one VM, allocated by one gateway. */
#pragma once

#include "port_log.h"

#define OWN_PORT_BLOCKS ((PORT_BLOCKS_PER_ADDRESS - FIRST_PORT_BLOCK) / GATEWAYS)
/* Of the ports below 1024 those of one gateway. */
#define OWN_LOW_PORTS (FIRST_PORT_BLOCK / GATEWAYS * PORT_BLOCK_SIZE)
#define LOW_PORT_PROBES (2 * PORT_PROBES)
/* How many addresses of its pool a VM without one tries. */
#define POOL_PROBES 256

static __always_inline struct port_block *port_block_at(__u32 address_index, __u32 block)
{
	__u32 key = address_index * PORT_BLOCKS_PER_ADDRESS + block;

	return bpf_map_lookup_elem(&port_blocks, &key);
}

static __always_inline __u32 port_block_owner(__u32 block)
{
	return block % GATEWAYS;
}

/* Enters a block that the VM holds into its list; false where it may not have so many. */
static __always_inline bool vm_note_block(struct vm *vm, __u32 block, __u32 limit)
{
	__u32 base = port_block_owner(block) * VM_PORT_BLOCKS;

	for (__u32 n = 0; n < VM_PORT_BLOCKS; n++) {
		__u32 *entry = &vm->blocks[(base + n) & 15];

		if (n >= limit)
			return false;
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

static __always_inline void vm_forget_address(struct vm *vm)
{
	if (!vm_has_ports(vm))
		vm->snat_address = 0;
}

/* The address goes last: who finds none may enter blocks of another. */
static __always_inline void vm_forget_blocks(struct vm *vm)
{
	for (__u32 n = 0; n < GATEWAYS * VM_PORT_BLOCKS; n++)
		vm->blocks[n] = 0;
	asm volatile("" ::: "memory");
	vm->snat_address = 0;
}

static __always_inline void port_block_release(__u32 address_index, __u32 block)
{
	struct port_block *entry = port_block_at(address_index, block);
	struct port_block *first = port_block_at(address_index, 0);

	if (!entry || !first)
		return;
	entry->vm = 0;
	first->exhausted = 0;
}

/*
 * Another of this gateway's blocks for a VM, which does not know of it yet. From
 * a random place on, so that ports are hard to guess (RFC 6888 REQ-15). 0 where
 * none is left: that is remembered for a tick, for then every packet asks again.
 */
__noinline __u32 port_block_claim(__u32 vm_index, __u32 address_index, __u32 gateway_id)
{
	struct port_block *first = port_block_at(address_index, 0);
	__u32 start = bpf_get_prandom_u32(), now = tick_now();

	if (!first || first->exhausted == now)
		return 0;
	for (__u32 i = 0; i < OWN_PORT_BLOCKS; i++) {
		__u32 block = FIRST_PORT_BLOCK + (start + i) % OWN_PORT_BLOCKS * GATEWAYS +
			      (gateway_id & 1);
		struct port_block *entry = port_block_at(address_index, block);

		if (!entry)
			return 0;
		if (entry->vm || __sync_val_compare_and_swap(&entry->vm, 0, vm_index + 1))
			continue;
		entry->last_seen = now;
		return block;
	}
	first->exhausted = now;
	return 0;
}

/* Gives the VM one more block at its address, unless another CPU has just done so. */
static __always_inline void vm_take_block(struct vm *vm, __u32 vm_index, __u32 address_index,
					  __u32 gateway_id, __u32 limit)
{
	__u32 block = port_block_claim(vm_index, address_index, gateway_id);

	if (!block)
		return;
	if (vm_note_block(vm, block, limit))
		port_log_block(EVENT_PORTS_ALLOCATED, vm_index, address_index, block);
	else
		port_block_release(address_index, block);
}

/*
 * Gives a VM its address together with a block there: an address whose ports are
 * all taken is none. VMs begin at different places of the pool.
 */
__noinline bool vm_choose_address(struct vm *vm, __u32 vm_index, const struct router *router,
				  __u32 router_index, __u32 gateway_id)
{
	__u32 start = vm_index * 0x9e3779b1u >> 8;

	if (!vm || !router || !router->pool_size || !router->vm_block_limit)
		return false;
	for (__u32 i = 0; i < POOL_PROBES; i++) {
		__u32 key = router->pool + (start + i) % router->pool_size, block, before, *index;
		struct snat_address *snat;

		if (i >= router->pool_size)
			return false;
		index = bpf_map_lookup_elem(&pools, &key);
		snat = index ? bpf_map_lookup_elem(&snat_addresses, index) : NULL;
		if (!snat || !snat->address || snat->router != router_index)
			continue;
		block = port_block_claim(vm_index, *index, gateway_id);
		if (!block)
			continue;
		before = __sync_val_compare_and_swap(&vm->snat_address, 0, *index + 1);
		if ((before && before != *index + 1) || !vm_note_block(vm, block, router->vm_block_limit))
			port_block_release(*index, block);
		else
			port_log_block(EVENT_PORTS_ALLOCATED, vm_index, *index, block);
		return true;
	}
	return false;
}

static __always_inline __u32 port_step(__u32 protocol)
{
	return protocol == MAPPING_UDP ? 2 : 1;
}

/* Where probing for an internal port starts in every block of its VM. */
static __always_inline __u32 port_start(const struct vm *vm, __be16 internal_port, __u32 protocol)
{
	__u32 port = bpf_ntohs(internal_port);

	if (protocol == MAPPING_UDP)
		return port ^ vm->port_key;
	/* connect() picks ports of one parity; the lowest bit must not halve the block. */
	port = (port >> 1) | (port << 15);
	return port ^ (vm->port_key >> 8);
}

/* As hard to guess as the VM's key; of the parity that REQ-4 of RFC 4787 asks for. */
static __always_inline __u32 port_hash(const struct vm *vm, __be16 internal_port, __u32 protocol,
				       __be32 remote, __be16 remote_port)
{
	__u32 port = bpf_ntohs(internal_port);
	__u64 hash = ((__u64)remote << 32 | (__u32)remote_port << 16 | port) ^
		     (__u64)vm->port_key * 0xd6e8feb86659fd93ULL;

	hash *= 0x9e3779b97f4a7c15ULL;
	hash ^= hash >> 32;
	hash *= 0xd6e8feb86659fd93ULL;
	hash ^= hash >> 32;
	return protocol == MAPPING_UDP ? ((__u32)hash & ~1u) | (port & 1) : (__u32)hash;
}

/* The i-th of a gateway's ports below 1024 for an internal one; 0, which is no port, where there is none. */
static __always_inline __u32 port_low_probe(__u32 start, __u32 protocol, __u32 gateway_id, __u32 i)
{
	__u32 n = (start + i * port_step(protocol)) % OWN_LOW_PORTS;
	__u32 block = n / PORT_BLOCK_SIZE * GATEWAYS + (gateway_id & 1);

	return block * PORT_BLOCK_SIZE + n % PORT_BLOCK_SIZE;
}
