// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The programs of underlay and external again, for interfaces without XDP; over the maps of floatgate.bpf.c. */
#define HOOK_TC

#include "underlay.bpf.c"
#include "external.bpf.c"

char _license[] SEC("license") = "Dual BSD/GPL";
