/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* SipHash-2-4 (Aumasson, Bernstein), 64-bit, of bytes in a frame. */
#pragma once

#include "parse.h"

struct siphash {
	__u64 v0, v1, v2, v3;
};

#define ROTATE(x, bits) (((x) << (bits)) | ((x) >> (64 - (bits))))

static __always_inline void siphash_round(struct siphash *s)
{
	s->v0 += s->v1;
	s->v1 = ROTATE(s->v1, 13);
	s->v1 ^= s->v0;
	s->v0 = ROTATE(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = ROTATE(s->v3, 16);
	s->v3 ^= s->v2;
	s->v0 += s->v3;
	s->v3 = ROTATE(s->v3, 21);
	s->v3 ^= s->v0;
	s->v2 += s->v1;
	s->v1 = ROTATE(s->v1, 17);
	s->v1 ^= s->v2;
	s->v2 = ROTATE(s->v2, 32);
}

static __always_inline void siphash_start(struct siphash *s, const __u64 key[2])
{
	s->v0 = key[0] ^ 0x736f6d6570736575ULL;
	s->v1 = key[1] ^ 0x646f72616e646f6dULL;
	s->v2 = key[0] ^ 0x6c7967656e657261ULL;
	s->v3 = key[1] ^ 0x7465646279746573ULL;
}

static __always_inline void siphash_word(struct siphash *s, __u64 word)
{
	s->v3 ^= word;
	siphash_round(s);
	siphash_round(s);
	s->v0 ^= word;
}

static __always_inline __u64 siphash_end(struct siphash *s, __u64 last_word)
{
	siphash_word(s, last_word);
	s->v2 ^= 0xff;
	siphash_round(s);
	siphash_round(s);
	siphash_round(s);
	siphash_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* How much of a frame can be authenticated: a wrapped jumbo-less frame with room to spare. */
#define SIPHASH_MAX_WORDS 250
/* Its bytes end where packet_at() does, or earlier. */
#define SIPHASH_MAX_FRAME (SIPHASH_MAX_WORDS * 8)

struct siphash_walk {
	struct hook_context *ctx;
	struct siphash state;
	__u32 offset;
	__u32 zero_word;
};

static long siphash_step(__u32 i, struct siphash_walk *walk)
{
	__u64 *word = packet_at(walk->ctx, walk->offset + i * 8, 8);

	if (!word)
		return 1;
	siphash_word(&walk->state, i == walk->zero_word ? 0 : *word);
	return 0;
}

/*
 * The MAC of `length` bytes at `offset`, with word number `zero_word` read as
 * zero: it is where the MAC itself stands. 0 where the frame is too long.
 */
__noinline __u64 siphash_packet(struct hook_context *ctx, __u32 offset, __u32 length,
				       __u32 zero_word)
{
	__u32 zero = 0, words = length / 8, rest = length % 8;
	struct gateway *gateway = bpf_map_lookup_elem(&gateways, &zero);
	struct siphash_walk walk = { .ctx = ctx, .offset = offset, .zero_word = zero_word };
	__u64 last = 0;

	if (!gateway || words > SIPHASH_MAX_WORDS)
		return 0;
	siphash_start(&walk.state, gateway->key);
	bpf_loop(words, siphash_step, &walk, 0);
	for (__u32 i = 0; i < 7; i++) {
		__u8 *byte;

		if (i >= rest)
			break;
		byte = packet_at(ctx, offset + words * 8 + i, 1);
		if (!byte)
			return 0;
		last |= (__u64)*byte << (i * 8);
	}
	return siphash_end(&walk.state, last | ((__u64)(length & 0xff) << 56));
}
