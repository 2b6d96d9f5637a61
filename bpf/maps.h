/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Map declarations only. Sizes marked * are set by the control plane before load. */
#pragma once

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>

#include "layout.h"

#define ARRAY(name, value_type, entries, flags)                                                          \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(max_entries, entries);                                                      \
		__uint(map_flags, flags);                                                          \
		__type(key, __u32);                                                                \
		__type(value, value_type);                                                            \
	} name SEC(".maps")

#define HASH(name, key_type, value_type, entries)                                                  \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_HASH);                                                   \
		__uint(max_entries, entries);                                                      \
		__type(key, key_type);                                                             \
		__type(value, value_type);                                                         \
	} name SEC(".maps")

#define EVENTS_BYTES (1 << 20)

ARRAY(gateways, struct gateway, 1, 0);
ARRAY(gateway_states, struct gateway_state, 1, BPF_F_MMAPABLE);
ARRAY(interfaces, struct interface, INTERFACES, 0);
ARRAY(virtual_routers, struct virtual_router, VIRTUAL_ROUTERS, BPF_F_MMAPABLE);

HASH(virtual_router_by_address, __be32, __u32, VIRTUAL_ROUTERS);
HASH(network_by_vni, __u32, __u32, 4096);                            /* * */
ARRAY(networks, struct network, 4096, 0);                            /* * */
ARRAY(routers, struct router, 4096, 0);                              /* * */
ARRAY(external_networks, struct external_network, 256, 0);
HASH(external_addresses, __be32, struct external_address, 65536);    /* * */
HASH(neighbours, struct neighbour_key, struct neighbour, 16384);

HASH(vm_by_address, struct vm_key, __u32, 16384);                    /* * */
ARRAY(vms, struct vm, 16384, BPF_F_MMAPABLE);                        /* * */
ARRAY(port_blocks, struct port_block, 4 * PORT_BLOCKS_PER_ADDRESS, BPF_F_MMAPABLE); /* * */
ARRAY(mappings, struct mapping, 4 * MAPPING_PROTOCOLS * 65536, BPF_F_MMAPABLE);     /* * */
ARRAY(sessions, struct session_slot, 65536, BPF_F_MMAPABLE);         /* * */

ARRAY(walks, struct walk, WALKS, 0);
ARRAY(replay_windows, struct replay_window, REPLAY_DIRECTIONS, 0);

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASONS);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENTS_BYTES);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, INTERFACES);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");
