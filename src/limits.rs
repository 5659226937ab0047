//! What the system allows this process: descriptors, locked memory, mappings, sysctls.
//!
//! Read anew at each call, from `getrlimit(2)` and `/proc`; what cannot be read is `None`.

use std::fs;

use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use crate::error::{Cause, Error};
use crate::version::{kernel_release, kernel_version, version_of};

/// A resource limit, soft and hard. [`Limit::UNLIMITED`] stands for no limit; serialised, that is
/// null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Limit {
    /// What is in force. A process may raise it up to `hard` by itself.
    #[cfg_attr(feature = "serde", serde(serialize_with = "unless_unlimited"))]
    pub soft: u64,
    /// What only a privileged process can raise.
    #[cfg_attr(feature = "serde", serde(serialize_with = "unless_unlimited"))]
    pub hard: u64,
}

impl Limit {
    /// The value that means "no limit" (`RLIM_INFINITY`).
    pub const UNLIMITED: u64 = RLIM_INFINITY;

    fn of(resource: Resource) -> Option<Self> {
        getrlimit(resource).ok().map(|(soft, hard)| Self { soft, hard })
    }
}

/// The limits that decide how many rings a process can have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Limits {
    /// File descriptors per process (`RLIMIT_NOFILE`); each open ring takes one.
    pub open_files: Option<Limit>,
    /// File descriptors that are open now.
    pub open_files_used: Option<u64>,
    /// Bytes of locked memory per user (`RLIMIT_MEMLOCK`).
    pub locked_memory: Option<Limit>,
    /// Whether this kernel charges ring memory to it: Linux 6.14 to 7.1 (and some
    /// of 5.11 and older, which does not show).
    pub rings_charged: bool,
    /// Whether this kernel charges buffers that are registered with many rings only once (6.12):
    /// else it does with each.
    pub buffers_shared: bool,
    /// Whether the process has `CAP_IPC_LOCK`, which frees it from the limit on locked memory.
    pub ipc_lock: Option<bool>,
    /// Mappings per process (`vm.max_map_count`). A ring with mappings of its own takes two.
    pub max_map_count: Option<u64>,
    /// Mappings that there are now.
    pub maps_used: Option<u64>,
    /// Bytes of address space (`RLIMIT_AS`).
    pub address_space: Option<Limit>,
    /// Bytes of address space in use.
    pub address_space_used: Option<u64>,
    /// Bytes of memory that the system has left, counting free swap space: ring memory stays, but
    /// others' can go there.
    pub memory_available: Option<u64>,
    /// `kernel.io_uring_disabled`: 0 on, 1 for the privileged and one group, 2 off. `None` before
    /// Linux 6.6, where it is always on.
    pub io_uring_disabled: Option<u32>,
    /// `kernel.io_uring_group`: the group that 1 leaves io_uring to; -1 is none.
    pub io_uring_group: Option<i64>,
    /// Whether a seccomp filter is on this process, as in a container: it may answer for the
    /// kernel.
    pub seccomp_filter: Option<bool>,
    /// Bytes of a huge page of the default size; `None` where there are none.
    pub huge_page: Option<u64>,
    /// Bytes of such pages that a new mapping may have: set aside, free and not promised to others,
    /// and those that may be made beyond (`vm.nr_overcommit_hugepages`).
    pub huge_pages_free: Option<u64>,
}

impl Limits {
    /// Reads them.
    #[must_use]
    pub fn read() -> Self {
        Self {
            open_files: Limit::of(Resource::RLIMIT_NOFILE),
            open_files_used: open_files(),
            locked_memory: Limit::of(Resource::RLIMIT_MEMLOCK),
            rings_charged: charges_ring_memory(&kernel_release()),
            buffers_shared: kernel_version().is_some_and(|version| version >= (6, 12)),
            ipc_lock: has_ipc_lock(),
            max_map_count: number("/proc/sys/vm/max_map_count"),
            maps_used: maps(),
            address_space: Limit::of(Resource::RLIMIT_AS),
            address_space_used: in_kib("/proc/self/status", "VmSize:"),
            memory_available: memory_available(),
            io_uring_disabled: number("/proc/sys/kernel/io_uring_disabled"),
            io_uring_group: number("/proc/sys/kernel/io_uring_group"),
            seccomp_filter: status("Seccomp:").map(|mode| mode == "2"),
            huge_page: huge_page_size(),
            huge_pages_free: huge_pages_free(),
        }
    }

    /// The limit on locked memory, where it binds this process's rings: `None` with
    /// `CAP_IPC_LOCK`, on a kernel that does not charge for rings, and where there is no limit.
    #[must_use]
    pub fn ring_memory(&self) -> Option<Limit> {
        self.registered_memory().filter(|_| self.rings_charged)
    }

    /// The same of buffers that are registered, which all kernels charge for.
    pub(crate) fn registered_memory(&self) -> Option<Limit> {
        let bound = self.ipc_lock == Some(false);
        self.locked_memory.filter(|limit| bound && limit.soft != Limit::UNLIMITED)
    }

    /// What an errno means that any system call may end with that wants a descriptor, or memory
    /// for a mapping of `bytes`: which limit is in the way.
    pub(crate) fn cause_of(&self, errno: Errno, bytes: u64) -> Cause {
        match errno {
            Errno::EMFILE => {
                Cause::OpenFiles { limit: self.open_files.map_or(0, |limit| limit.soft) }
            }
            Errno::ENFILE => Cause::SystemOpenFiles,
            Errno::ENOMEM => self.no_memory(bytes),
            other => Cause::System { errno: other as i32 },
        }
    }

