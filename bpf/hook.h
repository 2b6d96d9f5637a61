/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Where the programs run: XDP, before the kernel makes anything of a frame, or
 * TC, behind it. All that differs between the two is in this file.
 *
 * At TC a frame may be many: the kernel merges segments on the way in and cuts
 * them on the way out (GRO, GSO). Its L4 sum may be left to the hardware
 * (CHECKSUM_PARTIAL: the field holds the pseudo-header's sum). A VLAN tag is
 * beside the bytes, not in them. No program can cut, or finish a sum for good:
 * what needs that is sent to the control plane, which brings it again.
 */
#pragma once

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "checksum.h"
#include "maps.h"

/* No header that we look at starts beyond this; it bounds what the verifier has to believe. */
#define PACKET_MAX_OFFSET 0x7ff

struct vlan_header {
	__be16 control;               /* the lower twelve bits are the identifier */
	__be16 protocol;
};
#define VLAN_MASK 0x0fff

#ifdef HOOK_TC
#define hook_context __sk_buff
#else
#define hook_context xdp_md
#endif

#ifdef HOOK_TC
/*
 * Of the context. Compilers would move its pointer along, or copy only the 32 bits
 * that a field has of a pointer; verifiers refuse both.
 */
#define hook_field(ctx, field)                                                                     \
	({                                                                                         \
		unsigned long value_of_##field;                                                    \
		asm volatile("%0 = *(u32 *)(%1 + %2)"                                              \
			     : "=r"(value_of_##field)                                              \
			     : "r"(ctx), "i"(offsetof(struct hook_context, field)));               \
		value_of_##field;                                                                  \
	})
#else
#define hook_field(ctx, field) ((ctx)->field)
#endif

/* The `size` bytes at `offset`, or NULL where the frame is shorter. */
static __always_inline void *packet_at(struct hook_context *ctx, __u32 offset, __u32 size)
{
	void *data = (void *)(long)hook_field(ctx, data);
	void *end = (void *)(long)hook_field(ctx, data_end);
	void *at;

	/* What is compared must be what is added: Linux 6.1 does not carry the bound of a sum back to its parts. */
	if (!__builtin_constant_p(offset))
		asm volatile("" : "+r"(offset));
	if (offset > PACKET_MAX_OFFSET)
		return NULL;
	at = data + offset;
	if (at + size > end)
		return NULL;
	return at;
}

/* Bytes that packet_at() can see. */
static __always_inline __u32 frame_linear_length(struct hook_context *ctx)
{
	__u64 length = (void *)(long)hook_field(ctx, data_end) - (void *)(long)hook_field(ctx, data);

	/* Pointers may only be subtracted whole: keep the compiler from mixing this with other sums. */
	asm volatile("" : "+r"(length));
	return length;
}

/* What frame_settle_tunnel() takes out: the outer IPv4 header, and more than nothing of UDP's. */
#define FRAME_SETTLE_BYTES 36

#ifdef HOOK_TC

#define HOOK_PROGRAM(role) SEC("tc") int role##_tc
/* On to whoever is next: another filter, then the kernel. */
#define HOOK_PASS 3
#define HOOK_DROP 2
/* Bytes that a VLAN tag takes in the frame. */
#define HOOK_TAG_LENGTH 0

static __always_inline __u32 packet_length(struct hook_context *ctx)
{
	return hook_field(ctx, len);
}

/* As packet_length(), with a tag that the bytes do not show. */
static __always_inline __u32 frame_wire_length(struct hook_context *ctx)
{
	return hook_field(ctx, len) + (hook_field(ctx, vlan_present) ? sizeof(struct vlan_header) : 0);
}

/* Payload in each of the segments that the frame stands for; 0: it is what it seems. */
static __always_inline __u32 frame_segment_size(struct hook_context *ctx)
{
	return hook_field(ctx, gso_size);
}

/* VLAN identifier and priority beside the bytes; 0: none. */
static __always_inline __u16 frame_tag(struct hook_context *ctx)
{
	return hook_field(ctx, vlan_present) ? hook_field(ctx, vlan_tci) : 0;
}

/* Leaves with this VLAN identifier; 0: untagged. */
static __always_inline int frame_set_tag(struct hook_context *ctx, __u16 vlan)
{
	if (hook_field(ctx, vlan_present) && bpf_skb_vlan_pop(ctx))
		return -1;
	return vlan ? bpf_skb_vlan_push(ctx, bpf_htons(ETH_P_8021Q), vlan) : 0;
}

/* For this host, which the kernel has judged already by the MAC that the frame had. */
static __always_inline void frame_claim(struct hook_context *ctx)
{
	bpf_skb_change_type(ctx, PACKET_HOST);
}

/*
 * First of all: what packet_at() can reach is made linear. Tags in the bytes come
 * from test runs alone, the kernel takes the outermost off before it calls us.
 */
static __always_inline int frame_enter(struct hook_context *ctx)
{
	struct ethhdr *eth = packet_at(ctx, 0, sizeof(*eth) + sizeof(struct vlan_header));
	__u32 wanted;

	if (eth && !hook_field(ctx, vlan_present) && eth->h_proto == bpf_htons(ETH_P_8021Q)) {
		__u16 control = bpf_ntohs(((struct vlan_header *)(eth + 1))->control);

		if (bpf_skb_vlan_pop(ctx) || bpf_skb_vlan_push(ctx, bpf_htons(ETH_P_8021Q), control))
			return -1;
	}
	wanted = hook_field(ctx, len);
	if (wanted > PACKET_MAX_OFFSET)
		wanted = PACKET_MAX_OFFSET;
	return frame_linear_length(ctx) < wanted ? bpf_skb_pull_data(ctx, wanted) : 0;
}

/*
 * Moves the start of the frame: forwards where `bytes` is positive. What is there
 * then has to be written, Ethernet header included: the kernel adds and removes
 * behind it. 0, or an error. Needs an outermost header of IPv4.
 */
static __always_inline int frame_move_front(struct hook_context *ctx, int bytes)
{
	return bytes ? bpf_skb_adjust_room(ctx, -bytes, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO) : 0;
}

/* The same, backwards, for a frame that gets its first tunnel: each of its segments will. */
static __always_inline int frame_enter_tunnel(struct hook_context *ctx, int bytes)
{
	return bpf_skb_adjust_room(ctx, -bytes, BPF_ADJ_ROOM_MAC,
				   BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 |
				   BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2_ETH |
				   BPF_F_ADJ_ROOM_ENCAP_L2(sizeof(struct ethhdr)));
}

/* Puts the whole frame, with its tag, behind `bytes` that are to be written. 0, or an error. */
static __always_inline int frame_wrap(struct hook_context *ctx, __u32 bytes)
{
	struct ethhdr *eth = packet_at(ctx, 0, sizeof(*eth)), saved;
	__u16 vlan = frame_tag(ctx);
	struct vlan_header *tag;

	if (!eth || hook_field(ctx, gso_size))
		return -1;
	saved = *eth;
	if (vlan && bpf_skb_vlan_pop(ctx))
		return -1;
	if (bpf_skb_adjust_room(ctx, bytes + (vlan ? sizeof(*tag) : 0), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		return -1;
	eth = packet_at(ctx, bytes, sizeof(*eth) + sizeof(*tag));
	if (!eth)
		return -1;
	if (vlan) {
		tag = (void *)(eth + 1);
		*tag = (struct vlan_header){ .control = bpf_htons(vlan), .protocol = saved.h_proto };
		saved.h_proto = bpf_htons(ETH_P_8021Q);
	}
	*eth = saved;
	return 0;
}

/* Makes the frame `length` bytes long, at its end. Refused where the kernel remembers a tunnel around it. */
static __always_inline int frame_set_length(struct hook_context *ctx, __u32 length, __u32 present)
{
	return length == present ? 0 : bpf_skb_change_tail(ctx, length, 0);
}

static __always_inline int frame_load(struct hook_context *ctx, __u32 offset, void *to, __u32 length)
{
	return bpf_skb_load_bytes(ctx, offset, to, length);
}

static __always_inline int frame_store(struct hook_context *ctx, __u32 offset, void *from, __u32 length)
{
	return bpf_skb_store_bytes(ctx, offset, from, length, 0);
}

/*
 * Whether a sum of the frame is left to the hardware: then, alone, a change of
 * data leaves the field alone. `offset` is that of any 16 bits in the headers.
 */
static __always_inline bool frame_sum_is_left(struct hook_context *ctx, __u32 offset)
{
	__u16 *field = packet_at(ctx, offset, sizeof(*field)), before, after;

	if (!field)
		return false;
	before = *field;
	if (bpf_l4_csum_replace(ctx, offset, 0, 0x0100, sizeof(*field)))
		return false;
	field = packet_at(ctx, offset, sizeof(*field));
	if (!field)
		return false;
	after = *field;
	*field = before;
	return before == after;
}

/*
 * Whether L4 sums are what the wire has: no hardware has yet to fill them in, or
 * has verified them for us. Outermost there is IPv4.
 */
static __always_inline bool frame_sums_are_final(struct hook_context *ctx)
{
	return !hook_field(ctx, gso_size) && bpf_csum_level(ctx, BPF_CSUM_LEVEL_QUERY) < 0 &&
	       !frame_sum_is_left(ctx, sizeof(struct ethhdr) + offsetof(struct iphdr, check));
}

/*
 * A sum that is left may be the tunnel's own, around a packet that is finished.
 * Once the bytes where it would start are taken out, the kernel forgets it; they
 * are put back by way of `scratch`. `udp` is the offset of the tunnel's header.
 */
static __always_inline int frame_settle_tunnel(struct hook_context *ctx, __u32 udp, __u8 *scratch)
{
	const __u32 check = sizeof(struct ethhdr) + offsetof(struct iphdr, check);
	struct udphdr *header = packet_at(ctx, udp, sizeof(*header));

	if (hook_field(ctx, gso_size) || !header || !header->check || !frame_sum_is_left(ctx, check))
		return 0;
	if (udp != sizeof(struct ethhdr) + sizeof(struct iphdr) ||
	    bpf_skb_load_bytes(ctx, sizeof(struct ethhdr), scratch, FRAME_SETTLE_BYTES) ||
	    bpf_skb_adjust_room(ctx, -FRAME_SETTLE_BYTES, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO) ||
	    bpf_skb_adjust_room(ctx, FRAME_SETTLE_BYTES, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO) ||
	    bpf_skb_store_bytes(ctx, sizeof(struct ethhdr), scratch, FRAME_SETTLE_BYTES, 0))
		return -1;
	if (frame_sum_is_left(ctx, check))
		return 0;
	/* Nobody computes it any more. */
	header = packet_at(ctx, udp, sizeof(*header));
	if (!header)
		return -1;
	header->check = 0;
	return 0;
}

/* Whether each segment gets a sum of the tunnel's own: the field has to hold its pseudo-header's then. */
static __always_inline bool frame_has_tunnel_sums(struct hook_context *ctx)
{
	struct iphdr *ip = packet_at(ctx, sizeof(struct ethhdr), sizeof(*ip));
	struct udphdr *udp = ip ? packet_at(ctx, sizeof(struct ethhdr) + ip->ihl * 4, sizeof(*udp)) : NULL;

	return hook_field(ctx, gso_size) && udp && udp->check;
}

/*
 * All that changes an L4 sum. What changed in addresses is told apart from what
 * changed in the segment: a sum that is left to the hardware covers only those.
 */
static __always_inline int frame_sum_change(struct hook_context *ctx, __u32 offset,
					    __u16 *check __attribute__((unused)), __u32 flags,
					    __u64 address, __u64 segment)
{
	__u64 optional = flags & L4_SUM_OPTIONAL ? BPF_F_MARK_MANGLED_0 : 0;

	if (address && bpf_l4_csum_replace(ctx, offset, 0, checksum_fold(address), optional | BPF_F_PSEUDO_HDR))
		return -1;
	if (segment && bpf_l4_csum_replace(ctx, offset, 0, checksum_fold(segment), optional))
		return -1;
	return 0;
}

/*
 * A devmap is not readable here. A test run, by which the control plane brings
 * frames again, redirects nothing: it is told where to, and with what tag.
 */
static __always_inline int hook_leave(struct hook_context *ctx, __u32 ifindex, __u32 role)
{
	ctx->cb[0] = role;
	ctx->cb[1] = frame_tag(ctx);
	return ifindex ? bpf_redirect(ifindex, 0) : HOOK_DROP;
}

static __always_inline int hook_redirect(struct hook_context *ctx, __u32 role)
{
	struct interface *interface = bpf_map_lookup_elem(&interfaces, &role);

	return hook_leave(ctx, interface ? interface->ifindex : 0, role);
}

/* Out where it came in. */
static __always_inline int hook_turn_round(struct hook_context *ctx)
{
	return hook_leave(ctx, hook_field(ctx, ifindex), INTERFACES);
}

static __always_inline int hook_pass(struct hook_context *ctx)
{
	ctx->cb[1] = frame_tag(ctx);
	return HOOK_PASS;
}

#else

#define HOOK_PROGRAM(role) SEC("xdp") int role##_xdp
#define HOOK_DROP XDP_DROP
#define HOOK_TAG_LENGTH sizeof(struct vlan_header)

static __always_inline __u32 packet_length(struct hook_context *ctx)
{
	return frame_linear_length(ctx);
}

static __always_inline __u32 frame_wire_length(struct hook_context *ctx)
{
	return frame_linear_length(ctx);
}

static __always_inline __u32 frame_segment_size(struct hook_context *ctx __attribute__((unused)))
{
	return 0;
}

static __always_inline __u16 frame_tag(struct hook_context *ctx __attribute__((unused)))
{
	return 0;
}

static __always_inline int frame_set_tag(struct hook_context *ctx __attribute__((unused)),
					 __u16 vlan __attribute__((unused)))
{
	return 0;
}

static __always_inline void frame_claim(struct hook_context *ctx __attribute__((unused)))
{
}

static __always_inline int frame_enter(struct hook_context *ctx __attribute__((unused)))
{
	return 0;
}

/* Moves the start of the frame: forwards where `bytes` is positive. 0, or an error. */
static __always_inline int frame_move_front(struct hook_context *ctx, int bytes)
{
	return bpf_xdp_adjust_head(ctx, bytes);
}

static __always_inline int frame_enter_tunnel(struct hook_context *ctx, int bytes)
{
	return bpf_xdp_adjust_head(ctx, bytes);
}

static __always_inline int frame_wrap(struct hook_context *ctx, __u32 bytes)
{
	return bpf_xdp_adjust_head(ctx, -(int)bytes);
}

/* Makes the frame `length` bytes long, at its end. 0, or an error. */
static __always_inline int frame_set_length(struct hook_context *ctx, __u32 length, __u32 present)
{
	return bpf_xdp_adjust_tail(ctx, (int)length - (int)present);
}

static __always_inline int frame_load(struct hook_context *ctx, __u32 offset, void *to, __u32 length)
{
	return bpf_xdp_load_bytes(ctx, offset, to, length);
}

static __always_inline int frame_store(struct hook_context *ctx, __u32 offset, void *from, __u32 length)
{
	return bpf_xdp_store_bytes(ctx, offset, from, length);
}

static __always_inline bool frame_sum_is_left(struct hook_context *ctx __attribute__((unused)),
					      __u32 offset __attribute__((unused)))
{
	return false;
}

static __always_inline bool frame_sums_are_final(struct hook_context *ctx __attribute__((unused)))
{
	return true;
}

static __always_inline int frame_settle_tunnel(struct hook_context *ctx __attribute__((unused)),
					       __u32 udp __attribute__((unused)),
					       __u8 *scratch __attribute__((unused)))
{
	return 0;
}

static __always_inline bool frame_has_tunnel_sums(struct hook_context *ctx __attribute__((unused)))
{
	return false;
}

static __always_inline int frame_sum_change(struct hook_context *ctx __attribute__((unused)),
					    __u32 offset __attribute__((unused)), __u16 *check,
					    __u32 flags, __u64 address, __u64 segment)
{
	l4_sum_change(check, flags, address + segment);
	return 0;
}

static __always_inline int hook_redirect(struct hook_context *ctx __attribute__((unused)), __u32 role)
{
	return bpf_redirect_map(&ports, role, 0);
}

static __always_inline int hook_turn_round(struct hook_context *ctx __attribute__((unused)))
{
	return XDP_TX;
}

static __always_inline int hook_pass(struct hook_context *ctx __attribute__((unused)))
{
	return XDP_PASS;
}

#endif

/* Whether the kernel will cut the packet to the size of its segments on the way out. */
static __always_inline bool frame_is_segmented(struct hook_context *ctx)
{
	return frame_segment_size(ctx) != 0;
}
