//! A ring in exclusive use, and safe I/O on it.
//!
//! The rooms of this floor may hold `unsafe`: they read and write memory that is shared with the
//! kernel, and hand it addresses of buffers. They guarantee that a buffer whose address the kernel
//! has stays where it is and is touched by nobody until its completion is reaped, whatever is
//! dropped or forgotten, and in whatever order.

mod address;
mod aligned;
mod ask;
mod batch;
mod buf;
mod by_poll;
#[cfg(feature = "bytes")]
mod bytes;
mod completion;
mod enter;
mod extra;
mod file_table;
mod flags;
mod flight;
mod home;
mod leave;
mod op;
mod policy;
mod queues;
mod raw;
mod register;
mod spare;
mod statx;
mod target;
mod vectored;
mod wait;

use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;

use crate::config::RingConfig;
use crate::error::{Cause, Error, Result};
use crate::layout::RingLayout;
use crate::process::Process;
use crate::region::page_size;
use crate::setup::{self, Among, Learned, OpenRing, Route, RouteSet};

pub use address::SocketAddress;
pub use aligned::AlignedBuf;
pub use batch::{Batch, Full, Prepared, RequestId, Returned, SubmitError};
pub(crate) use buf::ArenaId;
pub use buf::{Buf, BufMut, FixedBuffer};
pub use completion::{Completion, Completions};
pub use extra::Dir;
pub use flags::{Advice, Fallocate, PollEvents, RecvFlags, SendFlags, SpliceFlags, SyncRange};
pub(crate) use home::{Held, Home, Ticket};
pub use policy::AsyncPolicy;
pub use raw::{RawCompletion, RawCompletions, RawQueues};
pub use statx::Statx;
pub use target::{RegisteredFile, Shared, Target};
pub use vectored::{BufVec, BufVecMut, Vectored};

use flight::{Flight, Request};

bitflags::bitflags! {
    /// What sets a ring apart from one that was just claimed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Marks: u8 {
        /// A request was drained: the kernel may start any later one late.
        const DRAINS = 1 << 0;
        /// Files were registered with it, or it with a thread.
        const REGISTERED = 1 << 1;
    }
}

/// A request that the kernel is done with or never saw, and the descriptor that came of it.
type TakenBack<B> = (Request<B>, Option<OwnedFd>);

/// A ring that this value has to itself, with buffers of type `B`.
///
/// A buffer goes in with its request and comes back with its completion. The table of requests
/// under way is as large as the completion queue, so completions cannot overflow; it is allocated
/// at the first request, and kept for the ring's next user if their buffers are of the same type.
///
/// Dropped, a ring of a pool goes back to it, open, with its descriptor. If requests are still
/// under way they are cancelled and waited for, for a second at most; buffers that even then are
/// in the kernel's hands are leaked, and the slot is retired.
///
/// A ring belongs to the process that claimed it. A forked child has a copy, which refuses to work
/// ([`Cause::Inherited`]); dropping it there closes the child's descriptor and nothing else.
pub struct Ring<B: 'static> {
    /// Taken in `drop`, and only there.
    held: ManuallyDrop<Box<Held>>,
    /// Taken in `drop`: dropped if nothing is in flight, else leaked.
    flight: ManuallyDrop<Flight<B>>,
    home: Option<Arc<dyn Home>>,
    /// The process that may submit and reap.
    owner: Process,
    policy: AsyncPolicy,
    /// What its next user must not find.
    marks: Marks,
    /// SQEs that are prepared, and not submitted: all that is in the submission queue.
    prepared: u32,
}

