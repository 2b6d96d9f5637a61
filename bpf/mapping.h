/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* RFC 4787 §4.1: internal to external endpoints, one slot for both directions. */
#pragma once

#include "port.h"

static __always_inline __u32 mapping_index(__u32 address_index, __u32 protocol, __u32 port)
{
	return (address_index * MAPPING_PROTOCOLS + protocol) * 65536 + port;
}

static __always_inline __u32 mapping_address_index(__u32 index)
{
	return index / 65536 / MAPPING_PROTOCOLS;
}

static __always_inline __u32 mapping_protocol(__u32 index)
{
	return index / 65536 % MAPPING_PROTOCOLS;
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

/* No dynamic one is ever taken for it. */
static __always_inline __u64 mapping_static_owner(__u32 vm, __be16 internal_port)
{
	return (__u64)MAPPING_STATIC << 48 | mapping_owner(vm, internal_port);
}

static __always_inline __u64 *mapping_owner_word(struct mapping *mapping)
{
	return (__u64 *)mapping;
}

static __always_inline bool mapping_is_dynamic(const struct mapping *mapping)
{
	return mapping->vm && !(mapping->flags & MAPPING_STATIC);
}

/* RFC 4787 REQ-3a: such a port gets one below 1024 as well. Query ids have no such range. */
static __always_inline bool mapping_is_low(const struct mapping_place *place)
{
	return place->protocol != MAPPING_ICMP && bpf_ntohs(place->internal_port) < 1024;
}

static __always_inline struct mapping *mapping_probe_port(struct mapping_place *place, __u32 port)
{
	place->external_port = port;
	place->index = mapping_index(place->address_index, place->protocol, port);
	return mapping_at(place->index);
}

/* The i-th slot of a block for what starts probing at `start`. */
static __always_inline struct mapping *mapping_probe(struct mapping_place *place, __u32 block,
						     __u32 start, __u32 i)
{
	__u32 n = (start + i * port_step(place->protocol)) % PORT_BLOCK_SIZE;

	return mapping_probe_port(place, block * PORT_BLOCK_SIZE + n);
}

static __always_inline __u32 mapping_low_start(const struct vm *vm, const struct mapping_place *place)
{
	return port_hash(vm, place->internal_port, place->protocol, 0, 0);
}

static __noinline bool mapping_find_low(const struct vm *vm, struct mapping_place *place,
					__u32 gateway_id)
{
	__u64 owner = mapping_owner(place->vm, place->internal_port);
	__u32 start = mapping_low_start(vm, place);

	for (__u32 n = 0; n < GATEWAYS * LOW_PORT_PROBES; n++) {
		__u32 port = port_low_probe(start, place->protocol, gateway_id + n / LOW_PORT_PROBES,
					    n % LOW_PORT_PROBES);
		struct mapping *mapping = mapping_probe_port(place, port);

		if (mapping && *mapping_owner_word(mapping) == owner)
			return true;
	}
	return false;
}

/*
 * Whether this internal endpoint has a mapping, and where. Looks in the blocks of
 * both gateways, ours first. Global functions are verified once, not once a caller.
 */
__noinline bool mapping_find(const struct vm *vm, struct mapping_place *place, __u32 gateway_id)
{
	__u32 start;
	__u64 owner;

	if (!vm || !place)
		return false;
	if (mapping_is_low(place) && mapping_find_low(vm, place, gateway_id))
		return true;
	owner = mapping_owner(place->vm, place->internal_port);
	start = port_start(vm, place->internal_port, place->protocol);
	for (__u32 n = 0; n < GATEWAYS * VM_PORT_BLOCKS; n++) {
		__u32 block = vm->blocks[(gateway_id * VM_PORT_BLOCKS + n) & 15];

		if (!block)
			continue;
		for (__u32 i = 0; i < PORT_PROBES; i++) {
			struct mapping *mapping = mapping_probe(place, block, start, i);

			if (mapping && *mapping_owner_word(mapping) == owner)
				return true;
		}
	}
	return false;
}

/* Most mappings are where probing starts. Only then the answer is theirs: mapping_find() looks everywhere. */
static __always_inline bool mapping_is_first(const struct vm *vm, struct mapping_place *place,
					     __u32 gateway_id)
{
	__u32 block = vm->blocks[(gateway_id * VM_PORT_BLOCKS) & 15];
	struct mapping *mapping;

	if (!block)
		return false;
	mapping = mapping_probe(place, block, port_start(vm, place->internal_port, place->protocol), 0);
	return mapping && *mapping_owner_word(mapping) == mapping_owner(place->vm, place->internal_port);
}

static __always_inline void port_block_count(__u32 address_index, __u32 port, __s32 change,
					     __u32 now)
{
	struct port_block *block = port_block_at(address_index, port / PORT_BLOCK_SIZE);

	if (!block)
		return;
	__sync_fetch_and_add(&block->mappings, change);
	block->last_seen = now;
}

/* RFC 6888 REQ-8: a freed port rests before somebody else gets it. */
static __always_inline bool mapping_is_takeable(const struct mapping *mapping, __u32 now,
						__u32 hold_down_ticks)
{
	return !mapping->vm && (!mapping->last_seen || now - mapping->last_seen >= hold_down_ticks);
}

/* RFC 6888 REQ-8: whether one more freed port may rest. */
static __always_inline bool mapping_may_rest(void)
{
	__u32 zero = 0;
	struct gateway *gateway = bpf_map_lookup_elem(&gateways, &zero);
	struct gateway_state *state = bpf_map_lookup_elem(&gateway_states, &zero);
	__u32 before;

	if (!gateway || !state)
		return true;
	before = __sync_fetch_and_add(&state->resting_ports, 1);
	if (!gateway->resting_port_limit || before < gateway->resting_port_limit)
		return true;
	__sync_fetch_and_add(&state->resting_ports, -1);
	return false;
}

static __always_inline void mapping_has_rested(void)
{
	__u32 zero = 0;
	struct gateway_state *state = bpf_map_lookup_elem(&gateway_states, &zero);

	if (state)
		__sync_fetch_and_add(&state->resting_ports, -1);
}

/* False where somebody else was faster. */
static __always_inline bool mapping_claim(struct vm *vm, struct mapping *mapping, __u32 index,
					  __u64 owner)
{
	__u32 now = tick_now();

	if (__sync_val_compare_and_swap(mapping_owner_word(mapping), 0, owner))
		return false;
	if (__sync_lock_test_and_set(&mapping->last_seen, now << RECORD_STAMP_SHIFT))
		mapping_has_rested();
	__sync_fetch_and_add(&vm->mapping_count, 1);
	port_block_count(mapping_address_index(index), index & 0xffff, 1, now);
	return true;
}

/* True where the slot is the endpoint's now: another CPU may have been faster, but an endpoint has one mapping, not two. */
static __always_inline bool mapping_take(struct vm *vm, const struct mapping_place *place,
					 struct mapping *mapping, __u32 hold_down_ticks)
{
	__u64 owner = mapping_owner(place->vm, place->internal_port);

	if (mapping_is_takeable(mapping, tick_now(), hold_down_ticks) &&
	    mapping_claim(vm, mapping, place->index, owner))
		return true;
	return *mapping_owner_word(mapping) == owner;
}

static __noinline bool mapping_create_low(struct vm *vm, struct mapping_place *place,
					  const struct gateway *gateway)
{
	__u32 start = mapping_low_start(vm, place);

	for (__u32 i = 0; i < LOW_PORT_PROBES; i++) {
		__u32 port = port_low_probe(start, place->protocol, gateway->id, i);
		struct mapping *mapping = mapping_probe_port(place, port);

		/* Port 0 is no port. */
		if (port && mapping && mapping_take(vm, place, mapping, gateway->hold_down_ticks)) {
			port_log_port(EVENT_PORTS_ALLOCATED, place->vm, place->index);
			return true;
		}
	}
	return false;
}

static __always_inline bool port_block_is_held(const struct mapping_place *place, __u32 block)
{
	struct port_block *entry = port_block_at(place->address_index, block);

	return entry && entry->vm == place->vm + 1;
}

/* The n-th block of ours that the VM holds; where it holds fewer, and may have more, a new one. 0: neither. */
static __always_inline __u32 mapping_block(struct vm *vm, const struct mapping_place *place,
					   __u32 gateway_id, __u32 n, __u32 limit)
{
	__u32 *entry = &vm->blocks[(gateway_id * VM_PORT_BLOCKS + n) & 15];
	__u32 block = *entry;

	if (n >= limit)
		return 0;
	if (block && port_block_is_held(place, block))
		return block;
	/* Left over from another address of the VM. */
	if (block)
		__sync_val_compare_and_swap(entry, block, 0);
	vm_take_block(vm, place->vm, place->address_index, gateway_id, limit);
	/* All CPUs go on with what stands here now, or one endpoint would get a mapping from each. */
	return *(volatile __u32 *)entry;
}

/* False where this gateway's ports are exhausted for the VM. */
__noinline bool mapping_create(struct vm *vm, struct mapping_place *place,
			       const struct gateway *gateway, __u32 block_limit)
{
	__u32 start;

	if (!vm || !place || !gateway)
		return false;
	if (mapping_is_low(place) && mapping_create_low(vm, place, gateway))
		return true;
	start = port_start(vm, place->internal_port, place->protocol);
	for (__u32 n = 0; n < VM_PORT_BLOCKS; n++) {
		__u32 block = mapping_block(vm, place, gateway->id, n, block_limit);

		if (!block)
			return false;
		for (__u32 i = 0; i < PORT_PROBES; i++) {
			struct mapping *mapping = mapping_probe(place, block, start, i);

			if (mapping && mapping_take(vm, place, mapping, gateway->hold_down_ticks))
				return true;
		}
	}
	return false;
}
