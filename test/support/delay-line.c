// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * An interface that gives every frame back after a time between two limits, each
 * its own: those that come closely one after the other change places.
 *
 * usage: delay-line INTERFACE MIN_US MAX_US SEED
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define FRAMES 4096
#define FRAME_BYTES 4096

struct held {
	uint64_t due_ns;
	uint32_t length;
	uint8_t bytes[FRAME_BYTES];
};

static struct held held[FRAMES];
static uint32_t held_count;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "delay-line: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_interface(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		fail(name);
	return fd;
}

/* xorshift64. */
static uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint32_t first_due(void)
{
	uint32_t first = 0;

	for (uint32_t i = 1; i < held_count; i++)
		if (held[i].due_ns < held[first].due_ns)
			first = i;
	return first;
}

static void give_back_due(int fd)
{
	while (held_count) {
		uint32_t first = first_due();

		if (held[first].due_ns > now_ns())
			return;
		if (write(fd, held[first].bytes, held[first].length) < 0)
			fail("write");
		held[first] = held[--held_count];
	}
}

static void wait_for_frame(int fd)
{
	struct pollfd readable = { .fd = fd, .events = held_count < FRAMES ? POLLIN : 0 };
	struct timespec patience, *until = NULL;

	if (held_count) {
		uint64_t due = held[first_due()].due_ns, now = now_ns(), left = due > now ? due - now : 0;

		patience = (struct timespec){ .tv_sec = left / 1000000000, .tv_nsec = left % 1000000000 };
		until = &patience;
	}
	if (ppoll(&readable, 1, until, NULL) < 0 && errno != EINTR)
		fail("ppoll");
}

int main(int argc, char **argv)
{
	uint64_t min_us, max_us, random;
	int fd;

	if (argc != 5)
		return 2;
	min_us = strtoull(argv[2], NULL, 10);
	max_us = strtoull(argv[3], NULL, 10);
	random = strtoull(argv[4], NULL, 10) | 1;
	fd = open_interface(argv[1]);
	for (;;) {
		struct held *next;
		ssize_t length;

		wait_for_frame(fd);
		give_back_due(fd);
		next = &held[held_count];
		while (held_count < FRAMES && (length = read(fd, next->bytes, FRAME_BYTES)) > 0) {
			next->length = length;
			next->due_ns = now_ns() + (min_us + draw(&random) % (max_us - min_us + 1)) * 1000;
			next = &held[++held_count];
		}
	}
}
