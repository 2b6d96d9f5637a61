/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What two gateways compare: a sum over everything that is replicated, by
 * segments, in any order. Fields as the wire has them, never map bytes, local
 * indexes, clocks or what only one of both knows. Integers by value, so that both
 * come to the same sum on any machine.
 */
#pragma once

#include "walk.h"

#define DIGEST_VM 1
#define DIGEST_MAPPING 2
#define DIGEST_SESSION 3

static __always_inline __u64 digest_mix(__u64 hash, __u64 word)
{
	hash ^= word;
	hash *= 0x9e3779b97f4a7c15ULL;
	hash ^= hash >> 32;
	hash *= 0xd6e8feb86659fd93ULL;
	hash ^= hash >> 29;
	return hash;
}

static __always_inline __u64 digest_mac(const __u8 *mac)
{
	return (__u64)mac[0] << 40 | (__u64)mac[1] << 32 | (__u64)mac[2] << 24 | mac[3] << 16 |
	       mac[4] << 8 | mac[5];
}

static __always_inline __u64 digest_vm_name(const struct vm *vm)
{
	return (__u64)vm->vni << 32 | bpf_ntohl(vm->address);
}

/* What the segment hangs on, and every sum of the VM begins with. */
static __always_inline __u64 digest_begin_vm(__u64 seed, const struct vm *vm)
{
	return digest_mix(digest_mix(seed, DIGEST_VM), digest_vm_name(vm));
}

/* Sessions are in the segment of their mapping. */
static __always_inline __u64 digest_begin_mapping(__u64 seed, __u32 index, __be32 address)
{
	return digest_mix(digest_mix(seed, DIGEST_MAPPING),
			  (__u64)bpf_ntohl(address) << 32 | mapping_protocol(index) << 16 | (index & 0xffff));
}

static __always_inline __u32 digest_segment(__u64 begun)
{
	return begun >> 54;
}

/* The key is chosen by whoever makes the first mapping: before that both have one of their own. */
static __always_inline __u64 digest_vm(__u64 hash, const struct vm *vm)
{
	hash = digest_mix(hash, (__u64)bpf_ntohl(vm->tunnel_endpoint) << 32 |
				(vm->mapping_count ? vm->port_key : 0));
	hash = digest_mix(hash, (__u64)vm->option_length << 48 | digest_mac(vm->mac));
	hash = digest_mix(hash, digest_mac(vm->next_hop_mac));
	return digest_mix(hash, bpf_be64_to_cpu(*(const __u64 *)vm->option));
}

/* `held`: the mapping's block is its VM's. */
static __always_inline __u64 digest_mapping(__u64 hash, const struct mapping *mapping,
					    const struct vm *vm, bool held)
{
	hash = digest_mix(hash, digest_vm_name(vm));
	return digest_mix(hash, (__u64)held << 32 | bpf_ntohs(mapping->internal_port));
}

/*
 * Of a connection's state only whether it was told to be established: a
 * standby learns of no segment. Other protocols have no state that is told.
 */
static __always_inline __u64 digest_session(__u64 hash, const struct session *session,
					    const struct vm *vm, __u32 protocol)
{
	bool told = protocol == MAPPING_TCP && session->flags & SESSION_ESTABLISHED_COMMITTED;

	hash = digest_mix(hash, DIGEST_SESSION);
	hash = digest_mix(hash, digest_vm_name(vm));
	hash = digest_mix(hash, (__u64)bpf_ntohl(session->remote) << 32 |
				bpf_ntohs(session->remote_port) << 16 |
				bpf_ntohs(session->internal_port));
	return digest_mix(hash, told);
}

static __always_inline struct segment *segment_at(__u32 index)
{
	return bpf_map_lookup_elem(&segments, &index);
}

/* Whether a walk is about what has been begun so. */
static __always_inline bool segment_is_wanted(__u64 begun, __u32 walk)
{
	struct segment *segment = segment_at(digest_segment(begun));

	return segment && segment->wanted & 1u << walk;
}

static __always_inline void segment_add(__u64 begun, __u64 hash)
{
	struct segment *segment = segment_at(digest_segment(begun));

	if (segment)
		segment->digest += hash;
}
