/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* RFC 9293 §3.7.1: a segment that the tunnel has no room for is better never sent. */
#pragma once

#include "rewrite.h"

#define TCP_OPTION_END 0
#define TCP_OPTION_NONE 1
#define TCP_OPTION_MSS 2
#define TCP_OPTION_MSS_LENGTH 4
#define TCP_OPTIONS_MAX 40

struct mss_walk {
	struct hook_context *ctx;
	__u32 l4_offset;
	__u32 offset;
	__u32 end;
	__u16 mss;
	bool clamped;
};

/* The value at `offset`. Nobody has to align an option: it may lie across two words of the sum. */
static __always_inline void mss_lower(struct mss_walk *walk, __u32 offset)
{
	__u8 *value = packet_at(walk->ctx, offset, 2);
	__u16 from, to = walk->mss;

	if (!value)
		return;
	from = value[0] << 8 | value[1];
	if (from <= to)
		return;
	value[0] = to >> 8;
	value[1] = to;
	from = bpf_htons(from);
	to = bpf_htons(to);
	if ((offset - walk->l4_offset) & 1) {
		from = __builtin_bswap16(from);
		to = __builtin_bswap16(to);
	}
	walk->clamped = !frame_l4_sum(walk->ctx, walk->l4_offset + TCP_CHECK,
				      checksum_difference2(from, to));
}

static long mss_step(__u32 i __attribute__((unused)), struct mss_walk *walk)
{
	__u8 *kind = packet_at(walk->ctx, walk->offset, 1);
	__u8 *option = packet_at(walk->ctx, walk->offset, 2);
	__u32 length;

	if (walk->offset >= walk->end || !kind || *kind == TCP_OPTION_END)
		return 1;
	if (*kind == TCP_OPTION_NONE) {
		walk->offset += 1;
		return 0;
	}
	if (!option || walk->offset + 2 > walk->end)
		return 1;
	length = option[1];
	if (length < 2 || walk->offset + length > walk->end)
		return 1;
	if (option[0] == TCP_OPTION_MSS && length == TCP_OPTION_MSS_LENGTH)
		mss_lower(walk, walk->offset + 2);
	walk->offset += length;
	return 0;
}

/*
 * Of a SYN, with or without ACK: lowers the maximum segment size to `mss`. One
 * that names none means 536 (RFC 9293 §3.7.1), which fits. Options that lie are
 * left to the endpoints. 0, or the reason.
 */
__noinline int mss_clamp(struct hook_context *ctx, const struct packet *packet, __u16 mss)
{
	struct mss_walk walk = { .ctx = ctx, .mss = mss };
	struct tcphdr *tcp;

	if (!packet)
		return REASON_DROP_TRUNCATED;
	walk.l4_offset = packet->ip.l4_offset;
	tcp = packet_at(ctx, walk.l4_offset, sizeof(*tcp));
	if (!tcp)
		return REASON_DROP_TRUNCATED;
	walk.offset = walk.l4_offset + sizeof(*tcp);
	walk.end = walk.l4_offset + tcp->doff * 4;
	if (walk.end > (__u32)packet->ip.offset + packet->ip.total_length)
		return 0;
	bpf_loop(TCP_OPTIONS_MAX, mss_step, &walk, 0);
	if (walk.clamped)
		count(REASON_MSS_CLAMPED, packet->ip.total_length);
	return 0;
}