    fn no_memory(&self, bytes: u64) -> Cause {
        if let (Some(limit), Some(used)) = (self.max_map_count, self.maps_used) {
            // A ring by itself takes two.
            if used + 2 > limit {
                return Cause::Maps { limit, used };
            }
        }
        match (self.address_space, self.address_space_used) {
            (Some(limit), Some(used)) if used.saturating_add(bytes) > limit.soft => {
                Cause::AddressSpace { limit: limit.soft, used }
            }
            _ => Cause::OutOfMemory,
        }
    }
}

/// The error of a system call that wanted a descriptor, or memory for a mapping of `bytes`.
pub(crate) fn refused(what: impl Into<String>, errno: Errno, bytes: usize) -> Error {
    Error::new(what, Limits::read().cause_of(errno, bytes as u64)).with_errno(Some(errno))
}

/// Whether a kernel of this release charges ring memory to the user's locked memory: 6.14 and
/// newer, up to 7.1. 7.2 was seen not to. 5.11 and older charge as well (26bfa89e25f4 ended it),
/// but not the later releases of 5.10, which took 5.15's io_uring over; the release does not tell
/// them apart, so there it is not counted on.
fn charges_ring_memory(release: &str) -> bool {
    version_of(release).is_some_and(|version| ((6, 14)..(7, 2)).contains(&version))
}

#[cfg(feature = "serde")]
fn unless_unlimited<S: serde::Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::Serialize;
    (*value != Limit::UNLIMITED).then_some(value).serialize(serializer)
}

fn number<T: std::str::FromStr>(path: &str) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Descriptors open now, less the one that the counting itself opens.
fn open_files() -> Option<u64> {
    let entries = fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(entries.saturating_sub(1)).ok()
}

fn maps() -> Option<u64> {
    let maps = fs::read("/proc/self/maps").ok()?;
    u64::try_from(maps.iter().filter(|&&byte| byte == b'\n').count()).ok()
}

/// What follows a line's name.
fn line(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
}

fn status(name: &str) -> Option<String> {
    line("/proc/self/status", name)
}

const MEMORY: &str = "/proc/meminfo";

/// A line's value in bytes, of a file that tells kibibytes.
fn in_kib(path: &str, name: &str) -> Option<u64> {
    line(path, name)?.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn memory_available() -> Option<u64> {
    // A kernel without swap may leave its line out.
    Some(in_kib(MEMORY, "MemAvailable:")? + in_kib(MEMORY, "SwapFree:").unwrap_or(0))
}

/// The size of the pages that MAP_HUGETLB gives, in bytes, if the kernel has any.
pub(crate) fn huge_page_size() -> Option<u64> {
    in_kib(MEMORY, "Hugepagesize:")
}

fn huge_pages_free() -> Option<u64> {
    let pages = |name| line(MEMORY, name)?.parse::<u64>().ok();
    let free = pages("HugePages_Free:")?.saturating_sub(pages("HugePages_Rsvd:")?);
    let beyond = number::<u64>("/proc/sys/vm/nr_overcommit_hugepages").unwrap_or(0);
    let more = beyond.saturating_sub(pages("HugePages_Surp:")?);
    free.saturating_add(more).checked_mul(huge_page_size()?)
}

fn has_ipc_lock() -> Option<bool> {
    const CAP_IPC_LOCK: u32 = 14;
    let mask = u64::from_str_radix(&status("CapEff:")?, 16).ok()?;
    Some(mask & (1 << CAP_IPC_LOCK) != 0 && in_initial_user_namespace())
}

/// Elsewhere, as in a rootless container, a process has capabilities that the limit on locked
/// memory does not honour. Where it cannot be told, the capability is believed.
fn in_initial_user_namespace() -> bool {
    fs::read_to_string("/proc/self/uid_map")
        .map_or(true, |map| map.split_whitespace().eq(["0", "0", "4294967295"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn every_limit_that_linux_always_has_is_read() {
        let limits = Limits::read();
        assert!(limits.open_files.unwrap().soft > 0);
        assert!(limits.open_files_used.unwrap() >= 3, "{limits:?}");
        assert!(limits.locked_memory.is_some() && limits.ipc_lock.is_some());
        assert!(limits.max_map_count.unwrap() > limits.maps_used.unwrap());
        assert!(limits.address_space.is_some());
        assert!(limits.address_space_used.unwrap() > 1 << 20, "{limits:?}");
        assert!(limits.memory_available.unwrap() > 1 << 20, "{limits:?}");
    }

    #[test]
    fn locked_memory_is_blamed_only_on_kernels_that_charge_it() {
        let charging = ["6.14.0", "6.18.1-x", "7.0-rc1", "7.1.13"];
        let not = ["5.10.0-32-amd64", "5.12.1", "6.1.0-40-amd64", "6.12.48+deb13", "7.2.13"];
        assert!(charging.into_iter().all(charges_ring_memory));
        assert!(!not.into_iter().any(charges_ring_memory));
    }

    #[test]
    fn an_open_file_is_counted() {
        // Other tests open and close files meanwhile, so far more than they do.
        let before = open_files().unwrap();
        let files: Vec<_> = (0..200).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        assert!(open_files().unwrap() >= before + 100);
        drop(files);
    }
}
