//! A buffer of the pool's, in one process's hands.
//!
//! This room may hold `unsafe`: it reaches into the shared mapping. It guarantees that who has a
//! [`PoolBuf`] has its bytes alone.
#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use super::RingPool;
use super::arena::Arena;
use super::inner::Inner;
use crate::error::{Cause, Error, Result};
use crate::process::Process;
use crate::ring::{Buf, BufMut, FixedBuffer};

/// A buffer in the pool's one mapping, from [`RingPool::buffer`]. Dropped, it goes back to the pool.
///
/// It is registered with the pool's rings, so that
/// [`read_fixed`](crate::Batch::read_fixed) and [`write_fixed`](crate::Batch::write_fixed) pin no
/// pages; every other operation takes it as well. It begins at a multiple of 512 bytes, and at one
/// of the page's size if its own size is one.
///
/// It belongs to the process that took it. To a forked child its copy is out of reach: reading or
/// writing its bytes there panics, making a request of it too, and dropping it does nothing.
pub struct PoolBuf {
    at: NonNull<u8>,
    /// At most 1 GiB. It is moved with each request, so it is kept small.
    len: u32,
    index: u32,
    /// The number that it is registered under, if a request can name it.
    fixed: Option<u16>,
    owner: Process,
    inner: Arc<Inner>,
}

// SAFETY: it has its bytes alone, wherever it is; the pool may be used from any thread.
unsafe impl Send for PoolBuf {}
// SAFETY: through `&PoolBuf` the bytes are only read.
unsafe impl Sync for PoolBuf {}

impl RingPool {
    /// Takes a free one of the pool's buffers. What is in it is what its last user left.
    ///
    /// # Errors
    /// [`Cause::NoBufferFree`]; [`Cause::Invalid`] if the pool was built without
    /// [`buffers`](crate::PoolBuilder::buffers).
    pub fn buffer(&self) -> Result<PoolBuf> {
        const WHAT: &str = "cannot take a buffer";
        let none = || Error::new(WHAT, Cause::Invalid("the pool was built without buffers"));
        let inner = Arc::clone(&self.inner);
        let arena = inner.arena.as_ref().ok_or_else(none)?;
        let me = inner.me()?;
        let index = arena
            .claim(me, |number| inner.owners.living(number).is_some())
            .map_err(|cause| Error::new(WHAT, cause))?;
        let ((at, len), fixed) = (arena.buffer(index), arena.fixed(index));
        // The builder has seen to it that it fits.
        Ok(PoolBuf { at, len: len as u32, index, fixed, owner: Process::current(), inner })
    }
}

impl PoolBuf {
    /// Makes it `len` bytes long: what requests transfer at most, and what is seen of it.
    ///
    /// # Panics
    /// If that is more than [`capacity`](Self::capacity).
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.capacity(), "{len} bytes of a buffer of {}", self.capacity());
        // The capacity is an u32.
        self.len = len as u32;
    }

    /// How long it may be.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.arena().buffer(self.index).1
    }

    #[inline]
    fn arena(&self) -> &Arena {
        self.inner.arena.as_ref().expect("a buffer's pool has buffers")
    }

    /// The bytes are this process's: a kernel that a child lends them to would write to its parent's.
    #[inline]
    fn check(&self) {
        assert!(!self.owner.is_ancestor(), "the buffer belongs to the process before the fork");
    }
}

impl Deref for PoolBuf {
    type Target = [u8];

    /// # Panics
    /// In a forked child, whose parent's buffer it is.
    fn deref(&self) -> &[u8] {
        self.check();
        // SAFETY: the bytes lie in the pool's mapping, which `inner` keeps. They are initialised, as
        // zeroes at first, and nobody else touches them: not another owner of the buffer, of which
        // there is one over all processes, nor a kernel, since `self` is not lent.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len as usize) }
    }
}

impl DerefMut for PoolBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.check();
        // SAFETY: as above, and `self` is borrowed for as long.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), self.len as usize) }
    }
}

// SAFETY: the address is that of a piece of the mapping, whatever becomes of this value, which has
// the bytes alone; they are initialised.
unsafe impl Buf for PoolBuf {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.check();
        self.at.as_ptr()
    }

    #[inline]
    fn len(&self) -> usize {
        self.len as usize
    }

    #[inline]
    fn fixed(&self) -> Option<FixedBuffer> {
        self.fixed.map(|index| FixedBuffer { arena: self.arena().id(), index })
    }
}

// SAFETY: as above.
unsafe impl BufMut for PoolBuf {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.check();
        self.at.as_ptr()
    }
}

impl Drop for PoolBuf {
    fn drop(&mut self) {
        if !self.owner.is_ancestor() {
            self.arena().free(self.index);
        }
    }
}

impl fmt::Debug for PoolBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuf").field("index", &self.index).field("len", &self.len).finish()
    }
}
