//! One shared mapping: where a pool's rings lie.
//!
//! This room may hold `unsafe`: it maps, unmaps and replaces pages. It guarantees that the memory
//! between [`Region::base`] and its end stays mapped, shared over fork and zeroed until first
//! written, for as long as the `Region` lives, and gives out addresses only inside it.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munlock, munmap};

use crate::error::{Error, Result};

/// A piece of shared memory, one line in `/proc/self/maps`.
#[derive(Debug)]
pub(crate) struct Region {
    base: NonNull<c_void>,
    len: NonZeroUsize,
}

// SAFETY: a region is an address and a length; it gives nobody a reference into its memory, and
// unmapping from another thread than the one that mapped is what munmap(2) allows.
unsafe impl Send for Region {}
// SAFETY: through `&Region` only addresses are had, and `replace_pages`, which the kernel
// serialises.
unsafe impl Sync for Region {}

impl Region {
    /// Maps `len` bytes, shared and anonymous: children inherit the very same pages, where with
    /// MAP_PRIVATE a child's submission would go unnoticed.
    pub(crate) fn anonymous(len: usize) -> Result<Self> {
        let size = NonZeroUsize::new(len).expect("a pool's mapping has at least its header");
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let base = unsafe {
            mmap_anonymous(
                None,
                size,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
            )
        }
        .map_err(|errno| Error::system(format!("cannot map {len} bytes"), errno))?;
        let region = Self { base, len: size };
        // A hole punched into a huge page leaves the page where it is, with whoever writes to it.
        // Kernels without huge pages refuse the advice, and need none.
        // SAFETY: advice about our own mapping, which changes none of its bytes.
        let _ = unsafe { madvise(base, len, MmapAdvise::MADV_NOHUGEPAGE) };
        Ok(region)
    }

    /// Where it begins: page-aligned.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base.cast()
    }

    /// The address `offset` bytes in. Panics unless `len` bytes follow it in the region.
    pub(crate) fn at(&self, offset: usize, len: usize) -> NonNull<u8> {
        let end = offset.checked_add(len).expect("offset and length fit an address");
        assert!(end <= self.len.get(), "{offset} + {len} of {}", self.len);
        // SAFETY: `offset` lies inside the mapping, as was just checked.
        unsafe { self.base().add(offset) }
    }

    /// Bytes mapped.
    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    /// Gives a range new, zeroed pages. Whoever pinned the old ones, a closed ring that still has
    /// requests to finish, keeps writing to those, where nobody sees it.
    ///
    /// Every process that has the region mapped sees the new pages. Contents are lost, so nobody
    /// may be using the range.
    pub(crate) fn replace_pages(&self, offset: usize, len: usize) -> Result<()> {
        let at = self.at(offset, len);
        // SAFETY: the range lies inside our own mapping, and the caller has it to itself, so no
        // reference or ring relies on what it holds. MADV_REMOVE punches a hole in the shared
        // memory behind it; the mapping stays.
        let punch = || unsafe { madvise(at.cast(), len, MmapAdvise::MADV_REMOVE) };
        let punched = punch().or_else(|errno| match errno {
            // What mlockall(2) has locked cannot be punched.
            Errno::EINVAL => {
                // SAFETY: our own mapping; it only may be swapped out, which it may by default.
                unsafe { munlock(at.cast(), len) }?;
                punch()
            }
            errno => Err(errno),
        });
        punched
            .map_err(|errno| Error::system(format!("cannot replace {len} bytes of memory"), errno))
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the range is what was mapped, and this is its only owner. Rings inside it hold
        // the region through their pool; a kernel that still writes has the pages pinned. In a
        // forked process this unmaps that process's view alone.
        let unmapped = unsafe { munmap(self.base, self.len.get()) };
        debug_assert!(unmapped.is_ok(), "munmap of our own mapping: {unmapped:?}");
    }
}

/// The page size in bytes.
pub(crate) fn page_size() -> usize {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|size| usize::try_from(size).ok())
        .expect("every Linux tells its page size (sysconf(3))")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn byte(region: &Region, offset: usize) -> &std::sync::atomic::AtomicU8 {
        // SAFETY: `at` is inside the mapping, which lives as long as the borrow of `region`, and
        // the memory is only ever accessed as atomics here.
        unsafe { std::sync::atomic::AtomicU8::from_ptr(region.at(offset, 1).as_ptr()) }
    }

    #[test]
    fn replaced_pages_read_as_zero_and_their_neighbours_keep_their_bytes() {
        use std::sync::atomic::Ordering::Relaxed;
        let page = page_size();
        let region = Region::anonymous(3 * page).unwrap();
        for i in 0..3 {
            byte(&region, i * page).store(7, Relaxed);
        }
        region.replace_pages(page, page).unwrap();
        let bytes = [0, 1, 2].map(|i| byte(&region, i * page).load(Relaxed));
        assert_eq!(bytes, [7, 0, 7]);
    }

    #[test]
    #[should_panic(expected = "8192 + 1")]
    fn an_address_outside_the_region_is_never_given_out() {
        let region = Region::anonymous(8192).unwrap();
        let _ = region.at(8192, 1);
    }
}
