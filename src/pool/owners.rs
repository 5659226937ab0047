//! Which processes live: whom a slot may be taken from.
//!
//! Each process that claims from a pool takes a number, and keeps a record lock on the byte of
//! that number in a memfd. The kernel drops the lock when the process ends, however it ends. So a
//! held slot whose number nobody has locked is a dead process's. Process ids could not tell: they
//! are given out again.
//!
//! That says nothing of requests that the dead had in flight: on a ring that relatives have open,
//! too, they live on and complete when they will. A dead holder's slot is of use again only because
//! it gets new pages and a new ring.
//!
//! Record locks belong to a process, not to a descriptor: a forked child inherits none, and takes
//! a number of its own when it first claims. A process that closes the memfd behind the pool's
//! back, as `close_range(2)` does, has closed its rings with it.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{self, flock};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::slots::HOLDERS;
use crate::error::{Error, Result};
use crate::limits::refused;
use crate::process::Process;

/// The locks of a pool's processes, and this one's number.
#[derive(Debug)]
pub(super) struct Owners {
    /// `None` where the system has no memfd for us: then nobody is ever taken for dead.
    locks: Option<OwnedFd>,
    /// The process that `number` is of: after a fork, the parent.
    enrolled: AtomicU64,
    number: AtomicU32,
    /// The process of which a thread is taking a number just now. Not a mutex: a child that was
    /// forked at that moment must not wait for a thread that it does not have.
    enrolling: AtomicU64,
}

impl Owners {
    pub(super) fn new() -> Result<Self> {
        let locks = match memfd_create(c"uring-pool owners", MFdFlags::MFD_CLOEXEC) {
            Ok(locks) => Some(locks),
            // A filter, or a rule about memfds that may be run (`vm.memfd_noexec`).
            Err(Errno::EPERM | Errno::EACCES | Errno::ENOSYS) => None,
            Err(errno) => {
                return Err(refused("cannot make a file for the pool's locks", errno, 0));
            }
        };
        Ok(Self {
            locks,
            enrolled: AtomicU64::new(0),
            number: AtomicU32::new(0),
            enrolling: AtomicU64::new(0),
        })
    }

    /// This process's number, if it has taken one.
    #[inline]
    pub(super) fn me(&self) -> Option<u32> {
        let ours = self.enrolled.load(Acquire) == Process::current().to_bits();
        ours.then(|| self.number.load(Relaxed))
    }

    /// This process's number; at the first call in a process it takes one, the next that nobody
    /// living has. `next` counts the numbers that all processes have asked for; `bury` is told of
    /// a number that has been given out before, before anybody uses it again: slots may still bear
    /// it, of a process that died long ago.
    pub(super) fn enrol(&self, next: impl Fn() -> u64, bury: impl Fn(u32)) -> Result<u32> {
        let process = Process::current().to_bits();
        loop {
            if let Some(number) = self.me() {
                return Ok(number);
            }
            let at_it = self.enrolling.load(Acquire);
            if at_it == process {
                // Another thread: it will have done in a moment.
                std::thread::yield_now();
            } else if self.enrolling.compare_exchange(at_it, process, AcqRel, Relaxed).is_ok() {
                // It may have done just before. A process has one number, or it would take its
                // own slots for a dead one's: its own locks never show.
                let result = self.me().map_or_else(|| self.take_number(next, bury), Ok);
                self.enrolling.store(0, Release);
                return result;
            }
        }
    }

    fn take_number(&self, next: impl Fn() -> u64, bury: impl Fn(u32)) -> Result<u32> {
        let numbers = u64::from(HOLDERS) - 1;
        loop {
            let count = next();
            // 0 is nobody's.
            let number = (count % numbers) as u32 + 1;
            let locked = match &self.locks {
                Some(locks) => fcntl(locks, FcntlArg::F_SETLK(&record(number))).map(drop),
                None => Ok(()),
            };
            match locked {
                Ok(()) => {
                    if count >= numbers && self.locks.is_some() {
                        bury(number);
                    }
                    self.number.store(number, Relaxed);
                    self.enrolled.store(Process::current().to_bits(), Release);
                    return Ok(number);
                }
                // Of a process that has outlived all the numbers.
                Err(Errno::EAGAIN | Errno::EACCES) => {}
                Err(errno) => {
                    return Err(Error::system("cannot enrol this process with the pool", errno));
                }
            }
        }
    }

    /// The id of the living process that has this number, 0 if it is not known; `None` if none
    /// lives.
    pub(super) fn living(&self, number: u32) -> Option<u32> {
        let Some(locks) = &self.locks else { return Some(0) };
        let mut lock = record(number);
        match fcntl(locks, FcntlArg::F_GETLK(&mut lock)) {
            // One's own locks are never in one's way, so for oneself this says nothing.
            Ok(_) if lock.l_type == libc::F_UNLCK as libc::c_short => {
                (self.me() == Some(number)).then(std::process::id)
            }
            Ok(_) => Some(u32::try_from(lock.l_pid).unwrap_or(0)),
            // Where it cannot be told, nothing is taken from anybody.
            Err(_) => Some(0),
        }
    }
}

/// A lock on the byte of this number; the file need not be so long.
fn record(number: u32) -> flock {
    flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: number.into(),
        l_len: 1,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(from: u64) -> impl Fn() -> u64 {
        let count = AtomicU64::new(from);
        move || count.fetch_add(1, Relaxed)
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_process_takes_one_number_however_many_threads_ask() {
        let owners = Owners::new().unwrap();
        let next = counter(0);
        let numbers: Vec<u32> = std::thread::scope(|scope| {
            let ask = || owners.enrol(&next, |_| panic!("no number is given out again")).unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(numbers.iter().all(|&number| number == numbers[0] && number != 0), "{numbers:?}");
        assert_eq!(owners.living(numbers[0]), Some(std::process::id()));
        assert_eq!(owners.living(numbers[0] + 1), None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn numbers_that_begin_again_are_buried_before_they_are_used() {
        let owners = Owners::new().unwrap();
        let buried = AtomicU32::new(0);
        let count = counter(3 * (u64::from(HOLDERS) - 1) + 41);
        let number = owners
            .enrol(count, |number| {
                assert_eq!(owners.me(), None, "nobody uses it yet");
                buried.store(number, Relaxed);
            })
            .unwrap();
        assert_eq!((number, buried.into_inner()), (42, 42));
    }
}
