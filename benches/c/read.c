/* Random reads: as many under way as the depth says, and one more for each that completes. Vectored ones have two
 * pieces; fixed ones are of buffers that are registered. */
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "programs.h"

int c_read(int fd, uint64_t blocks, uint32_t len, int kind, uint32_t depth, uint64_t operations,
	   uint64_t *nanoseconds)
{
	struct io_uring ring;
	char **bufs = calloc(depth, sizeof(*bufs));
	struct iovec (*pieces)[2] = calloc(depth, sizeof(*pieces));
	uint32_t *idle = calloc(depth, sizeof(*idle));
	uint32_t idle_count = depth;
	uint64_t submitted = 0, completed = 0, random = 88172645463325252u;
	int error = ring_open(&ring);

	if (error || !bufs || !pieces || !idle)
		return error ? error : -ENOMEM;
	for (uint32_t i = 0; i < depth; i++) {
		idle[i] = i;
		/* Whole pages, as O_DIRECT wants them. */
		if (posix_memalign((void **)&bufs[i], 4096, len))
			return -ENOMEM;
		for (uint32_t half = 0; half < 2; half++) {
			pieces[i][half].iov_base = bufs[i] + half * (len / 2);
			pieces[i][half].iov_len = len / 2;
		}
	}
	if (kind == FIXED) {
		struct iovec *whole = calloc(depth, sizeof(*whole));

		if (!whole)
			return -ENOMEM;
		for (uint32_t i = 0; i < depth; i++)
			whole[i] = (struct iovec){ bufs[i], len };
		error = io_uring_register_buffers(&ring, whole, depth);
		free(whole);
		if (error)
			return error;
	}
	uint64_t start = now();
	while (completed < operations) {
		while (idle_count && submitted < operations) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
			uint64_t offset = next_random(&random) % blocks * len;
			uint32_t i = idle[--idle_count];

			if (!sqe)
				return -EBUSY;
			if (kind == VECTORED)
				io_uring_prep_readv(sqe, fd, pieces[i], 2, offset);
			else if (kind == FIXED)
				io_uring_prep_read_fixed(sqe, fd, bufs[i], len, offset, (int)i);
			else
				io_uring_prep_read(sqe, fd, bufs[i], len, offset);
			sqe->user_data = i;
			submitted++;
		}
		error = io_uring_submit_and_wait(&ring, 1);
		if (error < 0)
			return error;

		struct io_uring_cqe *cqe;
		unsigned head, seen = 0;

		io_uring_for_each_cqe(&ring, head, cqe) {
			if (cqe->res != (int)len)
				return cqe->res < 0 ? cqe->res : -EIO;
			idle[idle_count++] = (uint32_t)cqe->user_data;
			seen++;
		}
		io_uring_cq_advance(&ring, seen);
		completed += seen;
	}
	*nanoseconds = now() - start;
	io_uring_queue_exit(&ring);
	for (uint32_t i = 0; i < depth; i++)
		free(bufs[i]);
	free(bufs);
	free(pieces);
	free(idle);
	return 0;
}
