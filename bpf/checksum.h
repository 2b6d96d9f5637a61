/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* RFC 1624 incremental updates, RFC 1071 sums of short headers. */
#pragma once

#include <linux/types.h>
#include <bpf/bpf_endian.h>

/* Of at most 2^15 words of 32 bits. */
static __always_inline __u16 checksum_fold(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

/* What a sum changes by; differences add up, and are folded once. */
static __always_inline __u64 checksum_difference4(__be32 from, __be32 to)
{
	return (__u64)(__u32)~from + to;
}

static __always_inline __u64 checksum_difference2(__be16 from, __be16 to)
{
	return (__u64)(__u16)~from + to;
}

static __always_inline void checksum_apply(__u16 *check, __u64 difference)
{
	*check = ~checksum_fold((__u16)~*check + difference);
}

static __always_inline void checksum_replace4(__u16 *check, __be32 from, __be32 to)
{
	checksum_apply(check, checksum_difference4(from, to));
}

static __always_inline void checksum_replace2(__u16 *check, __be16 from, __be16 to)
{
	checksum_apply(check, checksum_difference2(from, to));
}

/* RFC 768, RFC 9568 §5.2.8: what a message's sum takes in of its IPv4 header. */
static __always_inline __u64 checksum_pseudo_header(__be32 source, __be32 destination, __u8 protocol,
						    __be16 length)
{
	return (__u64)source + destination + bpf_htons(protocol) + length;
}

/* The sum of an IPv4 header's 20 bytes that are always there. */
static __always_inline __u64 checksum_ipv4_words(const void *header)
{
	const __u32 *word = header;
	__u64 sum = 0;

	for (int i = 0; i < 5; i++)
		sum += word[i];
	return sum;
}

/* Of a 20-byte IPv4 header whose check field is zero. */
static __always_inline __u16 checksum_ipv4_header(const void *header)
{
	return ~checksum_fold(checksum_ipv4_words(header));
}

/* RFC 768: a sum that was not computed stays so, one that computes to zero is sent as ones. */
#define L4_SUM_OPTIONAL 1

static __always_inline void l4_sum_change(__u16 *check, __u32 flags, __u64 difference)
{
	if ((flags & L4_SUM_OPTIONAL) && !*check)
		return;
	checksum_apply(check, difference);
	if ((flags & L4_SUM_OPTIONAL) && !*check)
		*check = 0xffff;
}
