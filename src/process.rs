//! Which process this is, so that what a fork copied is not taken for one's own.
//!
//! This room may hold `unsafe`: it asks to be told of forks. A process id alone does not do: an
//! id is given out again when its process has ended, perhaps to a grandchild of that process,
//! which then has a copy of all that its grandparent noted under the same id; and in a process id
//! namespace of its own a child may have its parent's id.
#![allow(unsafe_code)]

use std::sync::Once;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// A process: compares unequal to all of its ancestors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    id: u32,
    /// How many forks lie between it and the ancestor that first asked. (One that `clone(2)` made
    /// behind the C library's back is not counted, and known by its id alone.)
    depth: u32,
}

static DEPTH: AtomicU32 = AtomicU32::new(0);

extern "C" fn in_child() {
    DEPTH.fetch_add(1, Relaxed);
}

impl Process {
    /// The calling process.
    pub(crate) fn current() -> Self {
        static WATCH: Once = Once::new();
        WATCH.call_once(|| {
            // SAFETY: the handler runs in a forked child, and only adds to an atomic, which is
            // allowed there. Should it not be taken (ENOMEM), the id has to do.
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        });
        Self { id: std::process::id(), depth: DEPTH.load(Relaxed) }
    }

    /// Whether the caller is a child that was forked since. Cheap: it asks the kernel nothing.
    pub(crate) fn is_ancestor(self) -> bool {
        DEPTH.load(Relaxed) != self.depth
    }

    /// Its id, as it sees itself.
    pub(crate) fn id(self) -> u32 {
        self.id
    }

    /// As one word, never 0.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.depth) << 32 | u64::from(self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    #[test]
    fn a_child_is_another_process_even_if_it_had_its_parents_id() {
        let parent = Process::current();
        assert_eq!(parent, Process::current());
        // SAFETY: the child only compares numbers and leaves.
        match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            }
            ForkResult::Child => {
                let child = Process::current();
                let other = child != parent && child.depth != parent.depth && parent.is_ancestor();
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(i32::from(!other)) }
            }
        }
    }
}
