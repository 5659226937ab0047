//! Operations on the ring itself: nothing, time, and cancellation.

use std::time::Duration;

use super::{Batch, Prepared, RequestId};
use crate::ring::extra::Extra;
use crate::ring::flight::Request;
use crate::ring::op::{self, Sqe};

impl<'r, 'fd, B: 'static> Batch<'r, 'fd, B> {
    /// A request that does nothing, as
    /// [io_uring_prep_nop(3)](https://man7.org/linux/man-pages/man3/io_uring_prep_nop.3.html) has it.
    #[doc(alias = "IORING_OP_NOP")]
    #[inline(always)]
    pub fn nop(&mut self) -> Prepared<'_, 'r, 'fd, B> {
        self.keeping(op::nop(), Extra::None)
    }

    /// Completes when the time is over, with the error `ETIME`, as
    /// [io_uring_prep_timeout(3)](https://man7.org/linux/man-pages/man3/io_uring_prep_timeout.3.html)
    /// has it. The clock is the monotonic one, and begins when the request does.
    #[doc(alias = "IORING_OP_TIMEOUT")]
    pub fn timeout(&mut self, time: Duration) -> Prepared<'_, 'r, 'fd, B> {
        self.timeout_or(time, 0)
    }

    /// As [`timeout`](Self::timeout), but completes earlier, with the result 0, once so many
    /// other requests have completed since it was submitted. With 0 of them it is `timeout`.
    #[doc(alias = "IORING_OP_TIMEOUT")]
    pub fn timeout_or(&mut self, time: Duration, completions: u32) -> Prepared<'_, 'r, 'fd, B> {
        let prepared = self.keeping(op::timeout(completions), Extra::Time(time.into()));
        Prepared { place: time_of, ..prepared }
    }

    /// Limits the time of the request before, which must be [linked](Prepared::link) to this one,
    /// as
    /// [io_uring_prep_link_timeout(3)](https://man7.org/linux/man-pages/man3/io_uring_prep_link_timeout.3.html)
    /// has it. If the time is over first, that request is cancelled (`ECANCELED`, or `EINTR` if it
    /// had begun), and this one completes with the error `ETIME`, or `EALREADY` if that could not
    /// be cancelled any more. If not, this one is cancelled.
    #[doc(alias = "IORING_OP_LINK_TIMEOUT")]
    pub fn link_timeout(&mut self, time: Duration) -> Prepared<'_, 'r, 'fd, B> {
        let prepared = self.keeping(op::link_timeout(), Extra::Limit(time.into()));
        Prepared { place: time_of, ..prepared }
    }

    /// Cancels a request of this ring, as
    /// [io_uring_prep_cancel(3)](https://man7.org/linux/man-pages/man3/io_uring_prep_cancel.3.html)
    /// has it: it then completes with the error `ECANCELED`, or `EINTR` if it had begun. This one's
    /// result is 0; or the error `ENOENT` if there is no such request (any more), `EALREADY` if it
    /// is too far on to be cancelled.
    #[doc(alias = "IORING_OP_ASYNC_CANCEL")]
    pub fn cancel(&mut self, request: RequestId) -> Prepared<'_, 'r, 'fd, B> {
        self.keeping(op::cancel(request.0), Extra::None)
    }

    /// Cancels every request of the ring that was submitted before (`IORING_ASYNC_CANCEL_ANY` of
    /// [io_uring_prep_cancel(3)](https://man7.org/linux/man-pages/man3/io_uring_prep_cancel.3.html),
    /// Linux 5.19; the error `EINVAL` before). The result is how many.
    #[doc(alias = "IORING_ASYNC_CANCEL_ANY")]
    pub fn cancel_all(&mut self) -> Prepared<'_, 'r, 'fd, B> {
        self.keeping(op::cancel_any(), Extra::None)
    }
}

fn time_of<B>(request: &mut Request<B>, sqe: &mut Sqe) {
    if let Extra::Time(time) | Extra::Limit(time) = &request.extra {
        sqe.addr = std::ptr::from_ref(time).expose_provenance() as u64;
    }
}
