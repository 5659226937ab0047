//! Why something failed, in terms of the system, and what would help.

/// Why something was refused.
///
/// "Not supported" and "could not tell" are different answers:
/// [`is_unsupported`](Cause::is_unsupported) is true only where trying again on the same kernel
/// and library with more rights or higher limits would not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// A value that no kernel would take; found before any system call.
    #[error("{0}")]
    Invalid(&'static str),

    /// `ENOSYS`: this kernel has no io_uring.
    #[error("this kernel has no io_uring")]
    NoIoUring,

    /// `EPERM` while the sysctl `kernel.io_uring_disabled` is not 0.
    #[error("io_uring is switched off here (kernel.io_uring_disabled = {value})")]
    SwitchedOff {
        /// The sysctl's value: 1 leaves it to the privileged and to `kernel.io_uring_group`,
        /// 2 forbids it to everybody.
        value: u32,
    },

    /// `EPERM` or `EACCES` that no sysctl explains: a seccomp filter or a security module.
    #[error("the system forbids io_uring to this process (a seccomp filter or security module)")]
    Forbidden,

    /// `EMFILE`: the process has no file descriptor left. A ring takes one.
    #[error("no file descriptor is left: this process may have {limit} (RLIMIT_NOFILE)")]
    OpenFiles {
        /// The soft limit in force.
        limit: u64,
    },

    /// `ENFILE`: the system has no file descriptor left.
    #[error("the whole system has no file descriptor left (fs.file-max)")]
    SystemOpenFiles,

    /// `ENOMEM`, and this process's locked memory is limited. Linux 6.14 to 7.1
    /// charge ring memory to the user's locked memory.
    #[error("{}", not_enough_locked_memory(*.limit, *.needed, *.rings, *.open))]
    LockedMemory {
        /// The soft limit in force, in bytes. It is counted per user, over all processes; how much
        /// of it is in use the kernel tells nobody.
        limit: u64,
        /// Bytes that one ring needs.
        needed: u64,
        /// How many rings must fit: all of a pool that makes them up front; else those that are
        /// open, and one more.
        rings: u64,
        /// How many of them are open in this process.
        open: u64,
    },

    /// `ENOMEM`, and the process has as many mappings as it may have.
    #[error("too many memory mappings: this process has {used} of {limit} (vm.max_map_count)")]
    Maps {
        /// The sysctl `vm.max_map_count`.
        limit: u64,
        /// Mappings in use.
        used: u64,
    },

    /// `ENOMEM`, and the process has as much address space as it may have.
    #[error("no address space is left: this process has {used} of {limit} bytes (RLIMIT_AS)")]
    AddressSpace {
        /// The soft limit in force, in bytes.
        limit: u64,
        /// Bytes in use.
        used: u64,
    },

    /// `ENOMEM` that no limit explains.
    #[error("the kernel is out of memory for this")]
    OutOfMemory,

    /// No huge pages, or not enough, are set aside.
    #[error("{bytes} bytes of huge pages are not to be had")]
    NoHugePages {
        /// Bytes asked for, whole huge pages.
        bytes: u64,
    },

    /// The liburing that this program was built with has no `io_uring_queue_init_mem`.
    #[error("built with a liburing that has no io_uring_queue_init_mem (2.5 and newer have it)")]
    LibraryLacksInitMem,

    /// `EINVAL` to a set-up whose areas are one page each: this kernel does not know
    /// `IORING_SETUP_NO_MMAP`.
    #[error("this kernel does not put rings into memory it is given (Linux 6.5 and newer do)")]
    NoMmapUnsupported,

    /// Areas of more than one page: before Linux 6.10 they had to be physically contiguous, and on
    /// 6.5 could not be larger at all. `EINVAL` or `EFAULT`; or no errno where the kernel was not
    /// asked, since 6.5 to 6.9 take harm from their own refusal.
    #[error(
        "the kernel wants this ring's memory physically contiguous (Linux 6.10 and newer do not)"
    )]
    NotContiguous,

    /// `io_uring_queue_init_mem` refused what the kernel then took when asked directly (liburing
    /// 2.6 and newer on Linux 6.5, where it would not place rings rightly).
    #[error("this liburing's io_uring_queue_init_mem refuses a ring that the kernel itself takes")]
    LibraryRefused,

    /// `EINVAL` to an ordinary set-up: this kernel does not know one of the configuration's flags.
    #[error("this kernel refuses the configuration (entries or set-up flags)")]
    ConfigRefused,

    /// `EFAULT`, but for areas that had to be contiguous: the memory is of a kind that cannot be
    /// pinned for long.
    #[error("the kernel cannot use this kind of memory for rings")]
    MemoryUnusable,

    /// The ring as it was set up does not lie inside its slot, or its two areas overlap.
    /// It was undone and never used.
    #[error("the ring took {extent} bytes where {room} were meant for it; it was undone")]
    Misplaced {
        /// Bytes from the slot's start to the end of what the kernel uses.
        extent: u64,
        /// Bytes that the slot has.
        room: u64,
    },

    /// The ring was set up, but a NOP did not come back as it should.
    #[error("the ring was set up, but a NOP did not come back")]
    Silent,

    /// The submission queue holds as many requests as it can; submit them first.
    #[error("the submission queue is full ({entries} entries)")]
    SubmissionFull {
        /// SQEs that the ring has.
        entries: u32,
    },

    /// As many requests are under way as the completion queue can hold; reap some first.
    #[error("{limit} requests are under way, as many as the completion queue holds")]
    TooManyInFlight {
        /// CQEs that the ring has.
        limit: u32,
    },

    /// The request may start after it is submitted, when the kernel looks its descriptor up by
    /// number, and only borrows it.
    #[error("the request may start late, and nothing keeps its descriptor open until then")]
    DescriptorNotKept,

    /// The file is not registered with this ring, or not any more.
    #[error("the file is not registered with this ring, or not any more")]
    FileNotRegistered,

    /// A request may look the registered file up still.
    #[error("a request under way may start late, and would find another file there")]
    FileInUse,

    /// There is no room for another registered file.
    #[error("{}", no_room_for_files(*.files))]
    FileTableFull {
        /// How many there is room for.
        files: usize,
    },

    /// `EMFILE` to a table of registered files.
    #[error(
        "a table of registered files may be no longer than {limit} here: the descriptors that this \
         process may have (RLIMIT_NOFILE), and before Linux 5.19 32768"
    )]
    FileTableTooLong {
        /// The soft limit in force, or the kernel's.
        limit: u64,
    },

    /// `EINVAL`: the kernel cannot register such a thing.
    #[error("this kernel cannot register {0} (Linux {1} and newer can)")]
    NotRegistrable(&'static str, &'static str),

    /// `EEXIST`: the ring has a single issuer, and this is another thread or process.
    #[error("the ring has a single issuer, and this is not it")]
    NotTheIssuer,

    /// The ring is a copy that a fork made; its owner is the process that claimed it.
    #[error("the ring belongs to the process that claimed it, before the fork")]
    Inherited,

    /// The liburing that this was built with, before 2.2, does not know SQEs of 128 or CQEs of 32
    /// bytes, and maps too little for them.
    #[error(
        "this liburing maps too little for SQEs of 128 or CQEs of 32 bytes (2.2 and newer do not)"
    )]
    LibraryMapsTooLittle,

    /// The slot is in use.
    #[error("the slot is in use by process {holder}")]
    SlotTaken {
        /// Process id of the holder, as that process sees itself.
        holder: u32,
    },

    /// The slot's ring was made in another process after it parted from this one, which therefore
    /// has no descriptor for it.
    #[error("the slot's ring belongs to another process, which made it after the fork")]
    MadeElsewhere,

    /// The slot is out of service: a kernel may still write to its pages, and they could not be
    /// replaced.
    #[error("the slot is retired: its pages could not be replaced")]
    SlotRetired,

    /// Every slot is in use, out of service, or holds another process's ring.
    #[error("no slot is free among {slots}")]
    NoSlotFree {
        /// How many slots the pool has.
        slots: usize,
    },

    /// Every buffer of the pool's is in use, or out of service.
    #[error("no buffer is free among {buffers} ({retired} are retired, of processes that died)")]
    NoBufferFree {
        /// How many buffers the pool has.
        buffers: usize,
        /// How many of them are out of service.
        retired: usize,
    },

    /// There is no such slot.
    #[error("there is no such slot: the pool has {slots}")]
    NoSuchSlot {
        /// How many slots the pool has.
        slots: usize,
    },

    /// An error number with no more specific meaning here.
    #[error("{}", nix::errno::Errno::from_raw(*.errno).desc())]
    System {
        /// The number, as in `errno`.
        errno: i32,
    },
}

