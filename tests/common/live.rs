//! An allocator that counts what is alive, exactly.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, and a count of what each thread has made less what it has freed:
/// the test harness has a thread of its own, which allocates when it likes.
pub(crate) struct Live;

/// Allocations and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Alive(isize, isize);

thread_local! {
    // Neither made lazily nor dropped: that would allocate.
    static ALIVE: Cell<Alive> = const { Cell::new(Alive(0, 0)) };
    static MADE: Cell<usize> = const { Cell::new(0) };
}

impl Live {
    /// What this thread has made and not freed.
    pub(crate) fn here() -> Alive {
        ALIVE.get()
    }

    /// How many allocations this thread has made, freed since or not.
    pub(crate) fn made() -> usize {
        MADE.get()
    }

    fn count(allocations: isize, bytes: isize) {
        if bytes > 0 {
            MADE.set(MADE.get() + 1);
        }
        let Alive(all, sum) = ALIVE.get();
        ALIVE.set(Alive(all + allocations, sum + bytes));
    }
}

/// No allocation is larger than this holds (`Layout`).
fn signed(bytes: usize) -> isize {
    bytes as isize
}

// SAFETY: all that is asked of an allocator the system's does; counting allocates nothing.
unsafe impl GlobalAlloc for Live {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(1, signed(layout.size()));
        // SAFETY: forwarded to the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(1, signed(layout.size()));
        // SAFETY: forwarded to the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        Self::count(-1, -signed(layout.size()));
        // SAFETY: forwarded to the caller.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(0, signed(size) - signed(layout.size()));
        // SAFETY: forwarded to the caller.
        unsafe { System.realloc(at, layout, size) }
    }
}
