//! Whether this kernel puts rings into memory it is given, and whether it may be asked to.
//!
//! This room may hold `unsafe`: it makes a ring to see whether one can be made. It guarantees that the
//! ring has memory of its own, and is gone before that is.
#![allow(unsafe_code)]

use super::{SlotMemory, direct};
use crate::config::RingConfig;
use crate::error::Cause;
use crate::layout::RingLayout;
use crate::region::{Memory, Region, page_size};
use crate::version::kernel_version;

/// What `EINVAL` to a ring whose areas are larger than a page means: a kernel before 6.5 says it to
/// any, and one before 6.10 to those that happen not to be contiguous. The smallest ring tells.
pub(super) fn why_not_contiguous() -> Cause {
    match smallest() {
        Err(Cause::NoMmapUnsupported) => Cause::NoMmapUnsupported,
        _ => Cause::NotContiguous,
    }
}

/// Makes the smallest ring and undoes it, in memory of its own: a closed ring's pages are not used
/// again.
fn smallest() -> Result<(), Cause> {
    let config = RingConfig::new(1).map_err(|error| error.cause())?;
    let layout = RingLayout::new(&config, page_size()).map_err(|error| error.cause())?;
    let region = Region::map(Memory::Anonymous, layout.stride).map_err(|error| error.cause())?;
    let memory = SlotMemory { region: &region, offset: 0, len: layout.stride };
    // SAFETY: new memory, nobody else's, that stays mapped until the ring has been dropped.
    let ring = unsafe { direct::attempt(&config, &layout, memory) };
    ring.map(drop).map_err(|failed| failed.cause)
}

/// Whether trying does no harm: the one thing that is decided by the kernel's version, since some
/// kernels do not survive their own refusal of areas that are larger than a page.
///
/// - Linux 6.5 refuses all of them, and then frees the ring's pages twice: with the rings in one
///   page and the SQEs in several that is a null pointer in a worker thread of the kernel's.
/// - Linux 6.6 to 6.9 refuse those that are not contiguous, and never unpin the pages again: each
///   attempt loses them until the machine is started anew. In one huge page an area is contiguous.
pub(super) fn may_be_asked(layout: &RingLayout, memory: SlotMemory<'_>) -> bool {
    let one_page = |offset, len| memory.region.is_one_page(memory.offset + offset, len);
    layout.single_pages()
        || survives(kernel_version(), || {
            one_page(0, layout.sqes) && one_page(layout.rings_at, layout.rings)
        })
}

fn survives(kernel: Option<(u32, u32)>, contiguous: impl Fn() -> bool) -> bool {
    match kernel {
        Some((6, 5)) => false,
        Some((6, 6..=9)) => contiguous(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_that_do_not_survive_their_own_refusal_are_not_asked() {
        for version in [(5, 10), (6, 1), (6, 4), (6, 10), (6, 18), (7, 2)] {
            assert!(survives(Some(version), || unreachable!("it is not a matter of that")));
        }
        assert!(survives(None, || false));
        for contiguous in [false, true] {
            assert!(!survives(Some((6, 5)), || contiguous));
            assert_eq!(survives(Some((6, 6)), || contiguous), contiguous);
            assert_eq!(survives(Some((6, 9)), || contiguous), contiguous);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn the_smallest_ring_is_taken_wherever_any_is() {
        match smallest() {
            Ok(()) => assert_eq!(why_not_contiguous(), Cause::NotContiguous),
            Err(cause) => {
                assert_eq!(cause, Cause::NoMmapUnsupported);
                assert_eq!(why_not_contiguous(), Cause::NoMmapUnsupported);
            }
        }
    }
}
