//! A user without privileges, whose locked memory is nobody else's.

use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid, geteuid, setgroups, setresgid, setresuid};

/// Users of their own, one a test, so that nothing else counts against their locked memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Somebody(pub(crate) u32);

impl Somebody {
    /// In a child: becomes this user, who may lock so many bytes.
    pub(crate) fn with_locked_memory(self, bytes: u64) {
        // While root still: before Linux 5.16 the hard limit that it may raise is 64 KiB.
        setrlimit(Resource::RLIMIT_MEMLOCK, bytes, bytes).unwrap();
        self.in_group(self.0);
    }

    /// In a child: becomes this user, in the group of that number.
    pub(crate) fn in_group(self, group: u32) {
        let (uid, gid) = (Uid::from_raw(self.0), Gid::from_raw(group));
        setgroups(&[]).unwrap();
        setresgid(gid, gid, gid).unwrap();
        setresuid(uid, uid, uid).unwrap();
        // A test that fails does not wait for its children. A change of user undoes this.
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    /// Whether this process may become somebody else, said aloud if not.
    pub(crate) fn possible(test: &str) -> bool {
        let possible = geteuid().is_root()
            && super::in_child(|| Self(61_899).with_locked_memory(0)).succeeded();
        if !possible {
            super::cannot(test, "only root can become another user");
        }
        possible
    }
}
