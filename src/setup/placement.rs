//! Where a ring came to lie, held against where it should: what neither liburing's word nor our
//! own arithmetic is taken for.

use liburing_sys as sys;

use crate::config::{RingConfig, SetupFlags};
use crate::error::Cause;
use crate::layout::RingLayout;

/// What the kernel reported of a ring in given memory: all that placement depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reported {
    /// Offset of the SQEs from the slot's start, in bytes.
    pub(super) sqes_at: usize,
    /// Offset of the rings from the slot's start, in bytes.
    pub(super) rings_at: usize,
    /// SQEs and CQEs that the kernel settled on.
    pub(super) sq_entries: u32,
    pub(super) cq_entries: u32,
    /// `cq_off.cqes`: where the CQEs begin in the rings.
    pub(super) cqes: u32,
    /// `sq_off.array`: where the index array begins in the rings, unless there is none.
    pub(super) array: Option<u32>,
}

impl Reported {
    /// `sqes` and `rings` are addresses as the library or we ourselves gave them to the kernel;
    /// an address below the slot comes out as an offset that no slot has room for.
    pub(super) fn new(slot: usize, sqes: usize, rings: usize, p: &sys::io_uring_params) -> Self {
        let no_array = p.flags & SetupFlags::NO_SQARRAY.bits() != 0;
        Self {
            sqes_at: sqes.wrapping_sub(slot),
            rings_at: rings.wrapping_sub(slot),
            sq_entries: p.sq_entries,
            cq_entries: p.cq_entries,
            cqes: p.cq_off.cqes,
            array: (!no_array).then_some(p.sq_off.array),
        }
    }

    /// The bytes from the slot's start to the end of what the kernel uses.
    ///
    /// # Errors
    /// [`Cause::Misplaced`] if that is more than the slot has, or the SQEs reach into the rings
    /// (liburing 2.5 and 2.6 do not count the doubled SQEs of `SQE128`).
    pub(super) fn extent(&self, config: &RingConfig, layout: &RingLayout) -> Result<usize, Cause> {
        let room = layout.stride;
        let misplaced =
            |extent: usize| Cause::Misplaced { extent: extent as u64, room: room as u64 };
        let sqes_end = (self.sq_entries as usize)
            .checked_mul(64 << config.sqe_shift())
            .and_then(|bytes| self.sqes_at.checked_add(bytes))
            .ok_or_else(|| misplaced(usize::MAX))?;
        let cqes = (self.cq_entries as usize) << (4 + config.cqe_shift());
        let cqes_end = (self.cqes as usize).saturating_add(cqes);
        let array_end =
            self.array.map_or(0, |at| (at as usize).saturating_add(4 * self.sq_entries as usize));
        let extent = self
            .rings_at
            .checked_add(cqes_end.max(array_end))
            .ok_or_else(|| misplaced(usize::MAX))?;
        if sqes_end > self.rings_at || extent > room {
            return Err(misplaced(extent.max(sqes_end)));
        }
        Ok(extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(config: &RingConfig, rings_at: usize) -> Reported {
        Reported {
            sqes_at: 0,
            rings_at,
            sq_entries: config.sq_len(),
            cq_entries: config.cq_len(),
            cqes: 64,
            array: Some(64 + 16 * config.cq_len()),
        }
    }

    fn layout(config: &RingConfig) -> RingLayout {
        RingLayout::new(config, 4096).unwrap()
    }

    #[test]
    fn a_ring_that_lies_as_computed_is_accepted_with_its_true_extent() {
        let config = RingConfig::new(64).unwrap();
        let extent = of(&config, 4096).extent(&config, &layout(&config));
        assert_eq!(extent, Ok(4096 + 64 + 16 * 128 + 4 * 64));
    }

    #[test]
    fn rings_inside_doubled_sqes_as_liburing_2_5_places_them_are_undone() {
        let config = RingConfig::new(64).unwrap().sqe128();
        let result = of(&config, 4096).extent(&config, &layout(&config));
        assert!(matches!(result, Err(Cause::Misplaced { .. })), "{result:?}");
        assert!(of(&config, 8192).extent(&config, &layout(&config)).is_ok());
    }

    #[test]
    fn a_ring_that_ends_beyond_its_slot_or_begins_before_it_is_undone() {
        let config = RingConfig::new(64).unwrap();
        let layout = layout(&config);
        assert!(of(&config, 8192).extent(&config, &layout).is_err());
        let before = Reported { rings_at: 0usize.wrapping_sub(4096), ..of(&config, 4096) };
        assert!(before.extent(&config, &layout).is_err());
        let sqes = Reported { sqes_at: usize::MAX - 63, ..of(&config, 4096) };
        assert!(sqes.extent(&config, &layout).is_err());
    }

    #[test]
    fn more_entries_than_were_asked_for_are_seen() {
        let config = RingConfig::new(64).unwrap();
        let grown = Reported { cq_entries: 512, ..of(&config, 4096) };
        assert!(grown.extent(&config, &layout(&config)).is_err());
    }
}
