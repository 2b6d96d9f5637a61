/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Nothing that the peer has said counts twice. */
#pragma once

#include "maps.h"

/*
 * RFC 6479's idea: true once for every sequence number of an epoch, in any
 * order within SYNC_WINDOW. A later epoch starts over, an earlier one is over.
 * A word says whose bits it holds, so that none has to be cleared before its turn.
 */
__noinline bool replay_is_new(__u32 direction, __u32 epoch, __u64 sequence)
{
	struct replay_window *window = bpf_map_lookup_elem(&replay_windows, &direction);
	__u64 tag = (sequence / 32 + epoch * 0x9e3779b1u) << 32, bit = 1ULL << (sequence % 32), *word;
	bool fresh = false;

	if (!window || !sequence)
		return false;
	bpf_spin_lock(&window->lock);
	if (epoch > window->epoch) {
		window->epoch = epoch;
		window->highest = 0;
	}
	/* A word less than there are: the oldest may have given its place to the newest. */
	if (epoch < window->epoch ||
	    (sequence < window->highest && window->highest - sequence >= SYNC_WINDOW - 32))
		goto out;
	if (sequence > window->highest)
		window->highest = sequence;
	word = &window->seen[sequence / 32 % SYNC_WINDOW_WORDS];
	if ((*word ^ tag) >> 32)
		*word = tag;
	fresh = !(*word & bit);
	*word |= bit;
out:
	bpf_spin_unlock(&window->lock);
	return fresh;
}
