/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* RFC 8926: the tunnel header, its options, and building one. */
#pragma once

#include "tunnel.h"

#define GENEVE_UDP_PORT 6081
#define GENEVE_PROTOCOL_ETHERNET 0x6558
#define GENEVE_CONTROL 0x80
#define GENEVE_CRITICAL 0x40
#define GENEVE_OPTION_CRITICAL 0x80
#define GENEVE_OPTION_WORDS 0x1f
/* The only option that we understand: OVN's ingress and egress port keys. */
#define GENEVE_OVN_CLASS 0x0102
#define GENEVE_OVN_TYPE 0x80
#define GENEVE_OVN_LENGTH TUNNEL_OPTION_LENGTH

struct geneve_header {
	__u8 option_words;            /* version in the upper two bits */
	__u8 flags;
	__be16 protocol;
	__be32 vni;                   /* the upper 24 bits */
};

struct geneve_option {
	__be16 option_class;
	__u8 type;
	__u8 words;                   /* lower five bits */
};

static __always_inline void geneve_take_option(struct tunnel *tunnel, const struct geneve_option *option)
{
	*(__u64 *)tunnel->option = *(__u64 *)option;
	/* §3.5: reserved bits are ignored here, and zero where it is sent back. */
	tunnel->option[3] &= GENEVE_OPTION_WORDS;
	tunnel->option_length = GENEVE_OVN_LENGTH;
}

static __always_inline bool geneve_option_is_ours(const struct geneve_option *option)
{
	return option->option_class == bpf_htons(GENEVE_OVN_CLASS) && option->type == GENEVE_OVN_TYPE &&
	       (option->words & GENEVE_OPTION_WORDS) == GENEVE_OVN_LENGTH / 4 - 1;
}

struct geneve_option_walk {
	struct hook_context *ctx;
	struct tunnel *tunnel;
	__u32 offset;
	__u32 end;
	int reason;
};

static long geneve_option_step(__u32 i __attribute__((unused)),
			       struct geneve_option_walk *walk)
{
	struct geneve_option *option;
	__u32 length;

	if (walk->offset == walk->end)
		return 1;
	option = packet_at(walk->ctx, walk->offset, sizeof(*option));
	if (!option) {
		walk->reason = REASON_DROP_GENEVE_OPTION_LENGTH;
		return 1;
	}
	length = sizeof(*option) + (option->words & GENEVE_OPTION_WORDS) * 4;
	if (walk->offset + length > walk->end) {
		walk->reason = REASON_DROP_GENEVE_OPTION_LENGTH;
		return 1;
	}
	if (geneve_option_is_ours(option)) {
		option = packet_at(walk->ctx, walk->offset, GENEVE_OVN_LENGTH);
		if (option)
			geneve_take_option(walk->tunnel, option);
	} else if (option->type & GENEVE_OPTION_CRITICAL) {
		walk->reason = REASON_DROP_GENEVE_CRITICAL_OPTION;
		return 1;
	}
	walk->offset += length;
	return 0;
}

/* §3.5: options are walked to the end, an unknown critical one drops the packet. */
__noinline int geneve_options_parse(struct hook_context *ctx, struct tunnel *tunnel, __u32 offset)
{
	struct geneve_option_walk walk = { .ctx = ctx, .tunnel = tunnel, .offset = offset };

	if (!tunnel)
		return REASON_DROP_GENEVE_OPTION_LENGTH;
	walk.end = tunnel->inner_offset;
	bpf_loop(63, geneve_option_step, &walk, 0);
	if (!walk.reason && walk.offset != walk.end)
		return REASON_DROP_GENEVE_OPTION_LENGTH;
	return walk.reason;
}

/* What OVN sends, our option and no other, needs no walk. */
static __always_inline bool geneve_option_is_alone(struct hook_context *ctx, struct tunnel *tunnel,
						   __u32 offset, __u32 options_length)
{
	struct geneve_option *option = packet_at(ctx, offset, GENEVE_OVN_LENGTH);

	if (options_length != GENEVE_OVN_LENGTH || !option || !geneve_option_is_ours(option))
		return false;
	geneve_take_option(tunnel, option);
	return true;
}

/* Fills *tunnel from a frame whose outer header is *outer. 0, or the reason. */
static __always_inline int geneve_parse(struct hook_context *ctx, const struct ipv4 *outer,
					struct tunnel *tunnel)
{
	__u32 offset = outer->l4_offset + sizeof(struct udphdr);
	struct geneve_header *geneve = packet_at(ctx, offset, sizeof(*geneve));
	__u32 options_length;
	struct udphdr *udp;
	int reason;

	if (!geneve)
		return REASON_DROP_TRUNCATED;
	if (geneve->option_words >> 6)
		return REASON_DROP_GENEVE_VERSION;
	if (geneve->flags & GENEVE_CONTROL)
		return REASON_DROP_GENEVE_CONTROL;
	if (geneve->protocol != bpf_htons(GENEVE_PROTOCOL_ETHERNET))
		return REASON_DROP_GENEVE_PROTOCOL;
	options_length = (geneve->option_words & 0x3f) * 4;
	reason = tunnel_fill(ctx, outer, tunnel_vni(geneve->vni, ENCAPSULATION_GENEVE),
			     sizeof(*geneve) + options_length, tunnel);
	if (reason)
		return reason;
	udp = packet_at(ctx, outer->l4_offset, sizeof(*udp));
	if (udp && udp->check && frame_sums_are_final(ctx))
		tunnel->udp_offset = outer->l4_offset;
	if (tunnel->inner_offset > (__u32)outer->offset + outer->total_length)
		return REASON_DROP_GENEVE_OPTION_LENGTH;
	if (!options_length ||
	    geneve_option_is_alone(ctx, tunnel, offset + sizeof(*geneve), options_length))
		return 0;
	return geneve_options_parse(ctx, tunnel, offset + sizeof(*geneve));
}
