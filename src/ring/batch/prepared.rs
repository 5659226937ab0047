//! One request: what it is to do, how, and the way into the batch.

use std::fmt;
use std::os::fd::{AsFd, RawFd};
use std::sync::Arc;

use super::{Batch, Full};
use crate::error::Cause;
use crate::ring::extra::{Extra, Owner};
use crate::ring::flight::Request;
use crate::ring::op::Sqe;
use crate::ring::policy::{AsyncPolicy, Transfer};
use crate::ring::target::sealed::{On, Share};
use crate::ring::{Held, Marks, Ring};

/// `IOSQE_*`.
pub(super) const FIXED_FILE: u8 = 1 << 0;
pub(super) const DRAIN: u8 = 1 << 1;
pub(super) const LINK: u8 = 1 << 2;
pub(super) const HARD_LINK: u8 = 1 << 3;
pub(super) const ASYNC: u8 = 1 << 4;

/// Puts addresses into an SQE, of what lies where it stays until the request completes.
pub(super) type Place<B> = fn(&mut Request<B>, &mut Sqe);

/// Names a request of a ring, to [cancel](Batch::cancel) it.
///
/// Once the request is complete it names nothing, for the next two thousand million requests that
/// have the same place in the table. With another ring it means another request, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub(super) u64);

/// A request that is complete but for its modifiers; [`push`](Self::push) puts it into the batch.
#[must_use = "a request that is not pushed is dropped"]
pub struct Prepared<'b, 'r, 'fd, B: 'static> {
    pub(super) batch: &'b mut Batch<'r, 'fd, B>,
    pub(super) sqe: Sqe,
    pub(super) request: Request<B>,
    pub(super) place: Place<B>,
    /// What the ring's [`AsyncPolicy`](crate::AsyncPolicy) may apply to.
    pub(super) transfer: Option<Transfer>,
    /// Its descriptor is only borrowed: it must start while it is submitted.
    pub(super) borrows: bool,
    /// What it works on is registered, in this place; where that is not kept already.
    pub(super) place_of_file: Option<u32>,
    pub(super) refused: Option<Cause>,
}

impl<B: 'static> Prepared<'_, '_, '_, B> {
    /// A number of the program's own, which comes back with the completion. 0 if none is given.
    #[inline(always)]
    pub fn tag(mut self, tag: u64) -> Self {
        self.request.tag = tag;
        self
    }

    /// Keeps a share of the descriptor's owner until the request completes, so that it may
    /// [start late](Batch#requests-that-start-late). Without effect on a request whose descriptor
    /// is kept anyway, or that has none, and on one of a
    /// [`RegisteredFile`](crate::RegisteredFile).
    ///
    /// `owner` must be what the request was given; [`push`](Self::push) refuses another.
    #[inline(always)]
    pub fn keep<T: AsFd + Send + Sync + 'static>(mut self, owner: &Arc<T>) -> Self {
        if !self.borrows {
            return self;
        }
        let owner = Owner::of(owner);
        if owner.number() != self.sqe.fd {
            self.refused = Some(Cause::Invalid("the descriptor kept is not the request's"));
        }
        self.borrows = false;
        self.request.extra = self.request.extra.keeping(owner);
        self
    }

    /// The next request of the batch starts when this one has succeeded; if it fails, or transfers
    /// less than it was to, the rest of the chain is cancelled: error `ECANCELED`
    /// (`IOSQE_IO_LINK`). A chain ends with its batch.
    #[doc(alias = "IOSQE_IO_LINK")]
    #[inline(always)]
    pub fn link(mut self) -> Self {
        self.sqe.flags |= LINK;
        self
    }

    /// As [`link`](Self::link), but the chain goes on even if this request fails
    /// (`IOSQE_IO_HARDLINK`).
    #[doc(alias = "IOSQE_IO_HARDLINK")]
    #[inline(always)]
    pub fn hard_link(mut self) -> Self {
        self.sqe.flags |= HARD_LINK;
        self
    }

    /// Starts when every request submitted before is complete, and lets none that comes after start
    /// earlier (`IOSQE_IO_DRAIN`). Whether those wait for it, too, is the kernel's to say: Linux 6.1
    /// does not make them.
    ///
    /// The kernel may start any later request of the ring late, too, so from then on all of them
    /// must [keep](Self::keep) their descriptors, until the ring is dropped. A pool closes such a
    /// ring then, and makes another for its next user.
    #[doc(alias = "IOSQE_IO_DRAIN")]
    #[inline(always)]
    pub fn drain(mut self) -> Self {
        self.sqe.flags |= DRAIN;
        self
    }

    /// Left to a thread of the kernel's at once, where it may block, instead of being tried while
    /// it is submitted (`IOSQE_ASYNC`).
    #[doc(alias = "IOSQE_ASYNC")]
    #[inline(always)]
    pub fn force_async(mut self) -> Self {
        self.sqe.flags |= ASYNC;
        self
    }

    /// The file was opened with `O_DIRECT`: an [`AsyncPolicy`](crate::AsyncPolicy) for buffered I/O
    /// does not apply.
    #[inline(always)]
    pub fn direct(mut self) -> Self {
        if let Some(transfer) = &mut self.transfer {
            transfer.buffered = false;
        }
        self
    }

    /// Puts the request into the batch. What it returns names the request, to
    /// [cancel](Batch::cancel) it.
    ///
    /// # Errors
    /// [`Full`], with the buffer, if the submission queue is full (submit the batch), or as many
    /// requests are under way as the completion queue can hold (reap some); or if the request may
    /// [start late](Batch#requests-that-start-late) and only borrows its descriptor.
    #[inline(always)]
    pub fn push(self) -> Result<RequestId, Full<B>> {
        let Ring { held, flight, .. } = &*self.batch.ring;
        if self.batch.ring.is_inherited()
            || flight.is_full()
            || held.queues.is_filled_by(self.batch.ring.prepared)
            || self.borrows && self.may_be_late()
            || self.refused.is_some()
        {
            return Err(self.refuse());
        }
        let late = self.may_be_late();
        let Self { batch, mut sqe, mut request, place, transfer, borrows, place_of_file, .. } =
            self;
        let Ring { held, flight, policy, marks, prepared, .. } = &mut *batch.ring;
        if let Some(index) = place_of_file {
            sqe.flags |= FIXED_FILE;
            if late || transfer.is_some() && *policy != AsyncPolicy::Never {
                request.extra = request.extra.keeping(Owner::Table { index });
            }
        }
        let Held { ring, queues, spare, .. } = &mut ***held;
        // The addresses are taken where things stay. That may panic, being the buffer's code.
        let before = flight.len();
        let key = flight.insert(request, spare, |request| place(request, &mut sqe));
        if let (Some(transfer), false) = (transfer, borrows) {
            if policy.applies(transfer, sqe.len, before) {
                sqe.flags |= ASYNC;
            }
        }
        sqe.user_data = key;
        queues.prepare(ring.raw_mut(), sqe);
        *prepared += 1;
        batch.linked = sqe.flags & (LINK | HARD_LINK) != 0;
        if sqe.flags & DRAIN != 0 {
            *marks |= Marks::DRAINS;
        }
        Ok(RequestId(key))
    }

    /// Whether the kernel may start it only after it is submitted.
    #[inline]
    fn may_be_late(&self) -> bool {
        self.sqe.flags != 0 || self.batch.linked || self.batch.ring.marks.contains(Marks::DRAINS)
    }

    /// Why it is not put into the batch, with what it was given.
    #[cold]
    #[inline(never)]
    fn refuse(self) -> Full<B> {
        let Ring { held, flight, .. } = &*self.batch.ring;
        let cause = if self.batch.ring.is_inherited() {
            Cause::Inherited
        } else if flight.is_full() {
            Cause::TooManyInFlight { limit: flight.limit() }
        } else if held.queues.is_filled_by(self.batch.ring.prepared) {
            Cause::SubmissionFull { entries: held.queues.sq_len() }
        } else {
            self.refused.unwrap_or(Cause::DescriptorNotKept)
        };
        let Request { buf, mut extra, .. } = self.request;
        Full { cause, buf, fd: extra.unseen() }
    }
}

