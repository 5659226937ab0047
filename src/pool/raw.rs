//! A slot for code that has its own `struct io_uring`.
//!
//! This room may hold `unsafe`: it fills a struct of the caller's. It guarantees that the ring in
//! it is closed when the lease ends, and that the slot's memory is replaced before another ring
//! lies there.
#![allow(unsafe_code)]

use std::sync::Arc;

use super::RingPool;
use super::inner::Inner;
use crate::error::Result;
use crate::process::Process;
use crate::ring::{Held, Home};
use crate::setup::Route;

/// A slot that is lent to code which has its own `struct io_uring`: the lease of what
/// [`RingPool::claim_raw`] set up. Dropped, it closes the ring and takes the slot back, with new
/// pages.
#[derive(Debug)]
pub struct RawRing {
    /// Taken in `drop`, and only there.
    held: Option<Box<Held>>,
    inner: Arc<Inner>,
    owner: Process,
}

impl RingPool {
    /// Sets a ring up in a free slot, as [`claim`](Self::claim) does, for code that uses liburing
    /// itself: `ring` is filled as `io_uring_queue_init_mem` would. All of liburing works on it,
    /// but for `io_uring_queue_exit`, `io_uring_close_ring_fd` and `io_uring_resize_rings`.
    /// Dropping the lease closes this process's descriptor of the ring.
    ///
    /// # Safety
    /// `ring` is valid for writing. The ring is used only while the lease lives, in the process
    /// that claimed it, and not while the lease is dropped; its descriptor is not closed, and if it
    /// is registered with a task (`io_uring_register_ring_fd`), then it is unregistered before the
    /// lease is dropped. Buffers of requests that are in flight then stay valid until the kernel is
    /// done with them, which closing does not wait for.
    ///
    /// # Errors
    /// As [`claim`](Self::claim).
    pub unsafe fn claim_raw(&self, ring: *mut liburing_sys::io_uring) -> Result<RawRing> {
        let mut held = self.inner.claim_any()?;
        held.resync();
        // SAFETY: the caller's promise. The copy and ours are never used both: ours only closes.
        unsafe { ring.write(*held.ring.raw()) };
        Ok(RawRing { held: Some(held), inner: Arc::clone(&self.inner), owner: Process::current() })
    }
}

impl RawRing {
    fn held(&self) -> &Held {
        self.held.as_ref().expect("held until it is dropped")
    }

    /// The slot it has.
    #[must_use]
    pub fn slot(&self) -> usize {
        self.held().ticket.slot()
    }

    /// How the ring came to be.
    #[must_use]
    pub fn route(&self) -> Route {
        self.held().ring.route()
    }
}

impl Drop for RawRing {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        if self.owner == Process::current() {
            // Nobody knows what is in flight, so its pages are never used again.
            self.inner.recycle(held);
        } else {
            self.inner.close_copy(held);
        }
    }
}
