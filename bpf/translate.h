/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What both directions of shared SNAT do with a packet: protocol, mapping, session. */
#pragma once

#include "rewrite.h"
#include "replicate.h"

/* enum mapping_protocol, or the reason that shared SNAT cannot carry the packet, negative. */
static __always_inline int translate_protocol(const struct ipv4 *ip, bool outbound)
{
	if (ip->fragment)
		return -REASON_DROP_FRAGMENT;
	if (ip->protocol == IPPROTO_TCP)
		return MAPPING_TCP;
	if (ip->protocol == IPPROTO_UDP)
		return MAPPING_UDP;
	if (ip->protocol != IPPROTO_ICMP)
		return -REASON_DROP_PROTOCOL_NOT_TRANSLATED;
	if (ip->icmp_type != (outbound ? ICMP_ECHO : ICMP_ECHOREPLY))
		return -REASON_DROP_ICMP_TYPE;
	return MAPPING_ICMP;
}

/* An ICMP error quotes addresses that would have to be translated too; a half-translated one is worse than none. */
static __always_inline bool translate_is_icmp_error(const struct ipv4 *ip)
{
	if (ip->protocol != IPPROTO_ICMP || ip->later_fragment)
		return false;
	return ip->icmp_type == ICMP_DEST_UNREACH || ip->icmp_type == ICMP_SOURCE_QUENCH ||
	       ip->icmp_type == ICMP_REDIRECT || ip->icmp_type == ICMP_TIME_EXCEEDED ||
	       ip->icmp_type == ICMP_PARAMETERPROB;
}