impl Cause {
    /// Whether this kernel and library cannot do it at all. False where a limit, a permission or
    /// the state of the moment stood in the way: then nothing is known about what is supported.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self,
            Cause::NoIoUring
                | Cause::LibraryLacksInitMem
                | Cause::NoMmapUnsupported
                | Cause::NotContiguous
                | Cause::LibraryRefused
                | Cause::LibraryMapsTooLittle
                | Cause::ConfigRefused
                | Cause::MemoryUnusable
                | Cause::Misplaced { .. }
                | Cause::Silent
                | Cause::NotRegistrable(..)
        )
    }
}

fn no_room_for_files(files: usize) -> String {
    match files {
        0 => "no room is reserved for registered files".to_owned(),
        files => format!("{files} files are registered, all that there is room for"),
    }
}

fn not_enough_locked_memory(limit: u64, needed: u64, rings: u64, open: u64) -> String {
    let all = rings.saturating_mul(needed);
    let what = match rings {
        1 => format!("a ring takes {needed}"),
        _ => {
            let have = open.saturating_mul(needed);
            format!("{rings} rings take {all} ({needed} each; {open} are open here, with {have})")
        }
    };
    let rest = if all <= limit {
        "; registered buffers, or this user's other processes, have the rest"
    } else {
        ""
    };
    format!(
        "not enough locked memory: this user may lock {limit} bytes in all (RLIMIT_MEMLOCK), and \
         {what}{rest}"
    )
}
