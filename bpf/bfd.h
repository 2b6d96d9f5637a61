/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * BFD (RFC 5880) of the computes, as Open vSwitch and OVN speak it: in VNI 0 of a
 * tunnel to a virtual router's address, from link-local address to link-local
 * address. No tenant has VNI 0, so no tenant can speak for a compute.
 *
 * What is steady stays here: each packet is stamped, and the control plane, which
 * sends ours and keeps the sessions, hears of what changes alone.
 */
#pragma once

#include "event.h"
#include "packet.h"
#include "virtual_router.h"

#define BFD_UDP_PORT 3784
#define BFD_TTL 255
/* Open vSwitch's bfd_src_ip and bfd_dst_ip: 169.254.1.1 to 169.254.1.0. */
#define BFD_SOURCE 0xa9fe0101
#define BFD_DESTINATION 0xa9fe0100
#define BFD_VERSION 1
#define BFD_VERSION_SHIFT 5
#define BFD_STATE_DOWN 1
#define BFD_STATE_SHIFT 6
#define BFD_POLL 0x20
#define BFD_FINAL 0x10
#define BFD_AUTHENTICATED 0x04
#define BFD_MULTIPOINT 0x01

/* Of one session, at most so often; and of strangers so many on each CPU in a second. */
#define BFD_TELL_INTERVAL_NS (10ULL * 1000 * 1000)
#define BFD_STRANGERS_PER_SECOND 64
#define BFD_SECOND_NS (1000ULL * 1000 * 1000)

/* RFC 5880 §4.1. */
struct bfd_control {
	__u8 version;                 /* in the upper three bits; the diagnostic below */
	__u8 state;                   /* in the upper two bits; flags below */
	__u8 detect_mult;
	__u8 length;
	__be32 my_discriminator;
	__be32 your_discriminator;
	__be32 desired_min_tx;
	__be32 required_min_rx;
	__be32 required_min_echo_rx;
};
_Static_assert(sizeof(struct bfd_control) == BFD_PACKET_BYTES, "a control packet has no padding");

/* What the tunnel carries. */
struct bfd_inner {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	struct bfd_control control;
} __attribute__((packed));

struct bfd_event {
	struct event head;
	struct bfd_report report;
};

/* Whether it is meant to be BFD at all. */
static __always_inline bool bfd_is_meant(const struct bfd_inner *inner)
{
	return inner->eth.h_proto == bpf_htons(ETH_P_IP) && inner->ip.version == 4 && inner->ip.ihl == 5 &&
	       inner->ip.protocol == IPPROTO_UDP &&
	       !(inner->ip.frag_off & bpf_htons(IPV4_MORE_FRAGMENTS | IPV4_OFFSET)) &&
	       inner->udp.dest == bpf_htons(BFD_UDP_PORT);
}

/* The headers around it. `room`: bytes of the frame from the inner IPv4 header on. */
static __always_inline bool bfd_headers_are_right(const struct bfd_inner *inner, __u32 room)
{
	__u32 length = bpf_ntohs(inner->ip.tot_len), datagram = bpf_ntohs(inner->udp.len);

	return inner->ip.ttl == BFD_TTL && inner->ip.saddr == bpf_htonl(BFD_SOURCE) &&
	       inner->ip.daddr == bpf_htonl(BFD_DESTINATION) && length <= room &&
	       datagram + sizeof(struct iphdr) <= length && inner->udp.check == 0 &&
	       checksum_fold(checksum_ipv4_words(&inner->ip)) == 0xffff;
}

/* RFC 5880 §6.8.6, as far as no session is needed for it; we use no authentication. */
static __always_inline bool bfd_is_wellformed(const struct bfd_inner *inner, const struct bfd_control *control)
{
	return control->version >> BFD_VERSION_SHIFT == BFD_VERSION && control->length >= sizeof(*control) &&
	       control->length + sizeof(struct udphdr) <= bpf_ntohs(inner->udp.len) && control->detect_mult &&
	       !(control->state & (BFD_MULTIPOINT | BFD_AUTHENTICATED)) && control->my_discriminator &&
	       (control->your_discriminator || control->state >> BFD_STATE_SHIFT <= BFD_STATE_DOWN);
}

static __always_inline bool bfd_may_tell_of_stranger(__u64 now_ns)
{
	__u32 zero = 0;
	struct bfd_budget *budget = bpf_map_lookup_elem(&bfd_budgets, &zero);

	if (!budget)
		return false;
	if (now_ns - budget->since_ns >= BFD_SECOND_NS) {
		budget->since_ns = now_ns;
		budget->taken = 0;
	}
	return budget->taken++ < BFD_STRANGERS_PER_SECOND;
}

