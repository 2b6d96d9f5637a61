/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Where the programs run: XDP, before the kernel makes anything of a frame, or
 * TC, behind it. All that differs between the two is in this file.
 */
#pragma once

#include "maps.h"

#ifdef HOOK_TC
#error "not written yet"
#else

#define hook_context xdp_md

/* Moves the start of the frame: forwards where `bytes` is positive. 0, or an error. */
static __always_inline int frame_move_front(struct hook_context *ctx, int bytes)
{
	return bpf_xdp_adjust_head(ctx, bytes);
}

/* Makes the frame `length` bytes long, at its end. 0, or an error. */
static __always_inline int frame_set_length(struct hook_context *ctx, __u32 length, __u32 present)
{
	return bpf_xdp_adjust_tail(ctx, (int)length - (int)present);
}

static __always_inline int frame_load(struct hook_context *ctx, __u32 offset, void *to, __u32 length)
{
	return bpf_xdp_load_bytes(ctx, offset, to, length);
}

static __always_inline int frame_store(struct hook_context *ctx, __u32 offset, void *from, __u32 length)
{
	return bpf_xdp_store_bytes(ctx, offset, from, length);
}

/* Whether the kernel will cut the packet to the size of its segments on the way out. */
static __always_inline bool frame_is_segmented(struct hook_context *ctx __attribute__((unused)))
{
	return false;
}

/* Whether L4 sums are what the wire has: no hardware has yet to fill them in, or has verified them for us. */
static __always_inline bool frame_sums_are_final(struct hook_context *ctx __attribute__((unused)))
{
	return true;
}

#endif
