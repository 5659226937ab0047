//! Which thread this is, for what the kernel keeps by thread.

use std::cell::Cell;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// A thread of this process: compares unequal to all others that there ever were in it. Of a forked
/// child's, nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thread(u64);

impl Thread {
    /// The calling thread. Asks the kernel nothing.
    #[inline]
    pub(crate) fn current() -> Self {
        thread_local! {
            /// 0 before it is asked for. The address would not do: threads to come have it, too.
            static NUMBER: Cell<u64> = const { Cell::new(0) };
        }
        NUMBER.with(|number| {
            if number.get() == 0 {
                static LAST: AtomicU64 = AtomicU64::new(0);
                number.set(LAST.fetch_add(1, Relaxed) + 1);
            }
            Self(number.get())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_itself_and_no_other_even_after_that_has_ended() {
        let here = Thread::current();
        assert_eq!(here, Thread::current());
        let mut seen = vec![here];
        for _ in 0..10 {
            let other = std::thread::spawn(Thread::current).join().unwrap();
            assert!(!seen.contains(&other));
            seen.push(other);
        }
    }
}
