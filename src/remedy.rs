//! What would help.

use crate::cause::Cause;

impl Cause {
    /// What would help, as an imperative sentence without a full stop; `None` where nothing
    /// general can be said.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            Cause::NoIoUring => "use Linux 5.10 or newer, built with CONFIG_IO_URING",
            Cause::SwitchedOff { value: 1 } => {
                "run `sysctl kernel.io_uring_disabled=0` as root, or join the group that \
                 kernel.io_uring_group names"
            }
            Cause::SwitchedOff { .. } => "run `sysctl kernel.io_uring_disabled=0` as root",
            Cause::Forbidden => {
                "allow io_uring_setup, io_uring_enter and io_uring_register in the container's \
                 seccomp profile"
            }
            Cause::OpenFiles { .. } => {
                "raise it with `ulimit -n N`, LimitNOFILE=N in a systemd unit, or make fewer rings"
            }
            Cause::SystemOpenFiles => "raise it with `sysctl fs.file-max=N` as root",
            Cause::LockedMemory { .. } => {
                "raise it with `ulimit -l KIB`, LimitMEMLOCK=BYTES in a systemd unit, grant \
                 CAP_IPC_LOCK, or make fewer or smaller rings"
            }
            Cause::Maps { .. } => {
                "raise it with `sysctl vm.max_map_count=N` as root, or pool the rings (one mapping)"
            }
            Cause::AddressSpace { .. } => {
                "raise it with `ulimit -v KIB`, LimitAS=BYTES in a systemd unit, or make fewer or \
                 smaller rings"
            }
            Cause::OutOfMemory => {
                "make fewer or smaller rings, or free memory; on Linux 5.11 and older, locked \
                 memory (`ulimit -l`) may be what is short"
            }
            Cause::NoHugePages { .. } => {
                "set some aside with `sysctl vm.nr_hugepages=N` as root, or take another memory"
            }
            Cause::LibraryLacksInitMem => {
                "nothing is lost on Linux 6.5 and newer, where the route `direct` does the same; \
                 otherwise build with liburing 2.5 or newer"
            }
            Cause::NoMmapUnsupported => "use Linux 6.5 or newer for combined mappings",
            Cause::NotContiguous => {
                "use rings of at most 64 entries on 4 KiB pages, or Linux 6.10 or newer"
            }
            Cause::ConfigRefused => "leave out set-up flags newer than the kernel",
            Cause::MemoryUnusable => {
                "give it anonymous shared memory, a memfd, huge pages or /dev/shm, writable and \
                 not a file's pages"
            }
            Cause::NoSlotFree { .. } => "return a ring first, or make the pool with more slots",
            Cause::NoBufferFree { .. } => "drop a buffer first, or make the pool with more of them",
            Cause::SubmissionFull { .. } => "submit the batch, then go on",
            Cause::TooManyInFlight { .. } => "wait for completions, or ask for more CQ entries",
            Cause::DescriptorNotKept => "let the request keep it (`Prepared::keep`)",
            Cause::FileNotRegistered => "register it with this ring (`Ring::register_file`)",
            Cause::FileInUse => "wait until that request has completed, or cancel it",
            Cause::FileTableFull { files: 0 } => "reserve some first (`Ring::reserve_files`)",
            Cause::FileTableFull { .. } => "unregister one first, or reserve room for more",
            Cause::FileTableTooLong { .. } => {
                "reserve room for fewer, or raise the limit with `ulimit -n N` or LimitNOFILE=N in \
                 a systemd unit"
            }
            Cause::NotTheIssuer => "submit from the thread that claimed the ring",
            Cause::Inherited => "claim a ring in this process",
            Cause::LibraryMapsTooLittle => "build with liburing 2.2 or newer",
            Cause::SlotTaken { .. } => "claim another slot, or wait until it is returned",
            Cause::MadeElsewhere => {
                "claim another slot, or make all rings up front, before the fork"
            }
            Cause::Invalid(_)
            | Cause::LibraryRefused
            | Cause::Misplaced { .. }
            | Cause::Silent
            | Cause::NotRegistrable(..)
            | Cause::SlotRetired
            | Cause::NoSuchSlot { .. }
            | Cause::System { .. } => return None,
        })
    }
}
