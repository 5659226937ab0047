//! What only the kernel can do: submitting, and waiting.
//!
//! This room may hold `unsafe`: it makes the one system call of the hot path. It guarantees that it is
//! for this ring, whichever thread calls, and that its argument outlives the call.
#![allow(unsafe_code)]

use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::by_poll;
use super::extra::Timespec;
use super::home::Held;
use super::queues::Cqe;
use crate::operations::Features;

/// How a wait ended that no signal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    Enough,
    TimeOver,
}

/// `IORING_ENTER_*`.
const GETEVENTS: libc::c_uint = 1 << 0;
const EXT_ARG: libc::c_uint = 1 << 3;

/// `struct io_uring_getevents_arg`.
#[repr(C)]
struct GetEventsArg {
    sigmask: u64,
    sigmask_len: u32,
    min_wait: u32,
    time: u64,
}

impl Held {
    /// Submits what is prepared, and returns how many SQEs the kernel consumed.
    #[inline]
    pub(super) fn submit(&mut self) -> Result<u32, Errno> {
        let Self { ring, queues, .. } = self;
        match queues.publish(ring.raw_mut()) {
            0 => Ok(0),
            prepared => self.enter(prepared, 0, 0, None),
        }
    }

    /// The same, and waits until `n` completions are there.
    #[inline]
    pub(super) fn submit_and_wait(&mut self, n: u32) -> Result<u32, Errno> {
        let Self { ring, queues, .. } = self;
        let prepared = queues.publish(ring.raw_mut());
        self.enter(prepared, n, GETEVENTS, None)
    }

    /// Enters the kernel if it says that completions wait for that: work deferred to this task
    /// (`TASKRUN_FLAG`), or an overflown CQ. An error is none here: waiting will meet it again.
    ///
    /// By hand, since liburing 2.1 and older know only of the latter.
    pub(super) fn let_the_kernel_post(&mut self) {
        const CQ_OVERFLOW: u32 = 1 << 1;
        const TASKRUN: u32 = 1 << 2;
        if self.queues.flags() & (CQ_OVERFLOW | TASKRUN) != 0 {
            let _ = self.get_events(0, None);
        }
    }

    /// Enters the kernel until `n` completions are there, or the deadline is reached. `EINTR` says
    /// that there are fewer: a signal came.
    ///
    /// When a timeout request fires, the kernel ends a wait as it does for a signal; whether a
    /// completion is such a one, `fired` says. (Should a signal come at the same moment, it does
    /// not end the wait.)
    ///
    /// By hand, since liburing's own waiting goes on after a signal if one completion has come.
    pub(super) fn wait(
        &mut self,
        n: u32,
        deadline: Option<Instant>,
        mut fired: impl FnMut(Cqe) -> bool,
    ) -> Result<Waited, Errno> {
        loop {
            let before = self.queues.cq_ready();
            if before >= n {
                return Ok(Waited::Enough);
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let over = match left {
                Some(Duration::ZERO) => self.get_events(0, None).map(|()| true),
                Some(left) => self.wait_a_while(n, left),
                None => self.get_events(n, None).map(|()| false),
            }?;
            if self.queues.cq_ready() >= n {
                return Ok(Waited::Enough);
            }
            if over || deadline.is_some_and(|at| at <= Instant::now()) {
                return Ok(Waited::TimeOver);
            }
            // With some completions there, the kernel does not tell that a signal ended the wait.
            if !self.queues.waiting().skip(before as usize).any(&mut fired) {
                return Err(Errno::EINTR);
            }
        }
    }

    /// Whether the time was over.
    fn wait_a_while(&mut self, n: u32, time: Duration) -> Result<bool, Errno> {
        let waited = if self.ring.features() & Features::EXT_ARG.bits() != 0 {
            self.get_events(n, Some(time))
        } else {
            let fd = self.ring.fd();
            by_poll::wait(fd, time, || self.queues.cq_ready() >= n)
        };
        match waited {
            Err(Errno::ETIME) => Ok(true),
            waited => waited.map(|()| false),
        }
    }

    /// Submits nothing. A time needs `IORING_FEAT_EXT_ARG`; `ETIME` says that it is over.
    fn get_events(&mut self, n: u32, time: Option<Duration>) -> Result<(), Errno> {
        let Some(time) = time else {
            return self.enter(0, n, GETEVENTS, None).map(drop);
        };
        let time = Timespec::from(time);
        let at = std::ptr::from_ref(&time).expose_provenance() as u64;
        let arg = GetEventsArg { sigmask: 0, sigmask_len: 0, min_wait: 0, time: at };
        self.enter(0, n, GETEVENTS | EXT_ARG, Some(&arg)).map(drop)
    }

    /// `io_uring_enter(2)`; an argument needs the flag `EXT_ARG`.
    ///
    /// By hand, since which number the ring has differs from thread to thread, which liburing does
    /// not ask; and with it one function less is called.
    #[inline]
    fn enter(
        &mut self,
        submit: u32,
        n: u32,
        flags: libc::c_uint,
        arg: Option<&GetEventsArg>,
    ) -> Result<u32, Errno> {
        let (fd, registered) = self.number();
        let size = if arg.is_some() { size_of::<GetEventsArg>() } else { 0 };
        let arg = arg.map_or(std::ptr::null(), std::ptr::from_ref);
        let (number, flags) = (libc::SYS_io_uring_enter, flags | registered);
        // SAFETY: the ring is open, and `&mut self` makes us its only user; the argument, and the
        // time that it points to, are the caller's, and read during the call.
        let returned = unsafe { libc::syscall(number, fd, submit, n, flags, arg, size) };
        Errno::result(returned).map(|n| n as u32)
    }
}
