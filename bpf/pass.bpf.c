// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Lets everything through. A veth delivers what an XDP program transmits or
 * redirects only when its other end has an XDP program too: the lab puts this
 * one on the ends of its cables that are not a gateway's.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass_xdp(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
