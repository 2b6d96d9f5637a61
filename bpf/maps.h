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
ARRAY(liveness, struct liveness, 1, BPF_F_MMAPABLE);
ARRAY(interfaces, struct interface, INTERFACES, 0);
ARRAY(virtual_routers, struct virtual_router, VIRTUAL_ROUTERS, BPF_F_MMAPABLE);
ARRAY(advertisement_rules, struct advertisement_rule, VIRTUAL_ROUTERS, 0);
ARRAY(advertisements, struct advertisement, VIRTUAL_ROUTERS * ADVERTISEMENT_KINDS, BPF_F_MMAPABLE);

HASH(virtual_router_by_address, __be32, __u32, VIRTUAL_ROUTERS);
HASH(network_by_vni, __u32, __u32, 4096);                            /* * */
ARRAY(networks, struct network, 4096, 0);                            /* * */
ARRAY(routers, struct router, 4096, 0);                              /* * */
ARRAY(external_networks, struct external_network, 256, 0);
HASH(external_addresses, struct external_key, struct external_address, 65536);      /* * */
HASH(neighbours, struct neighbour_key, struct neighbour, 16384);
ARRAY(snat_addresses, struct snat_address, 4, 0);                    /* * */
ARRAY(pools, __u32, 4096, 0);                                        /* * : indexes into snat_addresses */
ARRAY(network_states, struct network_state, 4096, BPF_F_MMAPABLE);   /* * */
ARRAY(router_states, struct router_state, 4096, BPF_F_MMAPABLE);     /* * */
HASH(forwardings, struct forwarding_key, struct forwarding, 16384);  /* * */

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct route_key);
	__type(value, struct route);
} routes SEC(".maps");

HASH(vm_by_address, struct vm_key, __u32, 16384);                    /* * */
ARRAY(vms, struct vm, 16384, BPF_F_MMAPABLE);                        /* * */
ARRAY(port_blocks, struct port_block, 4 * PORT_BLOCKS_PER_ADDRESS, BPF_F_MMAPABLE); /* * */
ARRAY(mappings, struct mapping, 4 * MAPPING_PROTOCOLS * 65536, BPF_F_MMAPABLE);     /* * */
ARRAY(sessions, struct session_slot, 65536, BPF_F_MMAPABLE);         /* * */

/*
 * Slots of vms that were given back, a list from gateway_states.free_vm on: each
 * names the next, + 1. Programs that may sleep have no queues before Linux 6.2.
 */
ARRAY(free_vms, __u32, 16384, 0);                                    /* * */

/* Short-lived, and a packet whose first fragment was forgotten is sent again: here the oldest may go. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct fragment_key);
	__type(value, struct fragment);
} fragments SEC(".maps");

#define PERCPU_ARRAY(name, value_type, entries)                                                    \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                           \
		__uint(max_entries, entries);                                                      \
		__type(key, __u32);                                                                \
		__type(value, value_type);                                                         \
	} name SEC(".maps")

PERCPU_ARRAY(floating_ip_counters, struct floating_ip_counter, 65537); /* * */
PERCPU_ARRAY(icmp_budgets, struct icmp_budget, 1);

HASH(bfd_sessions, struct bfd_key, struct bfd_session, BFD_SESSIONS);
PERCPU_ARRAY(bfd_budgets, struct bfd_budget, 1);

ARRAY(walks, struct walk, WALKS, 0);
ARRAY(segments, struct segment, SEGMENTS, BPF_F_MMAPABLE);
ARRAY(replay_windows, struct replay_window, REPLAY_DIRECTIONS, 0);

PERCPU_ARRAY(counters, struct counter, REASONS);

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
