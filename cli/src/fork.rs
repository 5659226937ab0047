//! Forking, and knowing what became of the child.
//!
//! A child of a process with several threads may do next to nothing before it ends: locks that
//! another thread held are never released in it. So a fork here needs the proof that there is one
//! thread, [`OneThread`]. The child is then as free as any process; it runs the closure it is
//! given, and leaves by `_exit`, so that nothing of the parent's is flushed or dropped twice. That much
//! this room guarantees, which may hold `unsafe`.
#![allow(unsafe_code)]

use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};
use uring_pool::Ring;

/// The process has one thread. It stays true while the proof is kept, because nothing in this
/// program starts one: the progress bar is drawn by the thread that works.
#[derive(Debug)]
pub(crate) struct OneThread(PhantomData<*const ()>);

impl OneThread {
    /// Counts the threads.
    pub(crate) fn check() -> io::Result<Self> {
        let threads = std::fs::read_dir("/proc/self/task")?.count();
        if threads == 1 {
            Ok(Self(PhantomData))
        } else {
            Err(io::Error::other(format!("{threads} threads run in this process, 1 may")))
        }
    }
}

/// The code of a child that panicked.
const PANICKED: u8 = 101;

/// A child process. Dropped before it was waited for, it is killed.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Option<Pid>,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Exited(i32),
    Panicked,
    Killed(Signal),
}

/// Starts a child that runs `work` and exits with the code it returns.
pub(crate) fn fork(_: &OneThread, work: impl FnOnce() -> u8) -> Result<Child, Errno> {
    // SAFETY: there is one thread, so no lock is held by another and the child may do anything.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Child { pid: Some(child) }),
        ForkResult::Child => {
            // Unwinding further would run the parent's destructors here.
            let code = catch_unwind(AssertUnwindSafe(work)).unwrap_or(PANICKED);
            // SAFETY: ends the process at once, and touches no memory.
            unsafe { libc::_exit(code.into()) }
        }
    }
}

/// Makes an inherited ring this child's own: each worker takes the one of its number, and its
/// parent leaves all of them alone, and drops them when the workers have ended.
pub(crate) fn adopt<B>(ring: &mut Ring<B>) -> uring_pool::Result<()> {
    // SAFETY: as above. (`demo::crew` hands out the numbers.)
    unsafe { ring.adopt() }
}

impl Child {
    /// Waits until it has ended.
    pub(crate) fn wait(mut self) -> Result<Ending, Errno> {
        let pid = self.pid.take().expect("waited for once");
        reap(pid)
    }
}

fn reap(pid: Pid) -> Result<Ending, Errno> {
    loop {
        match waitpid(pid, None) {
            Ok(WaitStatus::Exited(_, code)) if code == i32::from(PANICKED) => {
                return Ok(Ending::Panicked);
            }
            Ok(WaitStatus::Exited(_, code)) => return Ok(Ending::Exited(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Ending::Killed(signal)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(pid) = self.pid.take() {
            // It may have ended by itself already; until it is reaped the number is still its own.
            let _ = kill(pid, Signal::SIGKILL);
            let _ = reap(pid);
        }
    }
}
