// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Run by the control plane, never by a packet: sealing, bulk synchronisation, ageing, VM slots. */
#include "apply.h"

/* How far one run looks for something to say. */
#define WALK_STEPS 4096
/* So long a mapping may be without a session: far longer than any CPU takes to add it. */
#define MAPPING_BIRTH_TICKS 1

/* Seals a message of the control plane, or a heartbeat. */
SEC("xdp")
int seal_xdp(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct gateway *gateway = bpf_map_lookup_elem(&gateways, &zero);
	struct gateway_state *state = bpf_map_lookup_elem(&gateway_states, &zero);

	if (!gateway || !state || sync_seal(ctx, gateway, state))
		return XDP_DROP;
	return XDP_TX;
}

/* One run of a walk: collects records into the frame until it is full or the steps are used up. */
struct walk_run {
	struct xdp_md *ctx;
	struct walk *walk;
	const struct gateway *gateway;
	const struct gateway_state *state;
	struct sync_record record;
};

/* The routers that a VM's records speak of; false where its network has gone. */
static __always_inline bool walk_find_routers(const struct vm *vm, struct router **router,
					      struct virtual_router **virtual_router)
{
	__u32 index = vm->network;
	struct network *network = bpf_map_lookup_elem(&networks, &index);

	if (!network || network->vni != vm->vni)
		return false;
	index = network->router;
	*router = bpf_map_lookup_elem(&routers, &index);
	if (!*router)
		return false;
	index = (*router)->virtual_router;
	*virtual_router = bpf_map_lookup_elem(&virtual_routers, &index);
	return *virtual_router;
}

