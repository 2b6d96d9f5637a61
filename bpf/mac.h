/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Ethernet addresses, as words: nothing aligns them, so the compiler would move
 * them byte by byte, and a word that is read back has to wait for all of its bytes.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>

/* One on the stack, where the verifier wants words aligned. */
typedef __u8 mac_buffer[6] __attribute__((aligned(4)));

static __always_inline void mac_copy(void *to, const void *from)
{
	*(__u32 *)to = *(const __u32 *)from;
	*(__u16 *)(to + 4) = *(const __u16 *)(from + 4);
}

static __always_inline bool mac_equal(const __u8 *a, const __u8 *b)
{
	return *(__u32 *)a == *(__u32 *)b && *(__u16 *)(a + 4) == *(__u16 *)(b + 4);
}

static __always_inline bool mac_is_zero(const __u8 *mac)
{
	return !(*(__u32 *)mac | *(__u16 *)(mac + 4));
}
