// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Somebody with a cable in the ha link and no key: records what two gateways say to
 * each other at two ports of a switch, then repeats, changes and throws it back as
 * fast as the ports take it. Prints how much of each as JSON.
 *
 * usage: sync-flood PORT OTHER_PORT RECORD_MS COUNT SEED
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define RECORDED_MAX 4096
#define FRAME_BYTES 2048
#define BATCH 64
/* Ethernet, IPv4, UDP; then as in WIRE.md. */
#define SYNC_OFFSET 42
#define TYPE (SYNC_OFFSET + 1)
#define EPOCH (SYNC_OFFSET + 8)
#define SEQUENCE (SYNC_OFFSET + 16)
#define MAC (SYNC_OFFSET + 24)
#define HEADER_END (SYNC_OFFSET + 32)
#define SYNC_PORT 6086
#define COMMIT 1
#define HEARTBEAT 3
#define CONTROL 4
/* Without these there is nothing to show. */
#define WANTED_TYPES (1u << COMMIT | 1u << HEARTBEAT | 1u << CONTROL)
#define PATIENCE_MS 30000
/* Of heartbeats one in so many is kept: there are few others among them. */
#define HEARTBEAT_SHARE 16

struct recorded {
	uint8_t bytes[FRAME_BYTES];
	uint32_t length;
	uint32_t from;                /* 0 or 1: the port at which it came in */
};

enum kind { REPLAYED, BIT_FLIPPED, MAC_CHANGED, LATER_EPOCH, LATER_SEQUENCE, SENT_BACK, KINDS };

static struct recorded recorded[RECORDED_MAX];
static uint32_t recorded_count, types_seen;
static uint64_t random_state;

static void fail(const char *what)
{
	fprintf(stderr, "sync-flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* xorshift64. */
static uint64_t draw(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static int open_port(const char *name)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	if (fd < 0 || !address.sll_ifindex || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail(name);
	return fd;
}

static int is_sync(const uint8_t *frame, uint32_t length)
{
	return length >= HEADER_END && frame[12] == 8 && frame[13] == 0 && frame[23] == 17 &&
	       (frame[36] << 8 | frame[37]) == SYNC_PORT;
}

static void record_from(int fd, uint32_t from)
{
	struct recorded *next = &recorded[recorded_count];
	struct sockaddr_ll source;
	socklen_t size = sizeof(source);
	ssize_t length = recvfrom(fd, next->bytes, FRAME_BYTES, MSG_DONTWAIT, (struct sockaddr *)&source, &size);

	/* What leaves by the port is seen there, too. */
	if (length <= 0 || source.sll_pkttype == PACKET_OUTGOING || !is_sync(next->bytes, length))
		return;
	if (next->bytes[TYPE] == HEARTBEAT && draw() % HEARTBEAT_SHARE)
		return;
	next->length = length;
	next->from = from;
	types_seen |= 1u << (next->bytes[TYPE] & 31);
	recorded_count++;
}

/* For so long, and until each type has come. */
static void record(const int ports[2], uint64_t for_ms)
{
	uint64_t from_ms = now_ms();

	while (recorded_count < RECORDED_MAX && now_ms() < from_ms + for_ms + PATIENCE_MS) {
		struct pollfd readable[2] = { { .fd = ports[0], .events = POLLIN }, { .fd = ports[1], .events = POLLIN } };

		if (now_ms() >= from_ms + for_ms && (types_seen & WANTED_TYPES) == WANTED_TYPES)
			return;
		poll(readable, 2, 10);
		for (uint32_t i = 0; i < 2 && recorded_count < RECORDED_MAX; i++)
			if (readable[i].revents & POLLIN)
				record_from(ports[i], i);
	}
}

static void swap_addresses(uint8_t *frame)
{
	uint8_t address[4], mac[6];

	memcpy(mac, frame, 6);
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, mac, 6);
	memcpy(address, frame + 26, 4);
	memcpy(frame + 26, frame + 30, 4);
	memcpy(frame + 30, address, 4);
}

static void add_to(uint8_t *field, uint32_t bytes, uint64_t number)
{
	for (uint32_t i = bytes; i-- && number; number >>= 8) {
		number += field[i];
		field[i] = number;
	}
}

/* Fills *frame; returns the port by which it has to go. */
static uint32_t forge(struct recorded *frame, enum kind kind)
{
	uint64_t bit;

	*frame = recorded[draw() % recorded_count];
	switch (kind) {
	case BIT_FLIPPED:
		bit = SYNC_OFFSET * 8 + draw() % ((frame->length - SYNC_OFFSET) * 8);
		frame->bytes[bit / 8] ^= 1 << bit % 8;
		break;
	case MAC_CHANGED:
		add_to(frame->bytes + MAC, 8, 1 + draw() % 255);
		break;
	case LATER_EPOCH:
		add_to(frame->bytes + EPOCH, 4, 1 + draw() % 1000);
		break;
	case LATER_SEQUENCE:
		add_to(frame->bytes + SEQUENCE, 8, 1000000 + draw() % 1000000);
		break;
	case SENT_BACK:
		swap_addresses(frame->bytes);
		return frame->from;
	default:
		break;
	}
	return 1 - frame->from;
}

static uint32_t flood(const int ports[2], uint32_t count, uint32_t sent_of[KINDS])
{
	static struct recorded frames[2][BATCH];
	struct mmsghdr messages[2][BATCH] = { 0 };
	struct iovec vectors[2][BATCH];
	uint32_t filled[2] = { 0 }, sent = 0;

	for (uint32_t i = 0; i < count || filled[0] || filled[1]; i++) {
		if (i < count) {
			struct recorded frame;
			uint32_t port = forge(&frame, i % KINDS), at = filled[port]++;

			frames[port][at] = frame;
			vectors[port][at] = (struct iovec){ frames[port][at].bytes, frame.length };
			messages[port][at].msg_hdr.msg_iov = &vectors[port][at];
			messages[port][at].msg_hdr.msg_iovlen = 1;
			sent_of[i % KINDS]++;
		}
		for (uint32_t port = 0; port < 2; port++) {
			if (filled[port] < BATCH && i + 1 < count)
				continue;
			for (uint32_t done = 0; done < filled[port];) {
				int taken = sendmmsg(ports[port], messages[port] + done, filled[port] - done, 0);

				if (taken < 0 && errno != ENOBUFS && errno != EINTR)
					fail("sendmmsg");
				if (taken > 0) {
					done += taken;
					sent += taken;
				}
			}
			filled[port] = 0;
		}
	}
	return sent;
}

int main(int argc, char **argv)
{
	uint32_t sent_of[KINDS] = { 0 }, sent;
	uint64_t from_ms;
	int ports[2];

	if (argc != 6)
		return 2;
	random_state = strtoull(argv[5], NULL, 10) | 1;
	for (int i = 0; i < 2; i++)
		ports[i] = open_port(argv[1 + i]);
	record(ports, strtoull(argv[3], NULL, 10));
	if (!recorded_count) {
		fprintf(stderr, "sync-flood: nothing to record\n");
		return 1;
	}
	from_ms = now_ms();
	sent = flood(ports, strtoul(argv[4], NULL, 10), sent_of);
	printf("{\"recorded\":%u,\"types\":%u,\"sent\":%u,\"tookMs\":%lu,\"replayed\":%u,\"sentBack\":%u}\n", recorded_count, types_seen, sent,
	       now_ms() - from_ms, sent_of[REPLAYED], sent_of[SENT_BACK]);
	return 0;
}
