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
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{
    MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munlock, munmap,
};
use nix::unistd::ftruncate;

use crate::error::{Cause, Error, Result};
use crate::limits::{huge_page_size, refused};

/// What kind of memory a pool's rings lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Memory {
    /// Shared and anonymous.
    #[default]
    Anonymous,
    /// A memfd of its own, `uring-pool` in `/proc/self/maps`; the descriptor is not kept.
    Memfd,
    /// Huge pages of the default size (`MAP_HUGETLB`), which must have been set aside
    /// (`vm.nr_hugepages`). On Linux 6.6 to 6.9 larger rings than 64 entries can only be combined
    /// in such memory.
    ///
    /// Pieces of a huge page cannot be replaced. A slot whose ring was closed is therefore retired:
    /// [`Stats::retired`](crate::Stats::retired) counts it. Rings that are returned stay open.
    HugePages,
}

/// A piece of shared memory, one line in `/proc/self/maps`.
#[derive(Debug)]
pub(crate) struct Region {
    base: NonNull<c_void>,
    len: NonZeroUsize,
    /// The size of its pages. Only the system's small ones can be replaced: a piece of a larger one
    /// cannot.
    pages: usize,
    /// Whether it was mapped here, and is to be unmapped.
    ours: bool,
}

// SAFETY: a region is an address and a length; it gives nobody a reference into its memory, and
// unmapping from another thread than the one that mapped is what munmap(2) allows.
unsafe impl Send for Region {}
// SAFETY: through `&Region` only addresses are had, and `replace_pages`, which the kernel
// serialises.
unsafe impl Sync for Region {}

impl Region {
    /// Maps at least `len` bytes of this kind, shared: children inherit the very same pages, where
    /// with MAP_PRIVATE a child's submission would go unnoticed.
    pub(crate) fn map(memory: Memory, len: usize) -> Result<Self> {
        let cannot = |errno| no_memory(memory, len, errno);
        let pages = match memory {
            Memory::HugePages => huge_page_size()
                .and_then(|size| usize::try_from(size).ok())
                .ok_or_else(|| cannot(Errno::ENOSYS))?,
            Memory::Anonymous | Memory::Memfd => page_size(),
        };
        let len = match memory {
            Memory::HugePages => {
                len.checked_next_multiple_of(pages).ok_or_else(|| cannot(Errno::ENOMEM))?
            }
            Memory::Anonymous | Memory::Memfd => len,
        };
        let size = NonZeroUsize::new(len).expect("a pool's mapping has at least its header");
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let shared = MapFlags::MAP_SHARED;
        let anonymous = |flags| {
            // SAFETY: a new mapping at an address of the kernel's choice touches nothing that
            // exists.
            unsafe { mmap_anonymous(None, size, protection, flags) }
        };
        let base = match memory {
            Memory::Anonymous => anonymous(shared),
            Memory::HugePages => anonymous(shared | MapFlags::MAP_HUGETLB),
            Memory::Memfd => memfd_create(c"uring-pool", MFdFlags::MFD_CLOEXEC).and_then(|file| {
                ftruncate(&file, i64::try_from(len).map_err(|_| Errno::EFBIG)?)?;
                // SAFETY: as above; the file is nobody else's, so nobody can shorten it.
                unsafe { mmap(None, size, protection, shared, &file, 0) }
            }),
        }
        .map_err(cannot)?;
        let region = Self { base, len: size, pages, ours: true };
        region.no_huge_pages();
        Ok(region)
    }

    /// Takes a piece of the caller's memory. Unless `pages` are the system's small ones, they
    /// cannot be replaced.
    ///
    /// # Safety
    /// The memory is mapped shared, begins at a page, is zeroed and the caller's to give; it stays
    /// mapped, and nobody else touches it, while the region lives and as long as a kernel may have
    /// rings in it.
    pub(crate) unsafe fn of_the_callers(
        base: NonNull<u8>,
        len: NonZeroUsize,
        pages: usize,
    ) -> Self {
        let region = Self { base: base.cast(), len, pages, ours: false };
        region.no_huge_pages();
        region
    }

    /// A hole punched into a huge page leaves the page where it is, with whoever writes to it.
    /// Kernels without transparent huge pages refuse the advice, and need none.
    fn no_huge_pages(&self) {
        if self.has_small_pages() {
            // SAFETY: advice about our own mapping, which changes none of its bytes.
            let _ = unsafe { madvise(self.base, self.len.get(), MmapAdvise::MADV_NOHUGEPAGE) };
        }
    }

    fn has_small_pages(&self) -> bool {
        self.pages == page_size()
    }

    /// Whether a range lies in one page, whatever the size of the pages.
    pub(crate) fn is_one_page(&self, offset: usize, len: usize) -> bool {
        let first = self.at(offset, len).addr().get();
        first / self.pages == (first + len.saturating_sub(1)) / self.pages
    }

    #[cfg(test)]
    pub(crate) fn anonymous(len: usize) -> Result<Self> {
        Self::map(Memory::Anonymous, len)
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

    /// Zeroes a range: enough where whoever used it is known to be done.
    pub(crate) fn zero(&self, offset: usize, len: usize) {
        let at = self.at(offset, len);
        // SAFETY: the range lies inside our own mapping, and the caller has it to itself.
        unsafe { at.write_bytes(0, len) }
    }

    /// Gives a range new, zeroed pages. Whoever pinned the old ones, a closed ring that still has
    /// requests to finish, keeps writing to those, where nobody sees it.
    ///
    /// Every process that has the region mapped sees the new pages. Contents are lost, so nobody
    /// may be using the range.
    pub(crate) fn replace_pages(&self, offset: usize, len: usize) -> Result<()> {
        let at = self.at(offset, len);
        if !self.has_small_pages() {
            let what = format!("cannot replace {len} bytes of memory");
            return Err(Error::new(what, Cause::Invalid("they are a piece of a huge page")));
        }
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
        if !self.ours {
            return;
        }
        // SAFETY: the range is what was mapped, and this is its only owner. Rings inside it hold
        // the region through their pool; a kernel that still writes has the pages pinned. In a
        // forked process this unmaps that process's view alone.
        let unmapped = unsafe { munmap(self.base, self.len.get()) };
        debug_assert!(unmapped.is_ok(), "munmap of our own mapping: {unmapped:?}");
    }
}

/// Why there is no such memory.
fn no_memory(memory: Memory, len: usize, errno: Errno) -> Error {
    let what = format!("cannot map {len} bytes of shared memory");
    let cause = match (memory, errno) {
        (Memory::HugePages, Errno::ENOMEM | Errno::ENOSYS | Errno::EINVAL) => {
            Cause::NoHugePages { bytes: len as u64 }
        }
        (_, errno) => return refused(what, errno, len),
    };
    Error::new(what, cause).with_errno(Some(errno))
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
    #[cfg_attr(miri, ignore = "asks the kernel")]
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
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_range_is_in_one_page_or_not_by_the_size_of_the_regions_own() {
        let page = page_size();
        let region = Region::anonymous(4 * page).unwrap();
        assert!(region.is_one_page(page, page) && !region.is_one_page(page, page + 1));
        assert!(!region.is_one_page(1, page));
        // SAFETY: the same memory, in which nothing is.
        let huge = unsafe { Region::of_the_callers(region.base(), region.len, 1 << 40) };
        assert!(huge.is_one_page(0, 4 * page));
    }

    #[test]
    #[should_panic(expected = "8192 + 1")]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn an_address_outside_the_region_is_never_given_out() {
        let region = Region::anonymous(8192).unwrap();
        let _ = region.at(8192, 1);
    }
}
