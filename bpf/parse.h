/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Reading a frame that may lie in every byte. Reads decide nothing. */
#pragma once

#include <linux/icmp.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>

#include "checksum.h"
#include "hook.h"
#include "mac.h"
#include "verdict.h"

#define IPV4_DONT_FRAGMENT 0x4000
#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_OFFSET 0x1fff
/* RFC 3168 §5: the lower two bits of the type of service. */
#define ECN_MASK 0x03
#define ECN_ECT_1 0x01
#define ECN_ECT_0 0x02
#define ECN_CE 0x03

/* Ethernet header with at most one 802.1Q tag. */
struct ethernet {
	__u32 length;
	__u16 vlan;                   /* 0: untagged, or tagged with priority only */
	__be16 protocol;
};

/* In one piece: struct ethhdr is packed, and would be read byte by byte. */
static __always_inline __be16 *ethernet_protocol(struct ethhdr *eth)
{
	return (void *)eth + offsetof(struct ethhdr, h_proto);
}

/* 0, or the reason. */
static __always_inline int ethernet_parse(struct hook_context *ctx, struct ethernet *ethernet)
{
	struct ethhdr *eth = packet_at(ctx, 0, sizeof(*eth));
	struct vlan_header *tag;
	__be16 protocol;

	if (!eth)
		return REASON_DROP_TRUNCATED;
	protocol = *ethernet_protocol(eth);
	*ethernet = (struct ethernet){
		.length = sizeof(*eth), .vlan = frame_tag(ctx) & VLAN_MASK, .protocol = protocol,
	};
	if (!HOOK_TAG_LENGTH || protocol != bpf_htons(ETH_P_8021Q))
		return 0;
	tag = packet_at(ctx, sizeof(*eth), sizeof(*tag));
	if (!tag)
		return REASON_DROP_TRUNCATED;
	ethernet->length += sizeof(*tag);
	ethernet->vlan = bpf_ntohs(tag->control) & VLAN_MASK;
	ethernet->protocol = tag->protocol;
	return 0;
}

/* Bytes of an Ethernet header with this tag, or none. */
static __always_inline __u32 ethernet_length(__u16 vlan)
{
	return sizeof(struct ethhdr) + (vlan ? HOOK_TAG_LENGTH : 0);
}

/* Writes the header of an IPv4 frame at its start. False where there is no room. */
static __always_inline bool ethernet_write(struct hook_context *ctx, const __u8 *destination,
					   const __u8 *source, __u16 vlan)
{
	struct vlan_header *tag;
	struct ethhdr *eth;

	if (frame_set_tag(ctx, vlan))
		return false;
	eth = packet_at(ctx, 0, sizeof(*eth));
	if (!eth)
		return false;
	vlan = HOOK_TAG_LENGTH ? vlan : 0;
	mac_copy(eth->h_dest, destination);
	mac_copy(eth->h_source, source);
	*ethernet_protocol(eth) = bpf_htons(vlan ? ETH_P_8021Q : ETH_P_IP);
	if (!vlan)
		return true;
	tag = packet_at(ctx, sizeof(*eth), sizeof(*tag));
	if (!tag)
		return false;
	tag->control = bpf_htons(vlan);
	tag->protocol = bpf_htons(ETH_P_IP);
	return true;
}

/* An IPv4 packet as far as translation cares. Ports are 0 where there are none. */
struct ipv4 {
	__u16 offset;                 /* of its header in the frame */
	__u16 l4_offset;
	__u16 total_length;
	__be32 source;
	__be32 destination;
	__be16 source_port;           /* or query id */
	__be16 destination_port;
	__u8 protocol;
	__u8 ttl;
	__u8 tos;
	__u8 tcp_flags;               /* byte 13 of the header */
	__u8 icmp_type;
	bool fragment;
	bool later_fragment;          /* has no L4 header */
	bool dont_fragment;
	bool icmp_error;              /* of a type that quotes the packet it is about */
};

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* Of the header at `offset`: its 20 bytes, and options up to that many words. */
static __always_inline bool ipv4_header_sum_is_right(struct hook_context *ctx, __u32 offset,
						     const struct iphdr *header)
{
	__u64 sum = checksum_ipv4_words(header);
	__u32 words = header->ihl;

	for (__u32 i = 5; i < 15; i++) {
		__u32 *word;

		if (i >= words)
			break;
		word = packet_at(ctx, offset + i * 4, 4);
		if (!word)
			return false;
		sum += *word;
	}
	return checksum_fold(sum) == 0xffff;
}

