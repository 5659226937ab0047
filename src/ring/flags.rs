//! Flags and kinds of operations, by the kernel's numbers.

bitflags::bitflags! {
    /// What to wait for with [`Batch::poll`](crate::Batch::poll), and what came: `POLL*` of
    /// [poll(2)](https://man7.org/linux/man-pages/man2/poll.2.html).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct PollEvents: u32 {
        /// There is something to read.
        const IN = 0x001;
        /// There is something urgent to read.
        const PRI = 0x002;
        /// There is room to write.
        const OUT = 0x004;
        /// An error; comes unasked.
        const ERR = 0x008;
        /// The other side hung up; comes unasked.
        const HUP = 0x010;
        /// A stream's other side will write no more.
        const RDHUP = 0x2000;
    }

    /// What [`Batch::sync_file_range`](crate::Batch::sync_file_range) does: `SYNC_FILE_RANGE_*`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct SyncRange: u32 {
        /// Waits for pages that are being written already.
        const WAIT_BEFORE = 1;
        /// Begins to write the dirty pages.
        const WRITE = 2;
        /// Waits until they are written.
        const WAIT_AFTER = 4;
    }

    /// What [`Batch::fallocate`](crate::Batch::fallocate) does: `FALLOC_FL_*`. None allocates, and
    /// makes the file longer if need be.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Fallocate: u32 {
        /// Leaves the file's length alone.
        const KEEP_SIZE = 0x01;
        /// Gives the range's blocks back; with `KEEP_SIZE`.
        const PUNCH_HOLE = 0x02;
        /// Takes the range out of the file.
        const COLLAPSE_RANGE = 0x08;
        /// Makes the range zeroes.
        const ZERO_RANGE = 0x10;
        /// Puts a hole in at the range's start.
        const INSERT_RANGE = 0x20;
        /// Makes the range's blocks the file's own.
        const UNSHARE_RANGE = 0x40;
    }

    /// How [`Batch::send`](crate::Batch::send) sends: `MSG_*` of
    /// [send(2)](https://man7.org/linux/man-pages/man2/send.2.html). Not `MSG_ZEROCOPY`, with which
    /// the kernel would still read a buffer that has come back.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct SendFlags: u32 {
        /// Urgent data.
        const OOB = 0x1;
        /// Not by a router.
        const DONTROUTE = 0x4;
        /// `EAGAIN` instead of waiting.
        const DONTWAIT = 0x40;
        /// Ends a record.
        const EOR = 0x80;
        /// Sends all of it, or fails (Linux 5.19).
        const WAITALL = 0x100;
        /// No `SIGPIPE` if the other side is gone, only the error.
        const NOSIGNAL = 0x4000;
        /// More will follow.
        const MORE = 0x8000;
    }

    /// How [`Batch::recv`](crate::Batch::recv) receives: `MSG_*` of
    /// [recv(2)](https://man7.org/linux/man-pages/man2/recv.2.html).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct RecvFlags: u32 {
        /// Urgent data.
        const OOB = 0x1;
        /// Leaves the data there.
        const PEEK = 0x2;
        /// The true length of a datagram as the result, even if the buffer is shorter.
        const TRUNC = 0x20;
        /// `EAGAIN` instead of waiting.
        const DONTWAIT = 0x40;
        /// Waits until the buffer is full (Linux 5.19).
        const WAITALL = 0x100;
    }

    /// How [`Batch::splice`](crate::Batch::splice) moves: `SPLICE_F_*`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct SpliceFlags: u32 {
        /// Pages are moved rather than copied, if that can be.
        const MOVE = 1;
        /// Does not wait for the pipe.
        const NONBLOCK = 2;
        /// More will follow.
        const MORE = 4;
    }
}

/// What is said of a range with [`Batch::fadvise`](crate::Batch::fadvise): `POSIX_FADV_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Advice {
    /// Nothing in particular.
    Normal,
    /// It is read here and there: no read-ahead.
    Random,
    /// It is read in order: more read-ahead.
    Sequential,
    /// It is needed soon: read it.
    WillNeed,
    /// It is not needed soon: drop it from the cache.
    DontNeed,
    /// It is needed only once.
    NoReuse,
}

impl Advice {
    /// The number, which is another on s390x for two of them.
    pub(super) fn number(self) -> u32 {
        let number = match self {
            Advice::Normal => libc::POSIX_FADV_NORMAL,
            Advice::Random => libc::POSIX_FADV_RANDOM,
            Advice::Sequential => libc::POSIX_FADV_SEQUENTIAL,
            Advice::WillNeed => libc::POSIX_FADV_WILLNEED,
            Advice::DontNeed => libc::POSIX_FADV_DONTNEED,
            Advice::NoReuse => libc::POSIX_FADV_NOREUSE,
        };
        number as u32
    }
}