static __always_inline void walk_write(struct walk_run *run)
{
	if (bpf_xdp_store_bytes(run->ctx, SYNC_RECORDS_OFFSET + run->walk->records * sizeof(run->record),
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
	if (block && block->vm)
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

static __always_inline void bulk_vm(struct walk_run *run)
{
	struct virtual_router *virtual_router;
	struct router *router;
	struct vm *vm = vm_at(run->walk->position);

	if (run->walk->position >= run->state->vms || !vm) {
		walk_next_phase(run->walk);
		return;
	}
	run->walk->position++;
	if (!vm->tunnel_endpoint || !walk_find_routers(vm, &router, &virtual_router))
		return;
	record_export_vm(&run->record, vm, router, virtual_router);
	walk_write(run);
}

static __always_inline void bulk_session(struct walk_run *run, __u32 index,
					 const struct mapping *mapping, const struct session *session)
{
	struct virtual_router *virtual_router;
	struct router *router;
	struct vm *vm = vm_at(mapping->vm - 1);

	if (!vm || session->state == SESSION_FREE || !session->remote ||
	    !walk_find_routers(vm, &router, &virtual_router))
		return;
	record_export_vm(&run->record, vm, router, virtual_router);
	record_export_session(&run->record, index, mapping, session, router);
	walk_write(run);
}

static __always_inline void bulk_mapping(struct walk_run *run)
{
	__u32 index = run->walk->position;
	struct mapping *mapping = mapping_at(index);

	if (walk_mappings_end(run)) {
		walk_next_phase(run->walk);
		return;
	}
	if (walk_skips_block(run->walk))
		return;
	run->walk->position++;
	if (mapping && mapping->vm && mapping->first.state != SESSION_FREE)
		bulk_session(run, index, mapping, &mapping->first);
}

static __always_inline void bulk_session_slot(struct walk_run *run)
{
	struct session_slot *slot = session_slot_at(run->walk->position);
	struct mapping *mapping;

	if (walk_sessions_end(run)) {
		walk_next_phase(run->walk);
		return;
	}
	run->walk->position++;
	if (!slot || !slot->mapping)
		return;
	mapping = mapping_at(slot->mapping - 1);
	if (mapping && mapping->vm)
		bulk_session(run, slot->mapping - 1, mapping, &slot->session);
}

static long bulk_step(__u32 i __attribute__((unused)), struct walk_run *run)
{
	if (run->walk->phase == WALK_VMS)
		bulk_vm(run);
	else if (run->walk->phase == WALK_MAPPINGS)
		bulk_mapping(run);
	else if (run->walk->phase == WALK_SESSIONS)
		bulk_session_slot(run);
	else
		return 1;
	return run->walk->records == SYNC_MAX_RECORDS;
}

/* What the control plane sees of a run. */
static __always_inline int walk_finish(struct walk_run *run)
{
	__u32 length = SYNC_RECORDS_OFFSET + run->walk->records * sizeof(struct sync_record);
	__u32 zero = 0;
	struct gateway_state *state = bpf_map_lookup_elem(&gateway_states, &zero);
	struct sync_header *header;

	if (!run->walk->records)
		return run->walk->phase == WALK_ENDED ? XDP_DROP : XDP_PASS;
	if (!state || bpf_xdp_adjust_tail(run->ctx, (int)length - (int)packet_length(run->ctx)) ||
	    sync_write_envelope(run->ctx, run->gateway, length))
		return XDP_ABORTED;
	header = packet_at(run->ctx, SYNC_OFFSET, sizeof(*header));
	if (!header)
		return XDP_ABORTED;
	*header = (struct sync_header){
		.version = SYNC_VERSION, .type = SYNC_RECORDS, .records = run->walk->records,
	};
	return sync_seal(run->ctx, run->gateway, state) ? XDP_ABORTED : XDP_TX;
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

/*
 * Everything that we hold, a frame at a time. data_in: room for a full frame.
 * XDP_TX: a sealed frame; XDP_PASS: nothing yet, run again; XDP_DROP: the end.
 */
SEC("xdp")
int bulk_xdp(struct xdp_md *ctx)
{
	struct walk_run run;

	if (!walk_start(&run, ctx, WALK_BULK))
		return XDP_ABORTED;
	bpf_loop(WALK_STEPS, bulk_step, &run, 0);
	return walk_finish(&run);
}

/* A standby's own clock says nothing of use: from the takeover on every session starts a new life. */
static __always_inline bool age_is_over(const struct walk_run *run, const struct session *session,
					__u32 protocol, const struct virtual_router *router)
{
	__u32 since = router->active_since_ns >> TICK_SHIFT;
	__u32 seen = session->last_seen;

	/* Being made on another CPU, which says last when it was seen. */
	if (session->state == SESSION_FREE || !seen)
		return false;
	if ((__s32)(since - seen) > 0)
		seen = since;
	return (__s32)(tick_now() - seen) > (__s32)session_timeout_ticks(run->gateway, session, protocol);
}

static __always_inline void age_record(struct walk_run *run, __u32 index,
				       const struct mapping *mapping, const struct vm *vm,
				       const struct router *router,
				       const struct virtual_router *virtual_router)
{
	record_export_vm(&run->record, vm, router, virtual_router);
	run->record.kind = RECORD_DELETE;
	run->record.protocol = index / 65536 % MAPPING_PROTOCOLS;
	run->record.external_address = router->external_address;
	run->record.external_port = bpf_htons(index & 0xffff);
	run->record.internal_port = mapping->internal_port;
	count(REASON_SESSION_EXPIRED, 0);
}

/* True once it has been seen without a session by an earlier pass. The clock of a session that is not there holds when. */
static __always_inline bool age_was_empty_before(struct mapping *mapping)
{
	if (!mapping->first.last_seen)
		mapping->first.last_seen = tick_now();
	return tick_now() - mapping->first.last_seen > MAPPING_BIRTH_TICKS;
}

static __always_inline void age_mapping_at(struct walk_run *run, __u32 index, struct mapping *mapping)
{
	__u32 protocol = index / 65536 % MAPPING_PROTOCOLS;
	struct virtual_router *virtual_router;
	struct router *router;
	struct vm *vm = vm_at(mapping->vm - 1);

	if (!vm || !walk_find_routers(vm, &router, &virtual_router)) {
		mapping_free(mapping, index);
		return;
	}
	if (!virtual_router_is_active(virtual_router))
		return;
	/* Its first session has gone before and others keep it alive, or it is being made on another CPU. */
	if (mapping->first.state == SESSION_FREE &&
	    (mapping->session_count || !age_was_empty_before(mapping)))
		return;
	if (mapping->first.state != SESSION_FREE &&
	    !age_is_over(run, &mapping->first, protocol, virtual_router))
		return;
	age_record(run, index, mapping, vm, router, virtual_router);
	if (mapping->session_count) {
		/* Others keep the mapping alive; its first place becomes free for a new remote. */
		run->record.remote = mapping->first.remote;
		run->record.remote_port = mapping->first.remote_port;
		session_clear(&mapping->first);
	} else {
		mapping_free(mapping, index);
	}
	walk_write(run);
}

/* A block that has been empty for the hold-down goes back to its gateway. */
static __always_inline void age_block(struct walk_run *run)
{
	__u32 index = run->walk->position, number = index % 65536 / PORT_BLOCK_SIZE;
	struct port_block *block;
	struct vm *vm;

	if (index % PORT_BLOCK_SIZE || index / 65536 % MAPPING_PROTOCOLS)
		return;
	block = port_block_at(index / 65536 / MAPPING_PROTOCOLS, number);
	if (!block || !block->vm || block->mappings ||
	    tick_now() - block->last_seen <= run->gateway->hold_down_ticks)
		return;
	vm = vm_at(block->vm - 1);
	if (vm)
		vm_forget_block(vm, number);
	block->vm = 0;
}

static __always_inline void age_mapping(struct walk_run *run)
{
	__u32 index = run->walk->position;
	struct mapping *mapping = mapping_at(index);

	if (walk_mappings_end(run)) {
		walk_next_phase(run->walk);
		return;
	}
	age_block(run);
	if (walk_skips_block(run->walk))
		return;
	run->walk->position++;
	if (mapping && mapping->vm)
		age_mapping_at(run, index, mapping);
}

static __always_inline void age_session_slot(struct walk_run *run)
{
	struct session_slot *slot = session_slot_at(run->walk->position);
	struct virtual_router *virtual_router;
	struct mapping *mapping;
	struct router *router;
	struct vm *vm;

	if (walk_sessions_end(run)) {
		walk_next_phase(run->walk);
		return;
	}
	run->walk->position++;
	if (!slot || !slot->mapping)
		return;
	mapping = mapping_at(slot->mapping - 1);
	vm = mapping && mapping->vm ? vm_at(mapping->vm - 1) : NULL;
	if (!vm || !walk_find_routers(vm, &router, &virtual_router)) {
		session_slot_free(slot, NULL);
		return;
	}
	if (!virtual_router_is_active(virtual_router) ||
	    !age_is_over(run, &slot->session, (slot->mapping - 1) / 65536 % MAPPING_PROTOCOLS,
			 virtual_router))
		return;
	age_record(run, slot->mapping - 1, mapping, vm, router, virtual_router);
	run->record.remote = slot->session.remote;
	run->record.remote_port = slot->session.remote_port;
	session_slot_free(slot, mapping);
	walk_write(run);
}

static long age_step(__u32 i __attribute__((unused)), struct walk_run *run)
{
	if (run->walk->phase == WALK_VMS)
		walk_next_phase(run->walk);
	else if (run->walk->phase == WALK_MAPPINGS)
		age_mapping(run);
	else if (run->walk->phase == WALK_SESSIONS)
		age_session_slot(run);
	else
		return 1;
	return run->walk->records == SYNC_MAX_RECORDS;
}

/* What has expired, freed here and told to the peer. Same protocol as bulk_xdp. */
SEC("xdp")
int age_xdp(struct xdp_md *ctx)
{
	struct walk_run run;

	if (!walk_start(&run, ctx, WALK_AGE))
		return XDP_ABORTED;
	bpf_loop(WALK_STEPS, age_step, &run, 0);
	return walk_finish(&run);
}

/* A VM's slot for the control plane, which may know its floating IP before it has sent anything. */
SEC("syscall")
int vm_ensure(struct vm_ensure *request)
{
	__u32 vni = request->vni, index = 0;
	__u32 *network = bpf_map_lookup_elem(&network_by_vni, &vni);
	struct vm *vm;

	if (!network)
		return -2; /* ENOENT */
	vm = vm_find_or_create(vni, request->address, *network, &index);
	if (!vm)
		return -28; /* ENOSPC */
	vm->network = *network;
	vm->floating_ip = request->floating_ip;
	request->vm = index;
	return 0;
}