/* A single host: neither this one, nor loopback, nor a group, nor all (RFC 1122 §3.2.1.3). */
static __always_inline bool address_is_host(__be32 address)
{
	__u8 first = bpf_ntohl(address) >> 24;

	return first != 0 && first != 127 && first < 224;
}

static __always_inline bool icmp_is_error(__u8 type)
{
	return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT ||
	       type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

static __always_inline int ipv4_parse_l4(struct hook_context *ctx, struct ipv4 *ip)
{
	__u32 l4_length = ip->total_length - (ip->l4_offset - ip->offset);

	if (ip->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = packet_at(ctx, ip->l4_offset, sizeof(*tcp));

		if (!tcp || l4_length < sizeof(*tcp))
			return REASON_DROP_TRUNCATED;
		ip->source_port = tcp->source;
		ip->destination_port = tcp->dest;
		ip->tcp_flags = ((__u8 *)tcp)[13];
	} else if (ip->protocol == IPPROTO_UDP) {
		struct udphdr *udp = packet_at(ctx, ip->l4_offset, sizeof(*udp));

		if (!udp || l4_length < sizeof(*udp))
			return REASON_DROP_TRUNCATED;
		if (bpf_ntohs(udp->len) < sizeof(*udp) ||
		    (!ip->fragment && bpf_ntohs(udp->len) > l4_length))
			return REASON_DROP_TRUNCATED;
		ip->source_port = udp->source;
		ip->destination_port = udp->dest;
	} else if (ip->protocol == IPPROTO_ICMP) {
		struct icmphdr *icmp = packet_at(ctx, ip->l4_offset, sizeof(*icmp));

		if (!icmp || l4_length < sizeof(*icmp))
			return REASON_DROP_TRUNCATED;
		ip->icmp_type = icmp->type;
		ip->icmp_error = icmp_is_error(icmp->type);
		if (icmp->type == ICMP_ECHO)
			ip->source_port = icmp->un.echo.id;
		else if (icmp->type == ICMP_ECHOREPLY)
			ip->destination_port = icmp->un.echo.id;
	}
	return 0;
}

/* Fills *ip from the header at `offset`; returns 0 or the reason to drop. */
static __always_inline int ipv4_parse(struct hook_context *ctx, __u32 offset, struct ipv4 *ip)
{
	struct iphdr *header = packet_at(ctx, offset, sizeof(*header));
	__u32 header_length;
	__u16 fragment;

	if (!header)
		return REASON_DROP_TRUNCATED;
	header_length = header->ihl * 4;
	if (header->version != 4 || header_length < sizeof(*header))
		return REASON_DROP_IPV4_HEADER;
	fragment = bpf_ntohs(header->frag_off);
	*ip = (struct ipv4){
		.offset = offset,
		.l4_offset = offset + header_length,
		.total_length = bpf_ntohs(header->tot_len),
		.source = header->saddr,
		.destination = header->daddr,
		.protocol = header->protocol,
		.ttl = header->ttl,
		.tos = header->tos,
		.fragment = fragment & (IPV4_MORE_FRAGMENTS | IPV4_OFFSET),
		.later_fragment = fragment & IPV4_OFFSET,
		.dont_fragment = fragment & IPV4_DONT_FRAGMENT,
	};
	if (ip->total_length < header_length)
		return REASON_DROP_IPV4_HEADER;
	if (offset + ip->total_length > packet_length(ctx))
		return REASON_DROP_TRUNCATED;
	/* RFC 1812 §5.2.2. */
	if (!ipv4_header_sum_is_right(ctx, offset, header))
		return REASON_DROP_IPV4_HEADER;
	if (ip->later_fragment)
		return 0;
	return ipv4_parse_l4(ctx, ip);
}
