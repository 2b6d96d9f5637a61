/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* RFC 1624 incremental updates, RFC 1071 sums of short headers. */
#pragma once

#include <linux/types.h>

static __always_inline __u16 checksum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

static __always_inline void checksum_replace4(__u16 *check, __be32 from, __be32 to)
{
	__u64 sum = (__u16)~*check;

	sum += (__u32)~from;
	sum += to;
	*check = ~checksum_fold(sum);
}

static __always_inline void checksum_replace2(__u16 *check, __be16 from, __be16 to)
{
	__u64 sum = (__u16)~*check;

	sum += (__u16)~from;
	sum += to;
	*check = ~checksum_fold(sum);
}

/* RFC 768: a sum that was not computed stays so, one that computes to zero is sent as ones. */
static __always_inline void checksum_udp_replace(__u16 *check, __be32 from, __be32 to,
						 __be16 from_port, __be16 to_port)
{
	if (!*check)
		return;
	checksum_replace4(check, from, to);
	checksum_replace2(check, from_port, to_port);
	if (!*check)
		*check = 0xffff;
}

/* Of a 20-byte IPv4 header whose check field is zero. */
static __always_inline __u16 checksum_ipv4_header(const void *header)
{
	const __u32 *word = header;
	__u64 sum = 0;

	for (int i = 0; i < 5; i++)
		sum += word[i];
	return ~checksum_fold(sum);
}
