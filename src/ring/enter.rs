//! What only the kernel can do: submitting, and waiting.
#![allow(unsafe_code)]

use std::time::{Duration, Instant};

use liburing_sys as sys;
use nix::errno::Errno;

use super::by_poll;
use super::extra::Timespec;
use super::home::Held;
use super::queues::Cqe;
use crate::operations::Features;
use crate::setup::result_of;

/// How a wait ended that no signal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    Enough,
    TimeOver,
}

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
        // SAFETY: the ring is open, and `&mut self` makes us its only user.
        result_of(unsafe { sys::io_uring_submit(self.ring.raw_mut()) })
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

    /// `io_uring_enter(2)` with `IORING_ENTER_GETEVENTS`, submitting nothing. A time needs
    /// `IORING_FEAT_EXT_ARG`; `ETIME` says that it is over.
    fn get_events(&mut self, n: u32, time: Option<Duration>) -> Result<(), Errno> {
        const GETEVENTS: libc::c_uint = 1 << 0;
        const EXT_ARG: libc::c_uint = 1 << 3;
        let fd = self.ring.fd();
        let Some(time) = time else {
            let no_mask = std::ptr::null::<libc::sigset_t>();
            // SAFETY: the ring is open and ours alone; nothing is submitted, no signal mask given.
            let returned = unsafe {
                libc::syscall(libc::SYS_io_uring_enter, fd, 0u32, n, GETEVENTS, no_mask, 0usize)
            };
            return Errno::result(returned).map(drop);
        };
        let time = Timespec::from(time);
        let at = std::ptr::from_ref(&time).expose_provenance() as u64;
        let arg = GetEventsArg { sigmask: 0, sigmask_len: 0, min_wait: 0, time: at };
        let (flags, size) = (GETEVENTS | EXT_ARG, size_of::<GetEventsArg>());
        // SAFETY: as above; the argument and the time that it points to are locals, read during
        // the call.
        let returned = unsafe {
            libc::syscall(libc::SYS_io_uring_enter, fd, 0u32, n, flags, &raw const arg, size)
        };
        Errno::result(returned).map(drop)
    }
}
