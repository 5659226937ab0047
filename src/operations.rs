//! Names of io_uring's operations and features, as the kernel numbers them.

bitflags::bitflags! {
    /// What the kernel's io_uring can do beyond the first release: `IORING_FEAT_*`.
    ///
    /// Bits of newer kernels, which have no name here, are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Features: u32 {
        /// SQ and CQ share a mapping (5.4).
        const SINGLE_MMAP = 1 << 0;
        /// Completions are never dropped for want of room (5.5).
        const NODROP = 1 << 1;
        /// What an SQE points to may go once it is submitted (5.5).
        const SUBMIT_STABLE = 1 << 2;
        /// Offset -1 means the file's own position (5.6).
        const RW_CUR_POS = 1 << 3;
        /// Requests use the submitter's credentials (5.6).
        const CUR_PERSONALITY = 1 << 4;
        /// Polled files need no thread (5.7).
        const FAST_POLL = 1 << 5;
        /// Poll takes 32 bits of events (5.9).
        const POLL_32BITS = 1 << 6;
        /// A submission thread works on unregistered files too (5.11).
        const SQPOLL_NONFIXED = 1 << 7;
        /// Waiting takes a time-out of its own (5.11).
        const EXT_ARG = 1 << 8;
        /// Worker threads belong to the process (5.12).
        const NATIVE_WORKERS = 1 << 9;
        /// Registered resources have tags (5.13).
        const RSRC_TAGS = 1 << 10;
        /// Completions can be suppressed (5.17).
        const CQE_SKIP = 1 << 11;
        /// Files of linked requests are looked up late (5.18).
        const LINKED_FILE = 1 << 12;
        /// A ring can be registered with a ring's own descriptor (6.3).
        const REG_REG_RING = 1 << 13;
        /// Send and receive take several buffers at once (6.10).
        const RECVSEND_BUNDLE = 1 << 14;
        /// Waiting takes a least time (6.12).
        const MIN_TIMEOUT = 1 << 15;
        /// Reads and writes take attributes (6.14).
        const RW_ATTR = 1 << 16;
        /// Waiting need not count as I/O wait (6.15).
        const NO_IOWAIT = 1 << 17;
        const _ = !0;
    }
}

impl Features {
    /// Their names in lower case; `bit N` for one that has none here.
    #[must_use]
    pub fn names(self) -> Vec<String> {
        let unnamed = self.iter_names().fold(self, |rest, (_, bit)| rest.difference(bit));
        let unnamed = (0..u32::BITS).filter(|bit| unnamed.bits() & (1 << bit) != 0);
        let named = self.iter_names().map(|(name, _)| name.to_lowercase());
        named.chain(unnamed.map(|bit| format!("bit {bit}"))).collect()
    }
}

/// `enum io_uring_op`, in order.
const OPERATIONS: [&str; 65] = [
    "nop",
    "readv",
    "writev",
    "fsync",
    "read_fixed",
    "write_fixed",
    "poll_add",
    "poll_remove",
    "sync_file_range",
    "sendmsg",
    "recvmsg",
    "timeout",
    "timeout_remove",
    "accept",
    "async_cancel",
    "link_timeout",
    "connect",
    "fallocate",
    "openat",
    "close",
    "files_update",
    "statx",
    "read",
    "write",
    "fadvise",
    "madvise",
    "send",
    "recv",
    "openat2",
    "epoll_ctl",
    "splice",
    "provide_buffers",
    "remove_buffers",
    "tee",
    "shutdown",
    "renameat",
    "unlinkat",
    "mkdirat",
    "symlinkat",
    "linkat",
    "msg_ring",
    "fsetxattr",
    "setxattr",
    "fgetxattr",
    "getxattr",
    "socket",
    "uring_cmd",
    "send_zc",
    "sendmsg_zc",
    "read_multishot",
    "waitid",
    "futex_wait",
    "futex_wake",
    "futex_waitv",
    "fixed_fd_install",
    "ftruncate",
    "bind",
    "listen",
    "recv_zc",
    "epoll_wait",
    "readv_fixed",
    "writev_fixed",
    "pipe",
    "nop128",
    "uring_cmd128",
];

