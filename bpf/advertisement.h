/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * VRRP advertisements for virtual routers of ours (RFC 9568 §5.2, §7.1; RFC 3768
 * §5.3, §7.1). What is malformed goes no further, however much of it comes. What
 * is not is noted, so that the control plane can see what has come while it was
 * busy or stopped, and what its socket had no room for.
 */
#pragma once

#include "event.h"
#include "frame_sum.h"
#include "virtual_router.h"

#define VRRP_TYPE_ADVERTISEMENT 1
#define VRRP_AUTHENTICATION_BYTES 8

/* One elapses in 2^24 ns, about 17 ms: room for the adverts of two routers every 10 ms, and for their elections. */
#define ADVERTISEMENT_WINDOW_SHIFT 24
#define ADVERTISEMENTS_PER_WINDOW 16

/* RFC 9568 §5.2, RFC 3768 §5.3. */
struct vrrp {
	__u8 version_and_type;
	__u8 virtual_router;
	__u8 priority;
	__u8 addresses;               /* how many follow */
	__u8 authentication;          /* v3: the upper bits of the interval, and four that are reserved */
	__u8 interval;                /* v2: seconds; v3: the lower bits of centiseconds */
	__be16 check;
};

static __always_inline __u32 vrrp_length(const struct vrrp *vrrp, __u8 version)
{
	return sizeof(*vrrp) + 4 * vrrp->addresses + (version == 2 ? VRRP_AUTHENTICATION_BYTES : 0);
}

/* RFC 9568 §5.2.8: the message alone; others sum a pseudo-header as well, in version 3. */
static __always_inline bool vrrp_sum_is_right(struct hook_context *ctx, const struct ipv4 *ip, __u32 length,
					      __u8 version)
{
	int sum = frame_sum(ctx, ip->l4_offset, length);
	__u64 pseudo = checksum_pseudo_header(ip->source, ip->destination, VRRP_PROTOCOL, bpf_htons(length));

	if (sum < 0)
		return false;
	return sum == 0xffff || (version == 3 && checksum_fold(pseudo + sum) == 0xffff);
}

/* RFC 2338 §5.3.6. The data stands behind the addresses, always. */
static __always_inline bool vrrp_is_authentic(struct hook_context *ctx, const struct ipv4 *ip,
					      const struct vrrp *vrrp,
					      const struct advertisement_rule *rule)
{
	__u32 offset = ip->l4_offset + sizeof(*vrrp) + 4 * vrrp->addresses;
	__u32 *data;

	if (vrrp->authentication != rule->authentication)
		return false;
	if (!rule->authentication)
		return true;
	data = packet_at(ctx, offset, VRRP_AUTHENTICATION_BYTES);
	return data && data[0] == rule->password[0] && data[1] == rule->password[1];
}

static __always_inline bool advertisement_is_expected(const struct advertisement_rule *rule, __be32 source)
{
	bool expected = !rule->peers;

	for (__u32 i = 0; i < ADVERTISEMENT_PEERS; i++)
		expected |= i < rule->peers && rule->peer[i] == source;
	return expected;
}

static __always_inline __u32 advertisement_length(const struct ipv4 *ip)
{
	return ip->total_length - (ip->l4_offset - ip->offset);
}

/* In the order in which RFC 9568 §7.1 asks. 0, or the reason. */
static __always_inline int advertisement_check(struct hook_context *ctx, const struct ipv4 *ip,
					       const struct advertisement_rule *rule, struct vrrp *vrrp)
{
	struct vrrp *head = packet_at(ctx, ip->l4_offset, sizeof(*head));
	__u32 length = advertisement_length(ip);
	__u8 version;

	if (ip->ttl != 255)
		return REASON_DROP_ADVERTISEMENT_TTL;
	if (!head || length < sizeof(*head))
		return REASON_DROP_ADVERTISEMENT_LENGTH;
	*vrrp = *head;
	version = vrrp->version_and_type >> 4;
	if (version != rule->version)
		return REASON_DROP_ADVERTISEMENT_VERSION;
	if ((vrrp->version_and_type & 0xf) != VRRP_TYPE_ADVERTISEMENT)
		return REASON_DROP_ADVERTISEMENT_TYPE;
	if (!vrrp->addresses)
		return REASON_DROP_ADVERTISEMENT_COUNT;
	if (length != vrrp_length(vrrp, version))
		return REASON_DROP_ADVERTISEMENT_LENGTH;
	if (!vrrp_sum_is_right(ctx, ip, length, version))
		return REASON_DROP_ADVERTISEMENT_CHECKSUM;
	if (version == 2 && !vrrp_is_authentic(ctx, ip, vrrp, rule))
		return REASON_DROP_ADVERTISEMENT_AUTHENTICATION;
	if (version == 2 ? vrrp->interval != rule->interval : !(vrrp->interval || vrrp->authentication & 0xf))
		return REASON_DROP_ADVERTISEMENT_INTERVAL;
	return 0;
}

