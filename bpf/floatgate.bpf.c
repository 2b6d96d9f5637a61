// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* One object of all programs, so that maps and BTF exist once. */
#include "underlay.bpf.c"
#include "external.bpf.c"
#include "ha.bpf.c"
#include "maintain.bpf.c"
#include "compare.bpf.c"

/* Types that no map mentions still have to reach the generator. */
#define LAYOUT_STRUCT(name) struct name *layout_struct_##name
#define LAYOUT_ENUM(name) enum name *layout_enum_##name

LAYOUT_STRUCT(vm_ensure);
LAYOUT_STRUCT(forwarding_ensure);
LAYOUT_STRUCT(session_end);
LAYOUT_STRUCT(event);
LAYOUT_STRUCT(port_log);
LAYOUT_STRUCT(bfd_report);
LAYOUT_STRUCT(sync_header);
LAYOUT_STRUCT(sync_heartbeat);
LAYOUT_STRUCT(sync_record);
LAYOUT_ENUM(interface_role);
LAYOUT_ENUM(virtual_router_state);
LAYOUT_ENUM(advertisement_kind);
LAYOUT_ENUM(sync_mode);
LAYOUT_ENUM(encapsulation);
LAYOUT_ENUM(mapping_behaviour);
LAYOUT_ENUM(filtering_behaviour);
LAYOUT_ENUM(mapping_protocol);
LAYOUT_ENUM(session_state);
LAYOUT_ENUM(session_flag);
LAYOUT_ENUM(external_address_kind);
LAYOUT_ENUM(vm_flag);
LAYOUT_ENUM(network_flag);
LAYOUT_ENUM(external_network_flag);
LAYOUT_ENUM(mapping_flag);
LAYOUT_ENUM(route_kind);
LAYOUT_ENUM(reason);
LAYOUT_ENUM(walk_kind);
LAYOUT_ENUM(walk_phase);
LAYOUT_ENUM(sweep_phase);
LAYOUT_ENUM(replay_direction);
LAYOUT_ENUM(event_type);
LAYOUT_ENUM(sync_type);
LAYOUT_ENUM(sync_flag);
LAYOUT_ENUM(sync_path);
LAYOUT_ENUM(sync_record_kind);

char _license[] SEC("license") = "Dual BSD/GPL";
