//! What a request has besides its buffer, and what becomes of it.
//!
//! This room may hold `unsafe`: it makes descriptors of numbers that the kernel gave, or did not take.
//! It guarantees that each becomes one owner's, once.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;

/// What keeps that which a request works on as it is, for as long as this lives.
#[derive(Clone)]
pub enum Owner {
    /// A share of whatever owns the descriptor: it stays open.
    Of(Arc<dyn AsFd + Send + Sync>),
    /// The ring's table of files, which leaves this place alone meanwhile.
    Table {
        /// The place.
        index: u32,
    },
}

impl Owner {
    pub(super) fn of<T: AsFd + Send + Sync + 'static>(owner: &Arc<T>) -> Self {
        Self::Of(Arc::clone(owner) as Arc<dyn AsFd + Send + Sync>)
    }

    /// Its number. The borrow that it comes from could last as long as this share does, which
    /// nobody can take the descriptor out of: so long it stays open.
    pub(super) fn number(&self) -> RawFd {
        match self {
            Self::Of(owner) => owner.as_fd().as_raw_fd(),
            // A table has fewer places.
            Self::Table { index } => *index as RawFd,
        }
    }

    fn is_place(&self, place: u32) -> bool {
        matches!(self, Self::Table { index } if *index == place)
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Owner").field(&self.number()).finish()
    }
}

/// `struct __kernel_timespec`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Timespec {
    sec: i64,
    nsec: i64,
}

impl From<Duration> for Timespec {
    fn from(time: Duration) -> Self {
        let sec = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Self { sec, nsec: time.subsec_nanos().into() }
    }
}

/// Kept in the table while the request is under way. Dropped there, it closes nothing but shares.
#[derive(Debug)]
#[allow(dead_code, reason = "shares are held, not read")]
pub(super) enum Extra {
    None,
    /// The descriptor, which the kernel may look up late.
    Keeps(Owner),
    /// Both descriptors of a splice.
    KeepsBoth(Owner, Owner),
    /// The result is a new descriptor.
    Opens(Option<Owner>),
    /// The descriptor to be closed, before the request is pushed.
    WillClose(OwnedFd),
    /// It afterwards. As a number: from when the kernel closes it until the
    /// completion is reaped, it may be somebody else's already.
    Closes(RawFd),
    /// When a timeout fires. The kernel reads it when the request is submitted.
    Time(Timespec),
    /// When the request before it is to be cancelled, likewise.
    Limit(Timespec),
}

impl Extra {
    /// The descriptor of a request that the kernel never saw; to be asked once.
    pub(super) fn unseen(&mut self) -> Option<OwnedFd> {
        match std::mem::replace(self, Extra::None) {
            Extra::WillClose(fd) => Some(fd),
            Extra::Closes(fd) => Some(owned(fd)),
            // What is dropped may run a program's own code, and is left to the caller.
            other => {
                *self = other;
                None
            }
        }
    }

    /// The same, keeping this as it is, too.
    #[inline]
    pub(super) fn keeping(self, owner: Owner) -> Self {
        match self {
            Extra::Opens(_) => Extra::Opens(Some(owner)),
            Extra::Keeps(other) => Extra::KeepsBoth(owner, other),
            _ => Extra::Keeps(owner),
        }
    }

    /// Whether the request may look this place of the table up still.
    pub(super) fn needs(&self, index: u32) -> bool {
        match self {
            Extra::Keeps(owner) | Extra::Opens(Some(owner)) => owner.is_place(index),
            Extra::KeepsBoth(from, to) => from.is_place(index) || to.is_place(index),
            _ => false,
        }
    }

    /// Whether a completion with this result ended waits in the kernel: a timeout that fired, of
    /// itself or for its number of completions. Those made through the raw door are known by the
    /// former alone.
    #[inline]
    pub(super) fn fired(&self, res: i32) -> bool {
        const TIME_OVER: i32 = -(Errno::ETIME as i32);
        match self {
            Extra::Time(_) => res == TIME_OVER || res == 0,
            Extra::None => res == TIME_OVER,
            _ => false,
        }
    }

    /// The descriptor that comes with a completion, and its result. Nothing is left.
    pub(super) fn completed(&mut self, res: i32) -> (Option<OwnedFd>, i32) {
        // What is dropped may be the program's own code, and panic: not before it is out of here.
        std::mem::replace(self, Extra::None).descriptor(res)
    }

    /// The same, to be asked once; what else it holds stays.
    pub(super) fn descriptor(&self, res: i32) -> (Option<OwnedFd>, i32) {
        // Not even begun: a failed link, or cancelled; or a ring's descriptor, which the kernel does
        // not close so. (A FUSE server could answer its flush with these numbers. None does.)
        const NOT_BEGUN: [i32; 2] = [-(Errno::ECANCELED as i32), -(Errno::EBADF as i32)];
        match self {
            Extra::Opens(_) if res >= 0 => (Some(owned(res)), 0),
            Extra::Closes(fd) if NOT_BEGUN.contains(&res) => (Some(owned(*fd)), res),
            _ => (None, res),
        }
    }
}

fn owned(fd: RawFd) -> OwnedFd {
    #[allow(unsafe_code)]
    // SAFETY: the kernel made the descriptor for this request alone; or the request was given it to
    // close, and did not. Either way nobody else owns it, and this is asked once.
    unsafe {
        OwnedFd::from_raw_fd(fd)
    }
}

/// The directory that paths start from.
#[derive(Debug, Clone)]
pub struct Dir(Option<Owner>);

impl Dir {
    /// The process's working directory, when the request is carried out (`AT_FDCWD`).
    #[must_use]
    pub fn current() -> Self {
        Self(None)
    }

    /// This one. A share is kept until the request completes: the kernel looks the descriptor up
    /// late.
    #[must_use]
    pub fn of<T: AsFd + Send + Sync + 'static>(dir: &Arc<T>) -> Self {
        Self(Some(Owner::of(dir)))
    }

    pub(super) fn fd(&self) -> RawFd {
        self.0.as_ref().map_or(libc::AT_FDCWD, Owner::number)
    }

    pub(super) fn into_owner(self) -> Option<Owner> {
        self.0
    }
}
