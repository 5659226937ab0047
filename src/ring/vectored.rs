//! Buffers in several pieces.
//!
//! This room may hold `unsafe`: it describes buffers to the kernel by their addresses. It guarantees
//! that description and bytes stay where they are when the value moves.
#![allow(unsafe_code)]

use std::fmt;

use super::{Buf, BufMut};

/// Pieces of memory that the kernel may read from while a request is under way.
///
/// [`Vectored`] is one. A program that needs both kinds in one ring makes an enum that implements
/// this and [`Buf`] by forwarding.
///
/// # Safety
/// [`stable_iovecs`](Self::stable_iovecs) returns the address of so many initialised
/// `struct iovec`, which stays valid for reads, and what it points to unchanged, as long as the
/// value lives and is not borrowed mutably, wherever it is moved. To each of the pieces that they
/// describe applies what [`Buf`] says of its bytes.
pub unsafe trait BufVec: 'static {
    /// Where the array of pieces is, and how many they are.
    fn stable_iovecs(&mut self) -> (*const libc::iovec, u32);
}

/// Pieces of memory that the kernel may write to while a request is under way.
///
/// # Safety
/// As for [`BufVec`], and to each of the pieces applies what [`BufMut`] says of its bytes.
pub unsafe trait BufVecMut: BufVec {
    /// Where the array of pieces is, and how many they are.
    fn stable_iovecs_mut(&mut self) -> (*const libc::iovec, u32);
}

/// Buffers in a row, for [`Batch::readv_at`](crate::Batch::readv_at) and
/// [`Batch::writev_at`](crate::Batch::writev_at).
///
/// Used again, it takes no memory that it does not have, unless buffers have been added.
///
/// ```
/// # use uring_pool::{Ring, RingConfig, Vectored};
/// let mut ring = Ring::<Vectored<Vec<u8>>>::open(&RingConfig::new(8)?)?;
/// let file = std::fs::File::open("/dev/zero")?;
/// let mut batch = ring.batch();
/// batch.readv_at(&file, Vectored::new(vec![vec![1; 10], vec![2; 20]]), 0).push()?;
/// batch.submit()?;
/// let done = ring.wait(1)?.next().expect("one was submitted");
/// assert_eq!(done.result?, 30);
/// assert_eq!(done.buf.expect("it had one").into_bufs(), [vec![0; 10], vec![0; 20]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Vectored<B> {
    bufs: Vec<B>,
    /// Filled anew for each request. On the heap, where it stays when this is moved.
    iovecs: Vec<libc::iovec>,
}

// SAFETY: the addresses are of memory that the buffers own, and are sent with them.
unsafe impl<B: Send> Send for Vectored<B> {}
// SAFETY: through `&Vectored` nobody gets at the addresses.
unsafe impl<B: Sync> Sync for Vectored<B> {}

impl<B> Vectored<B> {
    /// These buffers, one after another.
    #[must_use]
    pub fn new(bufs: Vec<B>) -> Self {
        let iovecs = Vec::with_capacity(bufs.len());
        Self { bufs, iovecs }
    }

    /// The buffers.
    #[must_use]
    pub fn bufs(&self) -> &[B] {
        &self.bufs
    }

    /// The buffers, to be changed: nothing is lent while this value is yours.
    pub fn bufs_mut(&mut self) -> &mut Vec<B> {
        &mut self.bufs
    }

    /// The buffers alone.
    #[must_use]
    pub fn into_bufs(self) -> Vec<B> {
        self.bufs
    }

    fn fill(&mut self, piece: impl FnMut(&mut B) -> libc::iovec) -> (*const libc::iovec, u32) {
        self.iovecs.clear();
        self.iovecs.extend(self.bufs.iter_mut().map(piece));
        // The kernel takes 1024 at most.
        (self.iovecs.as_ptr(), u32::try_from(self.iovecs.len()).unwrap_or(u32::MAX))
    }
}

// SAFETY: the array is on the heap, filled here, and changed only by this call; the pieces are
// buffers, which this value owns and gives nobody as long as it is not borrowed.
unsafe impl<B: Buf> BufVec for Vectored<B> {
    fn stable_iovecs(&mut self) -> (*const libc::iovec, u32) {
        self.fill(|buf| {
            let at = buf.stable_ptr();
            // The kernel reads there by the bare address.
            let _ = at.expose_provenance();
            libc::iovec { iov_base: at.cast_mut().cast(), iov_len: buf.len() }
        })
    }
}

// SAFETY: as above; each piece's address is that of `BufMut`.
unsafe impl<B: BufMut> BufVecMut for Vectored<B> {
    fn stable_iovecs_mut(&mut self) -> (*const libc::iovec, u32) {
        self.fill(|buf| {
            let iov_len = buf.len();
            let at = buf.stable_mut_ptr();
            // The kernel writes there by the bare address.
            let _ = at.expose_provenance();
            libc::iovec { iov_base: at.cast(), iov_len }
        })
    }
}

impl<B: fmt::Debug> fmt::Debug for Vectored<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Vectored").field(&self.bufs).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_stay_where_they_are_and_are_described_anew_when_the_buffers_changed() {
        let mut pieces = Vectored::new(vec![vec![1u8; 3], vec![2; 5]]);
        let (at, count) = pieces.stable_iovecs_mut();
        assert_eq!(count, 2);
        let mut moved = Box::new(pieces);
        moved.bufs_mut()[1] = vec![3; 7];
        let (again, count) = moved.stable_iovecs();
        assert_eq!((again, count), (at, 2));
        let lengths: Vec<_> = moved.iovecs.iter().map(|piece| piece.iov_len).collect();
        assert_eq!(lengths, [3, 7]);
        let at = moved.iovecs[1].iov_base.addr();
        assert_eq!(at, moved.bufs()[1].as_ptr().addr());
    }
}
