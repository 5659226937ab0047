//! Whether this kernel puts rings into memory it is given at all.
#![allow(unsafe_code)]

use super::{SlotMemory, direct};
use crate::config::RingConfig;
use crate::error::Cause;
use crate::layout::RingLayout;
use crate::region::{Memory, Region, page_size};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
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
