// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * On the switches' ports towards a machine: lets everything in while the
 * machine has power. All of its cables fall silent at one write to the map,
 * which links that are taken down one after the other do not.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} power SEC(".maps");

SEC("xdp")
int power_xdp(struct xdp_md *ctx __attribute__((unused)))
{
	__u32 machine = 0;
	__u32 *on = bpf_map_lookup_elem(&power, &machine);

	return on && *on != 0 ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