/// The operations that [`Batch`](crate::Batch) has a method for, by the numbers that the kernel gives
/// them (`enum io_uring_op`).
///
/// [`PgAioUringCaps::supports`](crate::PgAioUringCaps::supports) says whether a kernel knows one:
///
/// ```
/// # use uring_pool::{Operation, PgAioUringCaps, RingConfig};
/// let caps = PgAioUringCaps::check(&RingConfig::new(8)?)?;
/// assert_ne!(caps.supports(Operation::Splice.into()), Some(false), "it is of Linux 5.7");
/// # Ok::<(), uring_pool::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Operation {
    /// `IORING_OP_NOP`.
    Nop = 0,
    /// `IORING_OP_READV`.
    Readv = 1,
    /// `IORING_OP_WRITEV`.
    Writev = 2,
    /// `IORING_OP_FSYNC`.
    Fsync = 3,
    /// `IORING_OP_READ_FIXED`.
    ReadFixed = 4,
    /// `IORING_OP_WRITE_FIXED`.
    WriteFixed = 5,
    /// `IORING_OP_POLL_ADD`.
    PollAdd = 6,
    /// `IORING_OP_SYNC_FILE_RANGE`.
    SyncFileRange = 8,
    /// `IORING_OP_TIMEOUT`.
    Timeout = 11,
    /// `IORING_OP_ACCEPT`.
    Accept = 13,
    /// `IORING_OP_ASYNC_CANCEL`.
    AsyncCancel = 14,
    /// `IORING_OP_LINK_TIMEOUT`.
    LinkTimeout = 15,
    /// `IORING_OP_CONNECT`.
    Connect = 16,
    /// `IORING_OP_FALLOCATE`.
    Fallocate = 17,
    /// `IORING_OP_OPENAT`.
    Openat = 18,
    /// `IORING_OP_CLOSE`.
    Close = 19,
    /// `IORING_OP_STATX`.
    Statx = 21,
    /// `IORING_OP_READ`.
    Read = 22,
    /// `IORING_OP_WRITE`.
    Write = 23,
    /// `IORING_OP_FADVISE`.
    Fadvise = 24,
    /// `IORING_OP_SEND`.
    Send = 26,
    /// `IORING_OP_RECV`.
    Recv = 27,
    /// `IORING_OP_SPLICE`.
    Splice = 30,
}

impl From<Operation> for u8 {
    fn from(op: Operation) -> u8 {
        op as u8
    }
}

/// The name of operation `op` (`IORING_OP_*` in lower case); `op N` for one newer than this crate.
#[must_use]
pub fn operation_name(op: u8) -> String {
    OPERATIONS.get(usize::from(op)).map_or_else(|| format!("op {op}"), |&name| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use liburing_sys as sys;

    #[test]
    fn names_stand_at_the_numbers_that_the_headers_give_them() {
        // The last of 5.10, which liburing 2.0 knows; a name left out would shift it.
        for (number, name) in [
            (sys::IORING_OP_NOP, "nop"),
            (sys::IORING_OP_ASYNC_CANCEL, "async_cancel"),
            (sys::IORING_OP_READ, "read"),
            (sys::IORING_OP_WRITE, "write"),
            (sys::IORING_OP_SPLICE, "splice"),
            (sys::IORING_OP_TEE, "tee"),
            (sys::IORING_OP_UNLINKAT, "unlinkat"),
        ] {
            assert_eq!(operation_name(u8::try_from(number).unwrap()), name);
        }
        assert_eq!(operation_name(200), "op 200");
    }

    #[test]
    fn a_feature_newer_than_this_crate_is_told_by_its_number() {
        let features = Features::from_bits_retain(1 | 1 << 30);
        assert_eq!(features.names(), ["single_mmap", "bit 30"]);
    }
}
