//! Bytes that a ring takes, and where slot *i* lies: pure, checked arithmetic.
//!
//! A slot holds a ring's SQEs, then, at the next page, its rings (header, CQEs, and on most
//! kernels the SQ's index array). The sizes that liburing 2.5 to 2.14 report are too small for
//! some configurations, so they are never relied on alone; what is computed here is enough on
//! every kernel since 6.5, which first took such memory:
//!
//! * SQEs: `64 << SQE128` bytes each.
//! * Rings: `struct io_rings` before the CQEs is five cache lines in Linux 6.5 and one since 6.6,
//!   and 6.5 doubles the header too where CQEs are doubled (`rings_size` in `io_uring.c`).
//! * The index array is left out with `NO_SQARRAY`, which nobody can count on; it begins at a
//!   cache line.

mod arena;

use crate::config::RingConfig;
use crate::error::{Cause, Error, Result};

pub(crate) use arena::ArenaLayout;

/// `SMP_CACHE_BYTES` of the kernel, or more.
const CACHE_LINE: usize = if cfg!(target_arch = "s390x") {
    256
} else if cfg!(any(target_arch = "powerpc64", target_arch = "powerpc")) {
    128
} else {
    64
};

/// Sizes of one ring's two areas, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RingLayout {
    /// What the SQEs take, not rounded.
    pub(crate) sqes: usize,
    /// What the rings take at most, not rounded.
    pub(crate) rings: usize,
    /// Where the rings begin in the slot: `sqes`, rounded up to pages.
    pub(crate) rings_at: usize,
    /// From one slot to the next: whole pages.
    pub(crate) stride: usize,
    /// The page size that all this holds for.
    pub(crate) page: usize,
}

impl RingLayout {
    /// The layout of a ring of this configuration on pages of `page` bytes (a power of two).
    pub(crate) fn new(config: &RingConfig, page: usize) -> Result<Self> {
        Self::checked(config, page).ok_or_else(|| too_large(config, 1))
    }

    fn checked(config: &RingConfig, page: usize) -> Option<Self> {
        let sq = usize::try_from(config.sq_len()).ok()?;
        let cq = usize::try_from(config.cq_len()).ok()?;
        let sqes = sq.checked_mul(64 << config.sqe_shift())?;
        let header = 5 * CACHE_LINE;
        let cqes = header.checked_add(cq.checked_mul(16)?)?.checked_mul(1 << config.cqe_shift())?;
        let array = sq.checked_mul(4)?;
        let rings = cqes.checked_add(array)?.checked_add(CACHE_LINE)?;
        let rings_at = round_up(sqes, page)?;
        let stride = rings_at.checked_add(round_up(rings, page)?)?;
        Some(Self { sqes, rings, rings_at, stride, page })
    }

    /// The same with slots of at least `bytes`, for a library that asks for more.
    pub(crate) fn with_room_for(mut self, bytes: usize) -> Option<Self> {
        self.stride = self.stride.max(round_up(bytes, self.page)?);
        Some(self)
    }

    /// Whether both areas are one page: what every kernel with `NO_MMAP` can take, however
    /// fragmented its memory is.
    pub(crate) fn single_pages(&self) -> bool {
        self.sqes <= self.page && self.rings <= self.page
    }
}

/// Where everything lies in a pool's one mapping: a header with two words for the pool and one
/// for each slot, then the slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolLayout {
    pub(crate) ring: RingLayout,
    pub(crate) slots: usize,
    /// Bytes of the header: whole pages.
    pub(crate) header: usize,
    /// Behind the slots.
    pub(crate) arena: Option<ArenaLayout>,
    /// Bytes of the mapping.
    pub(crate) total: usize,
}

/// Words that the header keeps for the pool itself.
pub(crate) const POOL_WORDS: usize = 2;

/// Bytes of a word.
pub(crate) const WORD: usize = 8;

impl PoolLayout {
    /// `slots` slots of rings, or, where no ring will lie in the mapping, its header alone.
    pub(crate) fn new(
        config: &RingConfig,
        ring: RingLayout,
        slots: usize,
        with_memory: bool,
    ) -> Result<Self> {
        Self::checked(ring, slots, with_memory).ok_or_else(|| too_large(config, slots))
    }

    fn checked(ring: RingLayout, slots: usize, with_memory: bool) -> Option<Self> {
        let header = round_up(slots.checked_add(POOL_WORDS)?.checked_mul(WORD)?, ring.page)?;
        let memory = if with_memory { slots.checked_mul(ring.stride)? } else { 0 };
        let total = header.checked_add(memory)?;
        // A mapping's length must stay a valid offset between pointers.
        isize::try_from(total).ok()?;
        Some(Self { ring, slots, header, arena: None, total })
    }

    /// Where slot `i` begins in the mapping.
    pub(crate) fn slot_at(&self, i: usize) -> usize {
        assert!(i < self.slots, "slot {i} of {}", self.slots);
        // Cannot overflow: less than `total`, which was checked.
        self.header + i * self.ring.stride
    }
}

fn round_up(n: usize, page: usize) -> Option<usize> {
    debug_assert!(page.is_power_of_two());
    n.checked_next_multiple_of(page)
}

