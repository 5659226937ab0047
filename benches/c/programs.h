/* The programs in C. Each sets a ring up, works, and says how long the work alone took.
 * They return 0, or what went wrong as a negative errno. */
#pragma once

#include <liburing.h>
#include <stdint.h>
#include <time.h>

/* Of every program: the ring's SQEs. */
enum { ENTRIES = 256 };

/* How it is read; as `Kind` in Rust. */
enum { PLAIN, VECTORED, FIXED };

static inline uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* The same offsets in all languages (Marsaglia's xorshift). */
static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Programs that measure nothing else are given a ring as liburing makes it. */
int ring_open(struct io_uring *ring);
