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

/* Not on the stack: a frame is sealed at the end of the longest chains of calls. */
struct siphash_job {
	struct siphash state;
	__u64 last;                   /* the bytes behind the last whole word */
	__u32 offset;
	__u32 words;
	__u32 rest;                   /* bytes */
	__u32 zero_word;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct siphash_job);
} siphash_jobs SEC(".maps");

struct siphash_walk {
	struct hook_context *ctx;
	struct siphash_job *job;
};

static __always_inline __u64 siphash_rest(struct hook_context *ctx, __u32 offset, __u32 rest)
{
	__u64 last = 0;

	for (__u32 i = 0; i < 7; i++) {
		__u8 *byte;

		if (i >= rest)
			break;
		byte = packet_at(ctx, offset + i, 1);
		if (byte)
			last |= (__u64)*byte << (i * 8);
	}
	return last;
}

static long siphash_step(__u32 i, struct siphash_walk *walk)
{
	struct siphash_job *job = walk->job;
	__u32 offset = job->offset + i * 8;
	__u64 *word;

	if (i == job->words) {
		job->last = siphash_rest(walk->ctx, offset, job->rest);
		return 1;
	}
	word = packet_at(walk->ctx, offset, 8);
	if (!word)
		return 1;
	siphash_word(&job->state, i == job->zero_word ? 0 : *word);
	return 0;
}

enum siphash_key {
	SIPHASH_OUR_KEY,
	SIPHASH_OTHER_KEY,
};

/*
 * The MAC of `length` bytes at `offset`, which are in the frame, with word number
 * `zero_word` read as zero: it is where the MAC itself stands. 0 where the frame
 * is too long. `which`: enum siphash_key.
 */
__noinline __u64 siphash_packet(struct hook_context *ctx, __u32 offset, __u32 length, __u32 zero_word,
				__u32 which)
{
	struct siphash_walk walk = { .ctx = ctx };
	struct siphash_job *job;
	struct gateway *gateway;
	__u32 zero = 0;

	gateway = bpf_map_lookup_elem(&gateways, &zero);
	job = bpf_map_lookup_elem(&siphash_jobs, &zero);
	if (!gateway || !job || length / 8 > SIPHASH_MAX_WORDS)
		return 0;
	job->last = 0;
	job->offset = offset;
	job->words = length / 8;
	job->rest = length % 8;
	job->zero_word = zero_word;
	siphash_start(&job->state, which == SIPHASH_OTHER_KEY ? gateway->other_key : gateway->key);
	walk.job = job;
	bpf_loop(SIPHASH_MAX_WORDS + 1, siphash_step, &walk, 0);
	return siphash_end(&job->state, job->last | ((__u64)(length & 0xff) << 56));
}

/* While one key follows another the peer may be ahead of us, or behind. */
static __always_inline bool siphash_is_good(struct hook_context *ctx, const struct gateway *gateway,
					    __u32 offset, __u32 length, __u32 zero_word, __u64 mac)
{
	if (!mac)
		return false;
	if (mac == siphash_packet(ctx, offset, length, zero_word, SIPHASH_OUR_KEY))
		return true;
	return (gateway->other_key[0] | gateway->other_key[1]) &&
	       mac == siphash_packet(ctx, offset, length, zero_word, SIPHASH_OTHER_KEY);
}
