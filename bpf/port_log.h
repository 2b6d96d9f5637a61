/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* RFC 6888 REQ-12, REQ-14, RFC 7422: who had which ports, a line for each block. */
#pragma once

#include "event.h"
#include "vm.h"

struct port_log_event {
	struct event head;
	struct port_log log;
};

static __always_inline bool port_log_is_wanted(void)
{
	__u32 zero = 0;
	struct gateway *gateway = bpf_map_lookup_elem(&gateways, &zero);

	return gateway && gateway->log_ports;
}

/*
 * `ports`: the first one in the upper half, how many in the lower; of one protocol,
 * or with 0 of all. Only what the Active does is told, so that nothing is told twice.
 */
__noinline int port_log_write(__u32 type, __u32 vm_index, __u32 address_index, __u32 ports,
			      __u32 protocol)
{
	struct snat_address *snat = bpf_map_lookup_elem(&snat_addresses, &address_index);
	struct vm *vm = bpf_map_lookup_elem(&vms, &vm_index);
	struct port_log_event *event = NULL;

	if (!vm || !snat)
		return 0;
	if (event_has_room(EVENTS_BYTES / 2))
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count(REASON_PORT_LOG_LOST, 0);
		return 0;
	}
	event->head = (struct event){ .type = type, .length = sizeof(event->log) };
	event->log = (struct port_log){
		.vni = vm->vni, .internal_address = vm->address, .external_address = snat->address,
		.first_port = ports >> 16, .ports = ports, .protocol = protocol,
	};
	bpf_ringbuf_submit(event, 0);
	return 0;
}

static __always_inline void port_log_block(__u32 type, __u32 vm_index, __u32 address_index, __u32 block)
{
	if (port_log_is_wanted())
		port_log_write(type, vm_index, address_index,
			       block * PORT_BLOCK_SIZE << 16 | PORT_BLOCK_SIZE, 0);
}

/* One of the ports that are given out one by one. */
static __always_inline void port_log_port(__u32 type, __u32 vm_index, __u32 index)
{
	__u32 port = index % 65536, protocol = index / 65536 % MAPPING_PROTOCOLS;

	if (port / PORT_BLOCK_SIZE < FIRST_PORT_BLOCK && port_log_is_wanted())
		port_log_write(type, vm_index, index / 65536 / MAPPING_PROTOCOLS, port << 16 | 1,
			       protocol == MAPPING_TCP ? IPPROTO_TCP : IPPROTO_UDP);
}
