/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* RFC 8926 §3.3: an outer UDP checksum that is there has to be right. */
#pragma once

#include "frame_sum.h"

/*
 * Of a tunnelled frame, nothing of which has been changed yet. 0, or the reason.
 * Asks itself whether there is anything to do: a branch around the call makes
 * Linux 6.1 verify fifteen times as long.
 */
__noinline int tunnel_verify_sum(struct hook_context *ctx, const struct packet *packet)
{
	struct udphdr *udp;
	__u32 length;
	__u64 pseudo;
	int sum;

	if (!packet)
		return REASON_DROP_TRUNCATED;
	if (!packet->tunnel.udp_offset)
		return 0;
	udp = packet_at(ctx, packet->tunnel.udp_offset, sizeof(*udp));
	if (!udp)
		return REASON_DROP_TRUNCATED;
	length = bpf_ntohs(udp->len);
	/* More than a page cannot be reached: such frames are taken as they are. */
	if (packet->tunnel.udp_offset + length > PACKET_MAX_OFFSET)
		return 0;
	pseudo = checksum_pseudo_header(packet->tunnel.source, packet->tunnel.destination, IPPROTO_UDP,
					bpf_htons(length));
	sum = frame_sum(ctx, packet->tunnel.udp_offset, length);
	return sum >= 0 && checksum_fold(pseudo + sum) == 0xffff ? 0 : REASON_DROP_OUTER_CHECKSUM;
}
