//! Which process this is, so that what a fork copied is not taken for one's own.
//!
//! This room may hold `unsafe`: it asks to be told of forks. A process id does not do: an id is given
//! out again when its process has ended, perhaps to a grandchild of that process, which then has a
//! copy of all that its grandparent noted under the same id; in a process id namespace of its own a
//! child may have its parent's id; and asking for it is a system call.
//!
//! It guarantees that what runs in a forked child only adds to an atomic.
#![allow(unsafe_code)]

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use once_cell::race::OnceBool;

/// A process: compares unequal to all of its ancestors. Nothing is said of other relatives.
///
/// It is a count that grows with every fork since the ancestor that first asked. A child that `clone(2)`
/// makes behind the C library's back is not counted, and taken for its parent; what such a child
/// may do at all is its maker's `unsafe` to answer for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(u32);

static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn in_child() {
    FORKS.fetch_add(1, Relaxed);
}

impl Process {
    /// The calling process. Asks the kernel nothing.
    #[inline]
    pub(crate) fn current() -> Self {
        // Threads that ask for the first time at once may be told of forks twice: a fork then counts
        // for two, which compares no less unequal.
        static WATCHED: OnceBool = OnceBool::new();
        WATCHED.get_or_init(|| {
            // SAFETY: the handler runs in a forked child, and only adds to an atomic, which is
            // allowed there.
            let refused = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
            // Whoever cannot tell a child from its parent must not go on: both would use its rings.
            assert_eq!(refused, 0, "pthread_atfork: no memory to be told of forks");
            true
        });
        Self(FORKS.load(Relaxed))
    }

    /// Whether the caller is a child that was forked since.
    #[inline]
    pub(crate) fn is_ancestor(self) -> bool {
        FORKS.load(Relaxed) != self.0
    }

    /// As one word, never 0.
    #[inline]
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.0) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_child_is_another_process_even_if_it_had_its_parents_id() {
        let parent = Process::current();
        assert_eq!(parent, Process::current());
        assert!(!parent.is_ancestor() && parent.to_bits() != 0);
        // SAFETY: the child only compares numbers and leaves.
        match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            }
            ForkResult::Child => {
                let other = Process::current() != parent && parent.is_ancestor();
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(i32::from(!other)) }
            }
        }
    }
}