/* Whether the packet says something that the last one did not, or wants an answer; keeps it. */
static __always_inline bool bfd_note(struct bfd_session *session, const struct packet *packet,
				     const struct bfd_control *control, __u32 term, __u64 now_ns)
{
	const __u64 *new = (const void *)control;
	__u64 *old = (void *)session->packet;
	bool news = session->untold || session->term != term || control->state & (BFD_POLL | BFD_FINAL) ||
		    new[0] != old[0] || new[1] != old[1] || new[2] != old[2] ||
		    !mac_equal(session->mac, packet->tunnel.source_mac);

	old[0] = new[0];
	old[1] = new[1];
	old[2] = new[2];
	mac_copy(session->mac, packet->tunnel.source_mac);
	session->received_ns = now_ns;
	if (!news)
		return false;
	/* A flood of changes is told of later, by the last of them. */
	session->untold = now_ns - session->told_ns < BFD_TELL_INTERVAL_NS;
	if (session->untold)
		return false;
	session->told_ns = now_ns;
	session->term = term;
	return true;
}

/* False where the ring buffer has no room: for a session as for the elections, for strangers as for tenants. */
static __always_inline bool bfd_tell(const struct bfd_key *key, const struct packet *packet,
				     const struct bfd_control *control, __u64 now_ns, bool known)
{
	struct bfd_event *event = NULL;

	if (event_has_room(known ? event_share(EVENT_ADVERTISEMENT) : event_share(EVENT_BFD)))
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return false;
	event->head = (struct event){
		.type = EVENT_BFD, .interface = INTERFACE_UNDERLAY, .address = key->endpoint,
		.length = sizeof(event->report), .received_ns = now_ns,
	};
	event->report = (struct bfd_report){ .key = *key, .known = known };
	mac_copy(event->report.mac, packet->tunnel.source_mac);
	__builtin_memcpy(event->report.packet, control, sizeof(*control));
	bpf_ringbuf_submit(event, 0);
	return true;
}

/*
 * A tunnelled frame in VNI 0, whose outer sum is right. Anything but BFD to a
 * virtual router of ours is in a network that nobody has.
 */
__noinline int bfd_receive(struct hook_context *ctx, struct packet *packet)
{
	struct virtual_router *router;
	struct bfd_session *session;
	struct bfd_control *control;
	struct bfd_inner *inner;
	struct bfd_key key = {};
	__u32 *virtual_router_id;
	__be32 destination;
	__u64 now_ns;

	if (!packet)
		return REASON_DROP_TRUNCATED;
	/* Linux 6.1 takes no key out of memory that a global function was given. */
	destination = packet->tunnel.destination;
	virtual_router_id = bpf_map_lookup_elem(&virtual_router_by_address, &destination);
	inner = packet_at(ctx, packet->tunnel.inner_offset, sizeof(*inner));
	if (!virtual_router_id || !inner || !bfd_is_meant(inner))
		return REASON_DROP_VNI_UNKNOWN;
	control = (void *)inner + offsetof(struct bfd_inner, control);
	router = bpf_map_lookup_elem(&virtual_routers, virtual_router_id);
	now_ns = bpf_ktime_get_ns();
	if (!router || !virtual_router_forwards(router, now_ns))
		return REASON_DROP_NOT_ACTIVE;
	if (!bfd_headers_are_right(inner, packet->end - packet->tunnel.inner_offset - sizeof(inner->eth)) ||
	    !bfd_is_wellformed(inner, control))
		return REASON_DROP_BFD_MALFORMED;
	key.endpoint = packet->tunnel.source;
	key.virtual_router = *virtual_router_id;
	key.encapsulation = packet->tunnel.vni >> ENCAPSULATION_SHIFT;
	session = bpf_map_lookup_elem(&bfd_sessions, &key);
	if (!session) {
		if (bfd_may_tell_of_stranger(now_ns))
			bfd_tell(&key, packet, control, now_ns, false);
		return REASON_DROP_BFD_STRANGER;
	}
	if (control->your_discriminator && control->your_discriminator != session->local_discriminator)
		return REASON_DROP_BFD_STRANGER;
	/* Not cleared here: what another CPU could not tell meanwhile is still to be told. */
	if (bfd_note(session, packet, control, router->term, now_ns) && !bfd_tell(&key, packet, control, now_ns, true))
		session->untold = 1;
	return REASON_BFD_HEARD;
}

/* VNI 0 is no network's, in either encapsulation. */
static __always_inline bool bfd_may_be(const struct packet *packet)
{
	return !(packet->tunnel.vni << (32 - ENCAPSULATION_SHIFT));
}