fn too_large(config: &RingConfig, slots: usize) -> Error {
    Error::new(
        format!("cannot lay out {slots} rings of {} entries", config.entries()),
        Cause::Invalid("their size in bytes is beyond this machine's address space"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the kernel takes: `rings_size` and the SQE array of Linux 6.5 (five cache lines of
    /// header, doubled with the CQEs) and of 6.6 and newer (one, not doubled).
    fn kernel_needs(config: &RingConfig, page: usize, six_five: bool) -> usize {
        let (sq, cq) = (config.sq_len() as usize, config.cq_len() as usize);
        let cqes = 16 * cq;
        let cqes = if six_five {
            (320 + cqes) << config.cqe_shift()
        } else {
            64 + (cqes << config.cqe_shift())
        };
        let rings = cqes.next_multiple_of(64) + 4 * sq;
        ((sq * 64) << config.sqe_shift()).next_multiple_of(page) + rings.next_multiple_of(page)
    }

    /// What `io_uring_queue_init_mem` of release 2.`minor` reckons a ring to take, and holds against
    /// the room that it is told: the SQ's array counts in 2.5, and newer ones are asked for none.
    fn library_reckons(minor: u32, config: &RingConfig, page: usize) -> usize {
        let (sq, cq) = (config.sq_len() as usize, config.cq_len() as usize);
        let wide = if minor >= 9 { config.sqe_shift() } else { 0 };
        let header = if minor >= 7 { 64 } else { 0 };
        let array = if minor == 5 { 4 * sq } else { 0 };
        let sqes = (sq * 64) << wide;
        let rings = header + ((16 * cq) << config.cqe_shift()) + array;
        (sqes.next_multiple_of(page) + rings).next_multiple_of(page)
    }

    fn configs() -> impl Strategy<Value = RingConfig> {
        (1u32..=32_768, 0u32..=3, any::<bool>(), any::<bool>()).prop_map(
            |(entries, cq, wide_sqe, wide_cqe)| {
                let mut config = RingConfig::new(entries).unwrap();
                if cq > 0 {
                    let n = (config.sq_len() << (cq - 1)).min(65_536);
                    config = config.cq_entries(n).unwrap();
                }
                if wide_sqe {
                    config = config.sqe128();
                }
                if wide_cqe {
                    config = config.cqe32();
                }
                config
            },
        )
    }

    proptest! {
        #[test]
        fn a_stride_is_never_less_than_any_kernel_needs(
            config in configs(), page in prop::sample::select(vec![4096usize, 16_384, 65_536]),
        ) {
            let layout = RingLayout::new(&config, page).unwrap();
            prop_assert!(layout.stride >= kernel_needs(&config, page, true));
            prop_assert!(layout.stride >= kernel_needs(&config, page, false));
            prop_assert_eq!(layout.stride % page, 0);
            prop_assert_eq!(layout.rings_at % page, 0);
            prop_assert!(layout.rings_at >= layout.sqes);
        }

        #[test]
        fn no_release_of_liburing_finds_a_slot_too_small(
            config in configs(), page in prop::sample::select(vec![4096usize, 16_384, 65_536]),
        ) {
            let layout = RingLayout::new(&config, page).unwrap();
            for minor in 5..=15 {
                prop_assert!(layout.stride >= library_reckons(minor, &config, page), "2.{}", minor);
            }
        }

        #[test]
        fn slots_are_disjoint_whole_pages_inside_the_mapping(
            config in configs(), slots in 1usize..2000,
        ) {
            let ring = RingLayout::new(&config, 4096).unwrap();
            let pool = PoolLayout::new(&config, ring, slots, true).unwrap();
            prop_assert!(pool.header >= (slots + POOL_WORDS) * WORD);
            prop_assert_eq!(pool.slot_at(0), pool.header);
            for i in 1..slots {
                prop_assert_eq!(pool.slot_at(i) - pool.slot_at(i - 1), ring.stride);
            }
            prop_assert_eq!(pool.slot_at(slots - 1) + ring.stride, pool.total);
        }

        #[test]
        fn a_pool_that_does_not_fit_the_address_space_is_an_error_not_a_wrap(
            config in configs(), slots in (usize::MAX / 8192)..usize::MAX,
        ) {
            let ring = RingLayout::new(&config, 4096).unwrap();
            prop_assert!(PoolLayout::new(&config, ring, slots, true).is_err());
        }
    }

    #[test]
    fn sixty_four_entries_take_two_pages_of_four_kib() {
        let layout = RingLayout::new(&RingConfig::new(64).unwrap(), 4096).unwrap();
        assert_eq!((layout.rings_at, layout.stride), (4096, 8192));
        assert!(layout.single_pages());
        let larger = RingLayout::new(&RingConfig::new(128).unwrap(), 4096).unwrap();
        assert!(!larger.single_pages());
    }

    #[test]
    fn a_library_that_wants_more_gets_whole_pages_more_and_never_less() {
        let layout = RingLayout::new(&RingConfig::new(64).unwrap(), 4096).unwrap();
        assert_eq!(layout.with_room_for(1).unwrap().stride, 8192);
        assert_eq!(layout.with_room_for(8193).unwrap().stride, 12_288);
        assert!(layout.with_room_for(usize::MAX).is_none());
    }
}
