/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Passes over all tables, a run at a time, paced by the control plane. */
#pragma once

#include "apply.h"

/* How far one run looks for something to say. */
#define WALK_STEPS 4096

/* One run of a walk: collects records into the frame until it is full or the steps are used up. */
struct walk_run {
	struct xdp_md *ctx;
	struct walk *walk;
	const struct gateway *gateway;
	struct gateway_state *state;
	/* Taken before the tables are read: a commit that changes what was read meanwhile comes after it. */
	__u64 sequence;
	bool repairs;
	struct sync_record record;
};

/* The routers that a VM's records speak of; false where its network, or the VM, has gone. */
static __always_inline bool walk_find_routers(const struct vm *vm, struct router **router,
					      struct virtual_router **virtual_router)
{
	__u32 index = vm->network;
	struct network *network = bpf_map_lookup_elem(&networks, &index);

	if (!network || network->vni != vm->vni || vm->flags & VM_RETIRED)
		return false;
	index = network->router;
	*router = bpf_map_lookup_elem(&routers, &index);
	if (!*router)
		return false;
	index = (*router)->virtual_router;
	*virtual_router = bpf_map_lookup_elem(&virtual_routers, &index);
	return *virtual_router;
}

/* The address that a mapping of the VM is at; 0 where the VM has another by now. */
static __always_inline __be32 walk_find_address(const struct vm *vm, __u32 mapping)
{
	__u32 index = vm->network;
	struct network *network = bpf_map_lookup_elem(&networks, &index);
	__be32 address;

	if (!network || vm->snat_address != mapping_address_index(mapping) + 1)
		return 0;
	return vm_snat_index(vm, network->router, &address) < 0 ? 0 : address;
}

static __always_inline void walk_write(struct walk_run *run)
{
	if (frame_store(run->ctx, SYNC_RECORDS_OFFSET + run->walk->records * sizeof(run->record),
				&run->record, sizeof(run->record)))
		return;
	run->walk->records++;
}

static __always_inline void walk_next_phase(struct walk *walk)
{
	walk->phase++;
	walk->position = 0;
}

/* A block that nobody holds is passed over in one step. */
static __always_inline bool walk_skips_block(struct walk *walk)
{
	__u32 index = walk->position;
	struct port_block *block;

	if (index % PORT_BLOCK_SIZE)
		return false;
	block = port_block_at(index / 65536 / MAPPING_PROTOCOLS, index % 65536 / PORT_BLOCK_SIZE);
	if (block && (block->vm || block->mappings))
		return false;
	walk->position += PORT_BLOCK_SIZE;
	return true;
}

static __always_inline bool walk_mappings_end(const struct walk_run *run)
{
	return run->walk->position >= run->gateway->external_addresses * MAPPING_PROTOCOLS * 65536;
}

static __always_inline bool walk_sessions_end(const struct walk_run *run)
{
	return run->walk->position >= run->gateway->session_buckets * SESSION_BUCKET_SIZE;
}

/* False for what an earlier mapping of the same VM has left behind. */
static __always_inline bool walk_is_of_mapping(const struct session *session,
					       const struct mapping *mapping,
					       const struct router *router)
{
	return session->internal_port == mapping->internal_port || session_is_dependent(router);
}

/* What the control plane sees of a run that has nothing to send. */
static __always_inline int walk_pause(const struct walk_run *run)
{
	return run->walk->phase == WALK_ENDED ? XDP_DROP : XDP_PASS;
}

/* As walk_pause(), or the frame of what was found. `bulk`: whoever sends all that there is must know what has arrived. */
static __always_inline int walk_finish(struct walk_run *run, __u8 bulk)
{
	__u32 length = SYNC_RECORDS_OFFSET + run->walk->records * sizeof(struct sync_record);
	__u32 zero = 0;
	struct gateway_state *state = bpf_map_lookup_elem(&gateway_states, &zero);
	struct sync_header *header;

	if (!run->walk->records)
		return walk_pause(run);
	if (!state || frame_set_length(run->ctx, length, packet_length(run->ctx)) ||
	    sync_write_envelope(run->ctx, run->gateway, length))
		return XDP_ABORTED;
	header = packet_at(run->ctx, SYNC_OFFSET, sizeof(*header));
	if (!header)
		return XDP_ABORTED;
	*header = (struct sync_header){
		.version = SYNC_VERSION, .type = SYNC_RECORDS, .records = run->walk->records,
		.egress = bulk,
	};
	return sync_seal(run->ctx, run->gateway, state, run->sequence, SYNC_OFFSET) ? XDP_ABORTED : XDP_TX;
}

static __always_inline bool walk_start(struct walk_run *run, struct xdp_md *ctx, __u32 kind)
{
	__u32 zero = 0;

	*run = (struct walk_run){
		.ctx = ctx,
		.walk = bpf_map_lookup_elem(&walks, &kind),
		.gateway = bpf_map_lookup_elem(&gateways, &zero),
		.state = bpf_map_lookup_elem(&gateway_states, &zero),
	};
	if (!run->walk || !run->gateway || !run->state)
		return false;
	run->walk->records = 0;
	return true;
}

/* One whose records the peer is to have: their frame's place among all others is before what they say. */
static __always_inline bool walk_start_frame(struct walk_run *run, struct xdp_md *ctx, __u32 kind)
{
	if (!walk_start(run, ctx, kind))
		return false;
	run->sequence = sync_next_sequence(run->state);
	return true;
}
