//! What a request works on: a descriptor, or a file that is registered with the ring.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use super::extra::Owner;

/// What a request works on: whatever has a descriptor, or a [`RegisteredFile`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no file descriptor",
    note = "whatever implements `std::os::fd::AsFd` will do, or a `RegisteredFile`"
)]
pub trait Target: sealed::On {}

/// What a request that may start late works on: a share of a descriptor's owner, or a
/// [`RegisteredFile`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not keep a file descriptor open",
    note = "an `Arc` of whatever implements `std::os::fd::AsFd` does, or a `RegisteredFile`"
)]
pub trait Shared: sealed::Share {}

/// A file that is registered with a ring: [`Ring::register_file`](crate::Ring::register_file).
///
/// It stays open, and stays the same, whatever becomes of the descriptor that it was registered by;
/// so a request for it may [start late](crate::Batch#requests-that-start-late) as it is. With
/// another ring it means nothing: requests are refused
/// ([`Cause::FileNotRegistered`](crate::Cause::FileNotRegistered)), as they are once it is
/// unregistered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RegisteredFile {
    /// Which table, of all that there ever were in this process and its ancestors.
    pub(super) table: u64,
    /// Its place in that table.
    pub(super) index: u32,
    /// How many files had that place before.
    pub(super) generation: u32,
}

impl RegisteredFile {
    /// Its number in the ring's table, for a ready SQE with `IOSQE_FIXED_FILE`
    /// ([`Batch::push_raw`](crate::Batch::push_raw)).
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }
}

/// The trait's own, which nobody else has.
pub(super) mod sealed {
    use super::{Owner, RawFd, RegisteredFile};

    pub trait On {
        /// What goes into the SQE.
        fn number(&self) -> RawFd;

        fn registered(&self) -> Option<RegisteredFile>;
    }

    pub trait Share: On {
        /// What keeps it as it is.
        fn owner(&self) -> Owner;
    }
}

use sealed::{On, Share};

impl<T: AsFd + ?Sized> Target for T {}

impl<T: AsFd + ?Sized> On for T {
    #[inline(always)]
    fn number(&self) -> RawFd {
        let fd: BorrowedFd<'_> = self.as_fd();
        fd.as_raw_fd()
    }

    #[inline(always)]
    fn registered(&self) -> Option<RegisteredFile> {
        None
    }
}

impl<T: AsFd + Send + Sync + 'static> Shared for Arc<T> {}

impl<T: AsFd + Send + Sync + 'static> Share for Arc<T> {
    fn owner(&self) -> Owner {
        Owner::of(self)
    }
}

impl Target for RegisteredFile {}
impl Shared for RegisteredFile {}

impl On for RegisteredFile {
    #[inline(always)]
    fn number(&self) -> RawFd {
        // A table has fewer places: `RegisteredFile`s come from it alone.
        self.index as RawFd
    }

    #[inline(always)]
    fn registered(&self) -> Option<RegisteredFile> {
        Some(*self)
    }
}

impl Share for RegisteredFile {
    fn owner(&self) -> Owner {
        Owner::Table { index: self.index }
    }
}
