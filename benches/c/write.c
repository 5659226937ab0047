/* As nop.c, with a buffer to each request: written to a file that takes everything (/dev/null). The table says
 * which buffer is whose while it is under way, and has it back afterwards. */
#include <errno.h>
#include <stdlib.h>

#include "programs.h"

struct request {
	char *buf;
	uint32_t len;
};

int c_write(int fd, uint32_t len, uint32_t batch, uint64_t operations, uint64_t *nanoseconds)
{
	struct io_uring ring;
	struct request *requests = calloc(batch, sizeof(*requests));
	uint64_t sum = 0;
	int error = ring_open(&ring);

	if (error || !requests)
		return error ? error : -ENOMEM;
	for (uint32_t i = 0; i < batch; i++) {
		requests[i].buf = calloc(1, len);
		requests[i].len = len;
		if (!requests[i].buf)
			return -ENOMEM;
	}
	uint64_t start = now();
	for (uint64_t done = 0; done < operations; done += batch) {
		for (uint32_t i = 0; i < batch; i++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

			if (!sqe)
				return -EBUSY;
			io_uring_prep_write(sqe, fd, requests[i].buf, requests[i].len, 0);
			sqe->user_data = (uintptr_t)&requests[i];
		}
		error = io_uring_submit_and_wait(&ring, batch);
		if (error < 0)
			return error;

		struct io_uring_cqe *cqe;
		unsigned head, seen = 0;

		io_uring_for_each_cqe(&ring, head, cqe) {
			struct request *request = (struct request *)(uintptr_t)cqe->user_data;

			if (cqe->res < 0)
				return cqe->res;
			sum += request->len;
			seen++;
		}
		io_uring_cq_advance(&ring, seen);
	}
	*nanoseconds = now() - start;
	io_uring_queue_exit(&ring);
	for (uint32_t i = 0; i < batch; i++)
		free(requests[i].buf);
	free(requests);
	return sum == operations * len ? 0 : -EIO;
}
