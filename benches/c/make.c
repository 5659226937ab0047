/* Rings in one mapping, as a C program makes them: by io_uring_queue_init_mem where liburing has it, else with
 * IORING_SETUP_NO_MMAP and the struct filled by hand. They are left to the end of the process to close. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "programs.h"

/* 64 SQEs are a page of 4 KiB, and so, with room to spare, are the rings. */
enum { RING_ENTRIES = 64, SQES = 4096, RING_BYTES = 2 * SQES };

#ifdef HAVE_INIT_MEM

const char *const c_make_route = "io_uring_queue_init_mem";

static int make(struct io_uring *ring, char *memory)
{
	struct io_uring_params params;
	int used;

	memset(&params, 0, sizeof(params));
	used = io_uring_queue_init_mem(RING_ENTRIES, ring, &params, memory, RING_BYTES);
	return used < 0 ? used : 0;
}

#else

const char *const c_make_route = "io_uring_setup with IORING_SETUP_NO_MMAP, struct io_uring by hand";

static unsigned *at(char *rings, unsigned offset)
{
	return (unsigned *)(void *)(rings + offset);
}

static int make(struct io_uring *ring, char *memory)
{
	char *rings = memory + SQES;
	struct io_uring_params params;
	uint64_t address;

	memset(&params, 0, sizeof(params));
	params.flags = 1u << 14; /* IORING_SETUP_NO_MMAP */
	/* sq_off.user_addr and cq_off.user_addr, which older headers do not name. */
	address = (uintptr_t)memory;
	memcpy((char *)&params + 72, &address, sizeof(address));
	address = (uintptr_t)rings;
	memcpy((char *)&params + 112, &address, sizeof(address));

	long fd = syscall(__NR_io_uring_setup, RING_ENTRIES, &params);

	if (fd < 0)
		return -errno;
	memset(ring, 0, sizeof(*ring));
	ring->sq.khead = at(rings, params.sq_off.head);
	ring->sq.ktail = at(rings, params.sq_off.tail);
	ring->sq.kring_mask = at(rings, params.sq_off.ring_mask);
	ring->sq.kring_entries = at(rings, params.sq_off.ring_entries);
	ring->sq.kflags = at(rings, params.sq_off.flags);
	ring->sq.kdropped = at(rings, params.sq_off.dropped);
	ring->sq.array = at(rings, params.sq_off.array);
	ring->sq.sqes = (void *)memory;
	ring->sq.ring_ptr = rings;
	ring->cq.khead = at(rings, params.cq_off.head);
	ring->cq.ktail = at(rings, params.cq_off.tail);
	ring->cq.kring_mask = at(rings, params.cq_off.ring_mask);
	ring->cq.kring_entries = at(rings, params.cq_off.ring_entries);
	ring->cq.koverflow = at(rings, params.cq_off.overflow);
	ring->cq.cqes = (void *)(rings + params.cq_off.cqes);
	ring->cq.kflags = at(rings, params.cq_off.flags);
	ring->cq.ring_ptr = rings;
	ring->flags = params.flags;
	ring->features = params.features;
	ring->ring_fd = (int)fd;
	for (unsigned i = 0; i < params.sq_entries; i++)
		ring->sq.array[i] = i;
	return 0;
}

#endif

int c_make(uint64_t rings, uint64_t *nanoseconds)
{
	uint64_t start = now();
	struct io_uring *all = calloc(rings, sizeof(*all));
	char *memory = mmap(NULL, rings * RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (!all || memory == MAP_FAILED)
		return -ENOMEM;
	for (uint64_t i = 0; i < rings; i++) {
		int error = make(&all[i], memory + i * RING_BYTES);

		if (error)
			return error;
	}
	*nanoseconds = now() - start;
	return 0;
}
