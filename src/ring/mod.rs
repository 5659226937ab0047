//! A ring in exclusive use, and safe I/O on it.
//!
//! The rooms of this floor may hold `unsafe`: they read and write memory that is shared with the
//! kernel, and hand it addresses of buffers. They guarantee that a buffer whose address the kernel
//! has stays where it is and is touched by nobody until its completion is reaped, whatever is
//! dropped or forgotten, and in whatever order.

mod address;
mod aligned;
mod batch;
mod buf;
mod by_poll;
#[cfg(feature = "bytes")]
mod bytes;
mod completion;
mod enter;
mod extra;
mod flags;
mod flight;
mod home;
mod leave;
mod op;
mod policy;
mod queues;
mod raw;
mod statx;
mod vectored;

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::config::RingConfig;
use crate::error::{Cause, Error, Result};
use crate::layout::RingLayout;
use crate::process::Process;
use crate::region::page_size;
use crate::setup::{self, Among, Learned, OpenRing, Refusal, Route, RouteSet};

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
pub use vectored::{BufVec, BufVecMut, Vectored};

use enter::Waited;
use flight::{Flight, Request};

/// A request that the kernel is done with or never saw, and the descriptor that came of it.
type TakenBack<B> = (Request<B>, Option<OwnedFd>);

/// A ring that this value has to itself, with buffers of type `B`.
///
/// A buffer goes in with its request and comes back with its completion. The table of requests
/// under way is as large as the completion queue, so completions cannot overflow; it is allocated
/// at the first request.
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
    /// A request was drained: the kernel may start any later one late.
    drains: bool,
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
            drains: false,
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

    /// Waits until at least `n` requests have completed, or all that are in flight if those are
    /// fewer, and gives out every completion that is there.
    ///
    /// It never waits for nothing: with no request in flight it returns at once.
    ///
    /// # Errors
    /// If a signal comes before there are as many ([`Error::is_interrupted`]); nothing is lost
    /// then, and [`peek`](Self::peek) has what is there. [`Cause::NotTheIssuer`] in another thread
    /// than a single-issuer ring's.
    #[inline]
    pub fn wait(&mut self, n: u32) -> Result<Completions<'_, B>> {
        let enough = self.held.queues.cq_ready() >= n.min(self.flight.len());
        if enough && self.prepared == 0 && !self.is_inherited() {
            return Ok(Completions::new(self));
        }
        self.wait_until(n, None)
    }

    /// As [`wait`](Self::wait), but no longer than `time`. What is there then is given out, which
    /// may be nothing; [`Completions::timed_out`] tells.
    ///
    /// Before Linux 5.11 it takes a descriptor while it waits.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&mut self, n: u32, time: Duration) -> Result<Completions<'_, B>> {
        // A time that no clock reaches is none.
        self.wait_until(n, Instant::now().checked_add(time))
    }

    fn wait_until(&mut self, n: u32, deadline: Option<Instant>) -> Result<Completions<'_, B>> {
        const WHAT: &str = "cannot wait for completions";
        if self.is_inherited() {
            return Err(Error::new(WHAT, Cause::Inherited));
        }
        self.drop_prepared();
        let n = n.min(self.flight.len());
        let Self { held, flight, .. } = &mut *self;
        let waited = held.wait(n, deadline, |cqe| {
            flight.get(cqe.user_data).is_some_and(|request| request.extra.fired(cqe.res))
        });
        let waited = waited.map_err(|errno| system(WHAT, errno))?;
        Ok(Completions::after_waiting(self, waited == Waited::TimeOver))
    }

    /// The completions that are there, without waiting.
    pub fn peek(&mut self) -> Completions<'_, B> {
        if !self.is_inherited() && self.held.queues.cq_ready() == 0 {
            self.held.let_the_kernel_post();
        }
        Completions::new(self)
    }

    /// Makes a forked child's copy of a ring that is in no pool the child's own: the parent's is
    /// then the copy.
    ///
    /// # Safety
    /// Neither parent nor sibling uses the ring, or drops it with requests in flight, as long as
    /// this process does.
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
        self.held.resync();
        self.owner = Process::current();
        Ok(())
    }

    /// Whether this is a forked child's copy.
    #[inline]
    fn is_inherited(&self) -> bool {
        self.owner.is_ancestor()
    }

    /// Requests submitted and not reaped, plus those of a forgotten batch.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.flight.len()
    }

    /// SQEs of the ring: the most requests in one batch.
    #[must_use]
    pub fn sq_len(&self) -> u32 {
        self.held.queues.sq_len()
    }

    /// CQEs of the ring: the most requests in flight.
    #[must_use]
    pub fn cq_len(&self) -> u32 {
        self.held.queues.cq_len()
    }

    /// The slot it has in its pool; `None` for a ring of its own.
    #[must_use]
    pub fn slot(&self) -> Option<usize> {
        self.home.is_some().then(|| self.held.ticket.slot())
    }

    /// How it came to be.
    #[must_use]
    pub fn route(&self) -> Route {
        self.held.ring.route()
    }

    /// Why it did not come to be by a better route: a refusal for each one that was tried.
    #[must_use]
    pub fn refusals(&self) -> &[Refusal] {
        self.held.ring.refusals()
    }

    /// How long making it waited for locked memory that closed rings had not given back yet; up to
    /// three seconds.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.held.ring.waited()
    }

    /// Bytes from its slot's start to the end of what the kernel uses, as the kernel reported it;
    /// 0 if it has mappings of its own.
    #[must_use]
    pub fn extent(&self) -> usize {
        self.held.ring.extent()
    }

    /// Whether the pool's buffers ([`PoolBuilder::buffers`](crate::PoolBuilder::buffers)) are
    /// registered with it: [`Stats::buffers`](crate::Stats::buffers) tells why not.
    #[must_use]
    pub fn has_registered_buffers(&self) -> bool {
        self.held.registered.is_some()
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

/// For `poll`, `epoll`, or a runtime that waits by them: the descriptor is readable while there are
/// completions. One that tells of changes only must take all of them, with [`Ring::peek`], before it
/// waits again.
///
/// A duplicate of the descriptor keeps the kernel's ring, and what is under way on it, alive when
/// this one is closed.
impl<B: 'static> AsFd for Ring<B> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        #[allow(unsafe_code)]
        // SAFETY: the descriptor is open for as long as the ring lives, which `self` borrows.
        unsafe {
            BorrowedFd::borrow_raw(self.held.ring.fd())
        }
    }
}

impl<B: 'static> std::fmt::Debug for Ring<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("slot", &self.slot())
            .field("route", &self.route())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

/// An errno of submission or waiting, with the one meaning it may have there.
fn system(what: &str, errno: Errno) -> Error {
    match errno {
        Errno::EEXIST => Error::new(what, Cause::NotTheIssuer).with_errno(Some(errno)),
        errno => Error::system(what, errno),
    }
}
