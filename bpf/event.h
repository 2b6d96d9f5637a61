/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the control plane is told, with the frame that it is about. */
#pragma once

#include "parse.h"

#define EVENT_MAX_FRAME 2048
#define EVENT_MACS (2 * ETH_ALEN) /* what is before a tag */

struct event_with_frame {
	struct event head;
	__u8 frame[EVENT_MAX_FRAME];
	struct vlan_header tag;       /* room for one that is not in the frame's bytes */
};

static __always_inline bool event_has_room(__u64 bytes)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) < bytes;
}

/*
 * How far an event may fill the ring buffer. What a VM's packets cause by
 * themselves stops first: a tenant that scans the provider's subnet must not keep
 * the gateways from speaking, nor from hearing who is Active.
 */
static __always_inline __u64 event_share(__u32 type)
{
	switch (type) {
	case EVENT_SYNC_MESSAGE:
		return EVENTS_BYTES;
	case EVENT_ADVERTISEMENT:
		return EVENTS_BYTES / 2;
	default:
		return EVENTS_BYTES / 4;
	}
}

/* The bytes of the frame; a tag that is beside them goes where it belongs. How many, or -1. */
static __always_inline int event_load_frame(struct hook_context *ctx, __u32 offset, __u8 *to, __u32 length)
{
	__u16 tag = offset ? 0 : frame_tag(ctx);
	__u32 rest = length - EVENT_MACS - 1;

	if (HOOK_TAG_LENGTH || !tag)
		return frame_load(ctx, offset, to, length) ? -1 : (int)length;
	/* As the index of the last byte, see event_emit(). */
	asm volatile("" : "+r"(rest));
	if (rest >= EVENT_MAX_FRAME - EVENT_MACS - sizeof(struct vlan_header))
		return -1;
	rest++;
	if (frame_load(ctx, 0, to, EVENT_MACS) ||
	    frame_load(ctx, EVENT_MACS, to + EVENT_MACS + sizeof(struct vlan_header), rest))
		return -1;
	*(__u32 *)(to + EVENT_MACS) = bpf_htonl(ETH_P_8021Q << 16 | tag);
	return length + sizeof(struct vlan_header);
}

/*
 * Sends `about` with the frame from `offset` on; its length is filled in here.
 * Bounded by the ring buffer: where it is full the event is lost, the packet's
 * own counter remains.
 */
__noinline int event_emit(struct hook_context *ctx, const struct event *about, __u32 offset)
{
	__u32 length = packet_length(ctx);
	struct event_with_frame *event;
	int loaded;

	if (!about || offset >= length || !event_has_room(event_share(about->type)))
		return -1;
	/*
	 * Bounded as the index of the last byte: verifiers before Linux 6.8 do not
	 * conclude from "not zero" that a length is at least one.
	 */
	length -= offset + 1;
	asm volatile("" : "+r"(length));
	if (length >= EVENT_MAX_FRAME) {
		if (!frame_is_segmented(ctx))
			return -1;
		/* The first segment, or most of it. */
		length = EVENT_MAX_FRAME - 1;
	}
	length++;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return -1;
	event->head = *about;
	loaded = event_load_frame(ctx, offset, event->frame, length);
	if (loaded < 0) {
		bpf_ringbuf_discard(event, 0);
		return -1;
	}
	event->head.length = loaded;
	bpf_ringbuf_submit(event, 0);
	return 0;
}
