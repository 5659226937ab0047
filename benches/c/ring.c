#include "programs.h"

int ring_open(struct io_uring *ring)
{
	return io_uring_queue_init(ENTRIES, ring, 0);
}
