//! A buffer that begins where direct I/O wants it to.
//!
//! This room may hold `unsafe`: it allocates by hand. It guarantees that the bytes are allocated, set,
//! and freed as they were allocated, for as long as the buffer lives.
#![allow(unsafe_code)]

use std::alloc::{self, Layout};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

use super::{Buf, BufMut};

/// Bytes on the heap that begin at a multiple of a power of two, zeroes at first.
///
/// For files opened with `O_DIRECT`: the buffer's address, its length and the offset in the file must
/// then be multiples of what the file system and its device ask for. 4096 is enough for most;
/// [statx(2)](https://man7.org/linux/man-pages/man2/statx.2.html) tells, from Linux 6.1 on
/// (`STATX_DIOALIGN`).
///
/// The device writes to the very pages of the buffer. Before Linux 6.5 they may be the child's after
/// a fork, and what was read arrives there
/// ([open(2)](https://man7.org/linux/man-pages/man2/open.2.html), notes): do not fork meanwhile.
///
/// ```
/// # use uring_pool::AlignedBuf;
/// let mut page = AlignedBuf::new(8192, 4096);
/// assert!(page.as_ptr().addr() % 4096 == 0);
/// page[..5].copy_from_slice(b"bytes");
/// ```
pub struct AlignedBuf {
    at: NonNull<u8>,
    layout: Layout,
}

// SAFETY: its bytes are its own, wherever it is dropped: the heap is every thread's.
unsafe impl Send for AlignedBuf {}
// SAFETY: through `&AlignedBuf` its bytes are only read.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// `len` zeroes, the first of them at a multiple of `align`. Without any, it takes no memory.
    ///
    /// Where there is no memory the program ends, as it does for a `Vec`.
    ///
    /// # Panics
    /// If `align` is no power of two, or if `len`, rounded up to a multiple of it, is more than
    /// `isize::MAX`.
    #[must_use]
    pub fn new(len: usize, align: usize) -> Self {
        assert!(align.is_power_of_two(), "an alignment is a power of two, not {align}");
        let Ok(layout) = Layout::from_size_align(len, align) else {
            panic!("no buffer is as long as {len} bytes, aligned to {align}")
        };
        let at = match len {
            0 => ptr::without_provenance_mut(align),
            // SAFETY: the layout is not of size zero.
            _ => unsafe { alloc::alloc_zeroed(layout) },
        };
        let Some(at) = NonNull::new(at) else { alloc::handle_alloc_error(layout) };
        Self { at, layout }
    }

    /// What its address is a multiple of.
    #[must_use]
    pub fn align(&self) -> usize {
        self.layout.align()
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: so many bytes were allocated there, and initialised; they are this value's alone,
        // which is borrowed.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.layout.size()) }
    }
}

impl DerefMut for AlignedBuf {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; it is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), self.layout.size()) }
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        if self.layout.size() > 0 {
            // SAFETY: allocated with this layout, and freed once.
            unsafe { alloc::dealloc(self.at.as_ptr(), self.layout) }
        }
    }
}

// SAFETY: the bytes are on the heap, where they stay when the value is moved; it owns them alone,
// and there are always as many.
unsafe impl Buf for AlignedBuf {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.at.as_ptr()
    }

    #[inline]
    fn len(&self) -> usize {
        self.layout.size()
    }
}

// SAFETY: as above; it is the same address.
unsafe impl BufMut for AlignedBuf {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.at.as_ptr()
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuf")
            .field("len", &self.layout.size())
            .field("align", &self.layout.align())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_begins_where_it_is_told_to_with_zeroes_and_stays_there() {
        for align in (0..=21).map(|bit| 1 << bit) {
            for len in [0, 1, 511, 4096, 10_000] {
                let mut buf = AlignedBuf::new(len, align);
                let at = buf.stable_mut_ptr().addr();
                assert_eq!((at % align, buf.align()), (0, align), "{len} bytes");
                assert_eq!(*buf, vec![0; len][..]);
                buf.fill(7);
                let moved = Box::new(buf);
                assert_eq!((moved.stable_ptr().addr(), moved.len()), (at, len));
                assert_eq!(**moved, vec![7; len][..]);
            }
        }
    }

    #[test]
    fn one_that_cannot_be_is_refused_before_memory_is_asked_for() {
        for (len, align) in
            [(16, 0), (16, 3), (0, 12), (usize::MAX, 1), (isize::MAX as usize, 4096)]
        {
            let new = std::panic::catch_unwind(|| AlignedBuf::new(len, align));
            assert!(new.is_err(), "{len} bytes, aligned to {align}");
        }
    }

    #[test]
    fn it_goes_to_other_threads_as_a_boxed_slice_does_and_keeps_its_content_to_itself() {
        let mut buf = AlignedBuf::new(3, 512);
        buf.copy_from_slice(b"abc");
        let shared = &buf;
        std::thread::scope(|scope| scope.spawn(|| assert_eq!(**shared, *b"abc")).join().unwrap());
        let buf = std::thread::spawn(move || buf).join().unwrap();
        assert_eq!(format!("{buf:?}"), "AlignedBuf { len: 3, align: 512, .. }");
    }
}