impl<B: 'static> fmt::Debug for Prepared<'_, '_, '_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("sqe", &self.sqe)
            .field("tag", &self.request.tag)
            .finish_non_exhaustive()
    }
}

impl<'r, 'fd, B: 'static> Batch<'r, 'fd, B> {
    /// A request without descriptor, or with one that it keeps.
    #[inline(always)]
    pub(super) fn keeping(&mut self, sqe: Sqe, extra: Extra) -> Prepared<'_, 'r, 'fd, B> {
        Prepared {
            batch: self,
            sqe,
            request: Request { tag: 0, buf: None, extra },
            place: |_, _| {},
            transfer: None,
            borrows: false,
            place_of_file: None,
            refused: None,
        }
    }

    /// A request of a descriptor that is borrowed, or of a registered file.
    #[inline(always)]
    pub(super) fn on(
        &mut self,
        target: &impl On,
        sqe: impl FnOnce(RawFd) -> Sqe,
    ) -> Prepared<'_, 'r, 'fd, B> {
        let file = target.registered();
        let refused = self.missing(target);
        let prepared = self.keeping(sqe(target.number()), Extra::None);
        let place_of_file = file.map(|file| file.index);
        Prepared { borrows: file.is_none(), place_of_file, refused, ..prepared }
    }

    /// A request that the kernel may always start late: it keeps what it works on.
    #[inline]
    pub(super) fn on_shared(
        &mut self,
        target: &impl Share,
        sqe: impl FnOnce(RawFd) -> Sqe,
    ) -> Prepared<'_, 'r, 'fd, B> {
        let refused = self.missing(target);
        let owner = target.owner();
        let mut sqe = sqe(owner.number());
        if target.registered().is_some() {
            sqe.flags |= FIXED_FILE;
        }
        Prepared { refused, ..self.keeping(sqe, Extra::Keeps(owner)) }
    }

    /// Why there can be no request of it: a registered file that is none of this ring's.
    #[inline(always)]
    pub(super) fn missing(&self, target: &impl On) -> Option<Cause> {
        let file = target.registered()?;
        let files = &self.ring.held.files;
        let has = files.as_ref().is_some_and(|files| files.has(file));
        (!has).then_some(Cause::FileNotRegistered)
    }
}

impl<B: 'static> Prepared<'_, '_, '_, B> {
    #[inline(always)]
    pub(super) fn with(mut self, buf: B, place: Place<B>) -> Self {
        self.request.buf = Some(buf);
        self.place = place;
        self
    }

    #[inline(always)]
    pub(super) fn transfers(mut self, transfer: Transfer) -> Self {
        self.transfer = Some(transfer);
        self
    }
}
