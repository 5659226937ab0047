/* NOPs, in batches: prepare, submit and wait, reap. */
#include <errno.h>

#include "programs.h"

int c_nop(uint32_t batch, uint64_t operations, uint64_t *nanoseconds)
{
	struct io_uring ring;
	uint64_t sum = 0;
	int error = ring_open(&ring);

	if (error)
		return error;
	uint64_t start = now();
	for (uint64_t done = 0; done < operations; done += batch) {
		for (uint32_t i = 0; i < batch; i++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

			if (!sqe)
				return -EBUSY;
			io_uring_prep_nop(sqe);
			sqe->user_data = i;
		}
		error = io_uring_submit_and_wait(&ring, batch);
		if (error < 0)
			return error;

		struct io_uring_cqe *cqe;
		unsigned head, seen = 0;

		io_uring_for_each_cqe(&ring, head, cqe) {
			if (cqe->res < 0)
				return cqe->res;
			sum += cqe->user_data;
			seen++;
		}
		io_uring_cq_advance(&ring, seen);
	}
	*nanoseconds = now() - start;
	io_uring_queue_exit(&ring);
	/* Every completion came, each once. */
	return sum == operations / batch * (batch * (uint64_t)(batch - 1) / 2) ? 0 : -EIO;
}
