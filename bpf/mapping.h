/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* RFC 4787 §4.1: endpoint-independent mappings, one slot for both directions. */
#pragma once

#include "port.h"

struct mapping_place {
	__u32 vm;                     /* index */
	__u32 address_index;
	__u32 protocol;               /* enum mapping_protocol */
	__be16 internal_port;
	__u16 external_port;          /* out, host order */
	__u32 index;                  /* out, into mappings */
};

static __always_inline __u32 mapping_index(__u32 address_index, __u32 protocol, __u32 port)
{
	return (address_index * MAPPING_PROTOCOLS + protocol) * 65536 + port;
}

static __always_inline struct mapping *mapping_at(__u32 index)
{
	return bpf_map_lookup_elem(&mappings, &index);
}

/* The eight bytes that say whose the slot is. */
static __always_inline __u64 mapping_owner(__u32 vm, __be16 internal_port)
{
	return (__u64)internal_port << 32 | (vm + 1);
}

static __always_inline __u64 *mapping_owner_word(struct mapping *mapping)
{
	return (__u64 *)mapping;
}

static __always_inline struct mapping *mapping_probe(const struct vm *vm, struct mapping_place *place,
						     __u32 block, __u32 i)
{
	place->external_port = block * PORT_BLOCK_SIZE +
			       port_probe(vm, place->internal_port, place->protocol, i);
	place->index = mapping_index(place->address_index, place->protocol, place->external_port);
	return mapping_at(place->index);
}

/*
 * Whether this internal endpoint has a mapping, and where. Looks in the blocks of
 * both gateways, ours first. Global functions are verified once, not once a caller.
 */
__noinline bool mapping_find(const struct vm *vm, struct mapping_place *place, __u32 gateway_id)
{
	__u64 owner;

	if (!vm || !place)
		return false;
	owner = mapping_owner(place->vm, place->internal_port);
	for (__u32 n = 0; n < GATEWAYS * VM_PORT_BLOCKS; n++) {
		__u32 block = vm->blocks[(gateway_id * VM_PORT_BLOCKS + n) & 15];

		if (!block)
			continue;
		for (__u32 i = 0; i < PORT_PROBES; i++) {
			struct mapping *mapping = mapping_probe(vm, place, block, i);

			if (mapping && *mapping_owner_word(mapping) == owner)
				return true;
		}
	}
	return false;
}

static __always_inline void port_block_count(__u32 address_index, __u32 port, __s32 change)
{
	struct port_block *block = port_block_at(address_index, port / PORT_BLOCK_SIZE);

	if (!block)
		return;
	__sync_fetch_and_add(&block->mappings, change);
	block->last_seen = tick_now();
}

/* RFC 6888 REQ-8: a freed port rests before somebody else gets it. */
static __always_inline bool mapping_is_takeable(const struct mapping *mapping, __u32 now,
						__u32 hold_down_ticks)
{
	return !mapping->vm && (!mapping->last_seen || now - mapping->last_seen >= hold_down_ticks);
}

static __always_inline bool mapping_create_in(const struct vm *vm, struct mapping_place *place,
					      __u32 block, __u32 hold_down_ticks)
{
	__u64 owner = mapping_owner(place->vm, place->internal_port);
	__u32 now = tick_now();

	for (__u32 i = 0; i < PORT_PROBES; i++) {
		struct mapping *mapping = mapping_probe(vm, place, block, i);

		if (!mapping)
			continue;
		if (mapping_is_takeable(mapping, now, hold_down_ticks) &&
		    !__sync_val_compare_and_swap(mapping_owner_word(mapping), 0, owner)) {
			mapping->last_seen = now;
			port_block_count(place->address_index, place->external_port, 1);
			return true;
		}
		/* Another CPU was faster for the same endpoint: it has one mapping, not two. */
		if (*mapping_owner_word(mapping) == owner)
			return true;
	}
	return false;
}

static __always_inline bool port_block_is_held(const struct mapping_place *place, __u32 block)
{
	struct port_block *entry = port_block_at(place->address_index, block);

	return entry && entry->vm == place->vm + 1;
}

/* False where this gateway's ports are exhausted for the VM. */
__noinline bool mapping_create(struct vm *vm, struct mapping_place *place,
			       const struct gateway *gateway)
{
	if (!vm || !place || !gateway)
		return false;
	for (__u32 n = 0; n < VM_PORT_BLOCKS; n++) {
		__u32 block = vm->blocks[(gateway->id * VM_PORT_BLOCKS + n) & 15];

		if (!block) {
			if (!port_block_take(vm, place->vm, place->address_index, gateway->id))
				return false;
			/* All CPUs go on with what stands here now, or one endpoint would get a mapping from each. */
			block = *(volatile __u32 *)&vm->blocks[(gateway->id * VM_PORT_BLOCKS + n) & 15];
		}
		if (!block)
			return false;
		/* After a change of the router's address the list may still name blocks of the old one. */
		if (!port_block_is_held(place, block))
			continue;
		if (mapping_create_in(vm, place, block, gateway->hold_down_ticks))
			return true;
	}
	return false;
}

/* The eight bytes that claim it go last: whoever claims it next finds the rest clean, and keeps what it writes. */
static __always_inline void session_clear(struct session *session)
{
	session->last_seen = 0;
	session->term = 0;
	asm volatile("" ::: "memory");
	*(__u64 *)session = 0;
}

static __always_inline void mapping_free(struct mapping *mapping, __u32 index)
{
	__u32 address_index = index / 65536 / MAPPING_PROTOCOLS;

	session_clear(&mapping->first);
	mapping->session_count = 0;
	mapping->last_seen = tick_now();
	*mapping_owner_word(mapping) = 0;
	port_block_count(address_index, index & 0xffff, -1);
}
