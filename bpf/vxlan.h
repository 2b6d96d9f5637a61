/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* RFC 7348. */
#pragma once

#include "tunnel.h"

#define VXLAN_UDP_PORT 4789
#define VXLAN_VNI_VALID 0x08

struct vxlan_header {
	__u8 flags;
	__u8 reserved[3];
	__be32 vni;                   /* the upper 24 bits */
};

/* Fills *tunnel from a frame whose outer header is *outer. 0, or the reason. §5: reserved bits are ignored. */
static __always_inline int vxlan_parse(struct hook_context *ctx, const struct ipv4 *outer,
				       struct tunnel *tunnel)
{
	struct vxlan_header *vxlan = packet_at(ctx, outer->l4_offset + sizeof(struct udphdr), sizeof(*vxlan));

	if (!vxlan)
		return REASON_DROP_TRUNCATED;
	if (!(vxlan->flags & VXLAN_VNI_VALID))
		return REASON_DROP_VXLAN_HEADER;
	return tunnel_fill(ctx, outer, tunnel_vni(vxlan->vni, ENCAPSULATION_VXLAN), sizeof(*vxlan), tunnel);
}