impl<B: 'static> Ring<B> {
    /// A ring of its own, in no pool, with mappings of its own (the route `separate`).
    ///
    /// # Errors
    /// The [`Cause`] why it could not be set up.
    pub fn open(config: &RingConfig) -> Result<Self> {
        let layout = RingLayout::new(config, page_size())?;
        let routes = RouteSet::only(&[Route::Separate]);
        #[allow(unsafe_code)]
        // SAFETY: no memory is given.
        let ring = unsafe {
            setup::open(config, &layout, routes, &Learned::default(), None, Among::ALONE)
        }?;
        Ok(Self::alone(ring, config))
    }

    /// A ring that no pool waits for.
    pub(crate) fn alone(ring: OpenRing, config: &RingConfig) -> Self {
        Self::new(Box::new(Held::new(ring, config, Ticket::default())), None)
    }

    /// A ring that goes back to `home`.
    #[inline]
    pub(crate) fn claimed(held: Box<Held>, home: Arc<dyn Home>) -> Self {
        Self::new(held, Some(home))
    }

    #[inline]
    fn new(mut held: Box<Held>, home: Option<Arc<dyn Home>>) -> Self {
        held.resync();
        let flight = ManuallyDrop::new(Flight::new(held.queues.cq_len()));
        Self {
            held: ManuallyDrop::new(held),
            flight,
            home,
            owner: Process::current(),
            policy: AsyncPolicy::default(),
            marks: Marks::empty(),
            prepared: 0,
        }
    }

    /// Begins a batch of requests. What an earlier batch left unsubmitted, by being forgotten, is
    /// taken back first, and its buffers dropped.
    #[inline]
    pub fn batch<'fd>(&mut self) -> Batch<'_, 'fd, B> {
        self.drop_prepared();
        Batch::new(self)
    }

    /// When reads and writes are left to the kernel's threads: from now on, for this value.
    /// [`AsyncPolicy::Never`] at first.
    pub fn set_async_policy(&mut self, policy: AsyncPolicy) {
        self.policy = policy;
    }

    /// Makes a forked child's copy of a ring that is in no pool the child's own: the parent's is
    /// then the copy.
    ///
    /// What is registered with the ring stays the parent's: this process registers no files with it, and
    /// uses none.
    ///
    /// # Safety
    /// From now on, even when this process has ended, neither parent nor sibling uses the ring, unless
    /// they adopt it in turn when nothing is under way on it, nor drops it with requests in flight.
    ///
    /// # Errors
    /// [`Cause::Invalid`] for a pool's ring, which only a claim makes one's own, and while requests
    /// are in flight: their buffers are the parent's.
    #[allow(unsafe_code)]
    pub unsafe fn adopt(&mut self) -> Result<()> {
        let refused = |why| Err(Error::new("cannot adopt the ring", Cause::Invalid(why)));
        if self.home.is_some() {
            return refused("a pool's ring is claimed, not adopted");
        }
        if self.flight.len() > 0 {
            return refused("requests of the parent's are under way on it");
        }
        self.held.forget_what_is_registered();
        self.held.resync();
        self.owner = Process::current();
        Ok(())
    }

    /// Whether this is a forked child's copy.
    #[inline]
    fn is_inherited(&self) -> bool {
        self.owner.is_ancestor()
    }

    /// The ring as liburing knows it, for questions to the kernel.
    pub(crate) fn open_ring(&mut self) -> &mut OpenRing {
        &mut self.held.ring
    }

    /// liburing's struct, for what this crate does not do.
    ///
    /// # Safety
    /// The pointer is valid while the ring is neither moved nor dropped. Do not exit the ring
    /// (`io_uring_queue_exit`), close its descriptor or resize its queues, do not reap completions
    /// of requests made through [`Batch`], and leave no SQE prepared, no completion of your own,
    /// and nothing registered (files, buffers, the ring's descriptor) behind when you next use
    /// this value; drain no request (`IOSQE_IO_DRAIN`), which would let later ones start late;
    /// memory that your own requests use stays yours to keep until they complete. Not
    /// in a forked child.
    #[allow(unsafe_code)]
    pub unsafe fn as_raw(&mut self) -> *mut liburing_sys::io_uring {
        // A forgotten batch is not to be submitted by other hands.
        self.drop_prepared();
        self.held.ring.raw_mut()
    }

    /// Takes back what is prepared, if anything is, and drops it. If a child that
    /// [adopted](Self::adopt) the ring has used it, its submission queue goes on where that left it.
    #[inline]
    fn drop_prepared(&mut self) {
        if self.held.queues.sq_left(self.held.ring.raw()) != 0 {
            drop(self.take_back());
        }
    }

    /// Takes back what is prepared and not submitted: the kernel has not seen it.
    #[cold]
    fn take_back(&mut self) -> Vec<TakenBack<B>> {
        if self.is_inherited() {
            // What is prepared there is the parent's.
            return Vec::new();
        }
        self.prepared = 0;
        let Held { ring, queues, .. } = &mut **self.held;
        let flight = &mut *self.flight;
        let mut returned = Vec::new();
        // Nothing is dropped in there: the queue is not yet as it shall be.
        queues.take_back(ring.raw_mut(), |user_data| {
            if let Some(mut request) = flight.remove(user_data) {
                let fd = request.extra.unseen();
                returned.push((request, fd));
            }
        });
        returned
    }
}

/// An errno of submission or waiting, with the one meaning it may have there.
fn system(what: &str, errno: Errno) -> Error {
    match errno {
        Errno::EEXIST => Error::new(what, Cause::NotTheIssuer).with_errno(Some(errno)),
        errno => Error::system(what, errno),
    }
}