/*
 * Adverts that claim more than we have are noted apart from those that claim
 * less: who floods us with the lower kind hides nothing of the other.
 */
static __always_inline struct advertisement *advertisement_note(const struct vrrp *vrrp,
								const struct advertisement_rule *rule)
{
	__u32 index = vrrp->virtual_router * ADVERTISEMENT_KINDS +
		      (vrrp->priority >= rule->priority ? ADVERTISEMENT_SUPERIOR : ADVERTISEMENT_INFERIOR);

	return bpf_map_lookup_elem(&advertisements, &index);
}

/* Whole, IPv4 header included. Whoever reads looks at the time before and after. */
static __always_inline void advertisement_keep(struct hook_context *ctx, const struct ipv4 *ip,
					       struct advertisement *note, __u64 now_ns)
{
	/* As the index of the last byte, see event_emit(). */
	__u32 length = ip->total_length - 1;

	asm volatile("" : "+r"(length));
	if (length >= sizeof(note->packet))
		return;
	length++;
	/* An exchange orders what is around it. */
	__sync_lock_test_and_set(&note->received_ns, 0);
	note->length = length;
	if (frame_load(ctx, ip->offset, note->packet, length))
		return;
	__sync_lock_test_and_set(&note->received_ns, now_ns);
}

/* Adverts that nobody has the time to read say no more than the note of the last one. */
static __always_inline bool advertisement_has_turn(struct advertisement *note, __u64 now_ns)
{
	__u32 window = now_ns >> ADVERTISEMENT_WINDOW_SHIFT;

	if ((__s32)(window - note->window) > 0) {
		note->window = window;
		note->passed = 0;
	}
	if (note->passed >= ADVERTISEMENTS_PER_WINDOW)
		return false;
	note->passed += 1;
	return true;
}

/*
 * An IPv4 packet of VRRP's protocol in packet->ip. Other virtual routers than ours
 * are the kernel's. On a tagged underlay no socket of it hears any: there the
 * control plane is told.
 */
__noinline int advertisement_receive(struct hook_context *ctx, const struct packet *packet, __be32 own_address,
				     bool tagged)
{
	struct event about = { .type = EVENT_ADVERTISEMENT, .interface = INTERFACE_UNDERLAY };
	struct advertisement_rule *rule;
	struct advertisement *note;
	const struct ipv4 *ip;
	struct vrrp vrrp = {};
	__u8 *virtual_router;
	__u32 key;
	int reason;

	if (!packet)
		return REASON_DROP_TRUNCATED;
	ip = &packet->ip;
	if ((ip->destination != bpf_htonl(VRRP_GROUP) && ip->destination != own_address) || ip->later_fragment)
		return REASON_PASS_TO_KERNEL;
	virtual_router = packet_at(ctx, ip->l4_offset + offsetof(struct vrrp, virtual_router), 1);
	if (!virtual_router || advertisement_length(ip) <= offsetof(struct vrrp, virtual_router))
		return REASON_PASS_TO_KERNEL;
	key = *virtual_router;
	rule = bpf_map_lookup_elem(&advertisement_rules, &key);
	if (!rule || !rule->version)
		return REASON_PASS_TO_KERNEL;
	if (ip->fragment)
		return REASON_DROP_OUTER_FRAGMENT;
	if (ip->source == own_address || !advertisement_is_expected(rule, ip->source))
		return REASON_DROP_ADVERTISEMENT_SOURCE;
	reason = advertisement_check(ctx, ip, rule, &vrrp);
	if (reason)
		return reason;
	note = advertisement_note(&vrrp, rule);
	if (!note)
		return REASON_PASS_TO_KERNEL;
	about.received_ns = bpf_ktime_get_ns();
	advertisement_keep(ctx, ip, note, about.received_ns);
	if (!advertisement_has_turn(note, about.received_ns))
		return REASON_DROP_ADVERTISEMENT_RATE;
	if (tagged)
		event_emit(ctx, &about, 0);
	return REASON_PASS_TO_KERNEL;
}
