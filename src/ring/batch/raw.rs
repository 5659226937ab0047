//! The door for what has no method here.
//!
//! This room may hold `unsafe`: it takes a request that its caller answers for. It guarantees what is
//! guaranteed for all others of the buffer that comes along.
#![allow(unsafe_code)]

use liburing_sys as sys;

use super::prepared::FIXED_FILE;
use super::{Batch, Full, Prepared, RequestId};
use crate::ring::extra::{Extra, Owner};
use crate::ring::op::Sqe;

impl<B: 'static> Batch<'_, '_, B> {
    /// Puts a ready SQE into the batch, with a tag, and with a buffer to keep until it completes.
    /// Its `user_data` is overwritten; with [`sqe128`](crate::RingConfig::sqe128), its second half is zeroes.
    ///
    /// The completion's result is what the kernel returned, a new descriptor too: its `fd` is
    /// `None`. A request that completes several times (`IORING_CQE_F_MORE`) comes as often with
    /// its tag, and the last time with its buffer.
    ///
    /// # Safety
    /// What the SQE points to stays valid for as long as the kernel uses it, which is until the
    /// request completes unless its operation is known to copy it when it is submitted; so does
    /// its descriptor stay open. Memory that goes with it is in `buf`, or outlives the ring even
    /// if that is leaked. It neither uses nor changes what this crate keeps in the ring: requests
    /// of its own, and the next user's of a pool's ring, which may find nothing registered. A
    /// registered file that it has in another place than the SQE's `fd` (a splice's source) stays
    /// registered until it completes.
    ///
    /// # Errors
    /// [`Full`], with the buffer, as [`Prepared::push`] has it.
    #[inline(always)]
    pub unsafe fn push_raw(
        &mut self,
        sqe: &sys::io_uring_sqe,
        tag: u64,
        buf: Option<B>,
    ) -> Result<RequestId, Full<B>> {
        // SAFETY: the kernel's struct, whatever its headers call the fields, is 64 bytes of
        // integers in this layout.
        let sqe = unsafe { std::ptr::from_ref(sqe).cast::<Sqe>().read() };
        let mut prepared = self.keeping(sqe, Extra::None);
        prepared.request.buf = buf;
        if sqe.flags & FIXED_FILE != 0 {
            // So that its place is not given to another file.
            prepared.request.extra = Extra::Keeps(Owner::Table { index: sqe.fd as u32 });
        }
        Prepared::push(prepared.tag(tag))
    }
}
