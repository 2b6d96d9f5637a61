/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* RFC 1071 over the bytes of a frame: ICMP messages, and what a tunnel carries. */
#pragma once

#include "packet.h"

struct frame_sum_walk {
	struct hook_context *ctx;
	__u32 offset;
	__u32 remaining;
	__u64 sum;
};

#define FRAME_SUM_STRIDE 32
/* The helper is faster than we are, and takes at most 512 bytes. */
#define FRAME_SUM_LONG_STRIDE 256

static __always_inline __u32 frame_sum_stride(__u32 remaining)
{
	if (remaining >= FRAME_SUM_LONG_STRIDE)
		return FRAME_SUM_LONG_STRIDE;
	if (remaining >= FRAME_SUM_STRIDE)
		return FRAME_SUM_STRIDE;
	return remaining >= 4 ? 4 : remaining >= 2 ? 2 : 1;
}

/* Bytes are added where they stand: sums care for the parity of an offset, not for its alignment. */
static long frame_sum_step(__u32 i __attribute__((unused)), struct frame_sum_walk *walk)
{
	__u32 stride = frame_sum_stride(walk->remaining);
	void *at;

	if (!walk->remaining)
		return 1;
	if (stride == FRAME_SUM_LONG_STRIDE) {
		at = packet_at(walk->ctx, walk->offset, FRAME_SUM_LONG_STRIDE);
		walk->sum += at ? (__u32)bpf_csum_diff(NULL, 0, at, FRAME_SUM_LONG_STRIDE, 0) : 0;
	} else if (stride == FRAME_SUM_STRIDE) {
		at = packet_at(walk->ctx, walk->offset, FRAME_SUM_STRIDE);
		for (int word = 0; at && word < FRAME_SUM_STRIDE / 4; word++)
			walk->sum += ((__u32 *)at)[word];
	} else if (stride == 4) {
		at = packet_at(walk->ctx, walk->offset, 4);
		walk->sum += at ? *(__u32 *)at : 0;
	} else if (stride == 2) {
		at = packet_at(walk->ctx, walk->offset, 2);
		walk->sum += at ? *(__u16 *)at : 0;
	} else {
		at = packet_at(walk->ctx, walk->offset, 1);
		walk->sum += at ? bpf_htons(*(__u8 *)at << 8) : 0;
	}
	if (!at)
		return 1;
	walk->offset += stride;
	walk->remaining -= stride;
	return 0;
}

/* Ones' complement sum of `length` bytes: 0xffff where they contain their own; -1 beyond the frame. */
__noinline int frame_sum(struct hook_context *ctx, __u32 offset, __u32 length)
{
	struct frame_sum_walk walk = { .ctx = ctx, .offset = offset, .remaining = length };

	bpf_loop(PACKET_MAX_OFFSET / FRAME_SUM_STRIDE + FRAME_SUM_STRIDE / 4 + 2, frame_sum_step, &walk, 0);
	return walk.remaining ? -1 : checksum_fold(walk.sum);
}
