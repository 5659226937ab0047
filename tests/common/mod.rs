//! What several of the tests need.
#![allow(dead_code)]

pub(crate) mod counted;
pub(crate) mod direct;
pub(crate) mod live;
pub(crate) mod memory;
pub(crate) mod refused;
pub(crate) mod registered;
pub(crate) mod relatives;
pub(crate) mod rings;
pub(crate) mod sanitizer;
pub(crate) mod seccomp;
pub(crate) mod silent;
pub(crate) mod socket;
pub(crate) mod somebody;

use uring_pool::{Cause, PgAioUringCaps, RingConfig, RingPool, Route};

pub(crate) fn config(entries: u32) -> RingConfig {
    RingConfig::new(entries).unwrap()
}

/// The routes that work here, best first: at least `separate`.
pub(crate) fn routes_here(config: &RingConfig) -> Vec<Route> {
    let caps = PgAioUringCaps::check(config).unwrap();
    Route::ALL
        .into_iter()
        .skip_while(|&route| route != caps.route())
        .filter(|route| caps.refusals().iter().all(|refusal| refusal.route() != *route))
        .collect()
}

/// A pool whose rings all take this route.
pub(crate) fn pool_by(route: Route, config: RingConfig, rings: usize) -> RingPool {
    RingPool::builder(config).rings(rings).routes(&[route]).build().unwrap()
}

/// The system's page size.
pub(crate) fn page() -> usize {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).unwrap().unwrap() as usize
}

/// Lines of `/proc/self/maps`. Under a sanitizer, whose allocator maps as it likes, only those of
/// shared memory, such as all that this library maps is.
pub(crate) fn maps() -> usize {
    let all = std::fs::read_to_string("/proc/self/maps").unwrap();
    let sanitized = sanitizer::sanitizer().is_some();
    let shared = |line: &str| line.split(' ').nth(1).is_some_and(|mode| mode.ends_with('s'));
    all.lines().filter(|line| !sanitized || shared(line)).count()
}

/// The running kernel's version.
pub(crate) fn kernel() -> (u32, u32) {
    let release = uring_pool::kernel_release();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// Open descriptors.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// What a test cannot do here, said aloud; where everything must be tested, a failure.
pub(crate) fn cannot(test: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{test} cannot run, but must in CI: {why}");
    eprintln!("NOT TESTED: {test}: {why}");
}

/// Whether this kernel knows wider SQEs and CQEs.
pub(crate) fn wide_entries() -> bool {
    let refused = PgAioUringCaps::check(&config(1).sqe128().cqe32())
        .is_err_and(|error| error.cause() == Cause::ConfigRefused);
    if refused {
        cannot("SQE128 and CQE32", "need Linux 5.19");
    }
    !refused
}

/// Runs `body` in a forked child and returns whether it ended well. The child leaves without
/// dropping anything of its parent's.
#[allow(unsafe_code)]
pub(crate) fn in_child(body: impl FnOnce()) -> Child {
    use nix::unistd::{ForkResult, fork};
    // SAFETY: the child runs what the test gives it, which allocates (glibc's allocator is made
    // fit for that at fork) and uses no lock that another test's thread may hold.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => Child(Some(child)),
        ForkResult::Child => {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            if let Err(failed) = &ended {
                // What the harness keeps of a failed test is in here, where nobody reads it. (Not by a
                // hook: another thread's panic may hold the lock that changing it takes.)
                let said = failed.downcast_ref::<String>().map(String::as_str);
                let said = said.or_else(|| failed.downcast_ref::<&str>().copied());
                let line = format!("a child: {}\n", said.unwrap_or("panicked"));
                let _ = nix::unistd::write(std::io::stderr(), line.as_bytes());
            }
            // SAFETY: ends this process at once, without the parent's exit handlers.
            unsafe { nix::libc::_exit(i32::from(ended.is_err())) }
        }
    }
}

/// A child to wait for, or to kill. Dropped, as when a test fails, it is killed: it might never end.
#[must_use]
pub(crate) struct Child(Option<nix::unistd::Pid>);

impl Child {
    pub(crate) fn id(&self) -> u32 {
        self.0.expect("not waited for yet").as_raw() as u32
    }

    pub(crate) fn succeeded(mut self) -> bool {
        use nix::sys::wait::{WaitStatus, waitpid};
        let id = self.0.take().expect("waited for once");
        waitpid(id, None).unwrap() == WaitStatus::Exited(id, 0)
    }

    /// Whether it runs still; not to be asked again if not.
    pub(crate) fn lives(&mut self) -> bool {
        use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
        let Some(id) = self.0 else { return false };
        let lives = waitpid(id, Some(WaitPidFlag::WNOHANG)).unwrap() == WaitStatus::StillAlive;
        if !lives {
            self.0 = None;
        }
        lives
    }

    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(id) = self.0.take() {
            nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL).unwrap();
            nix::sys::wait::waitpid(id, None).unwrap();
        }
    }
}
