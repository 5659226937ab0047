//! Where a pool's buffers lie, and in which pieces they are registered.

use super::{POOL_WORDS, PoolLayout, WORD, round_up};
use crate::error::{Cause, Error, Result};

/// Where a pool's buffers lie in its mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArenaLayout {
    pub(crate) buffers: usize,
    /// Bytes of each.
    pub(crate) size: usize,
    /// From one to the next.
    pub(crate) stride: usize,
    /// Where the ring lies that the others have their registration from, at a page.
    pub(crate) source_at: usize,
    /// Where the words lie that say who has which buffer, at a page.
    pub(crate) words_at: usize,
    /// Where the first buffer begins, at a page.
    pub(crate) at: usize,
}

impl ArenaLayout {
    /// What direct I/O asks of an address at least, on most devices.
    pub(crate) const ALIGN: usize = 512;
    /// The kernel registers no more than this as one buffer (`io_buffer_validate`).
    pub(crate) const PIECE: usize = 1 << 30;

    /// Where a buffer begins in the mapping.
    pub(crate) fn buffer_at(&self, index: usize) -> usize {
        assert!(index < self.buffers, "buffer {index} of {}", self.buffers);
        // Cannot overflow: less than the pool's `total`, which was checked.
        self.at + index * self.stride
    }

    /// Buffers that are registered as one.
    fn per_piece(&self) -> usize {
        (Self::PIECE / self.stride).max(1)
    }

    /// Under which number a buffer is registered.
    pub(crate) fn piece_of(&self, index: usize) -> usize {
        index / self.per_piece()
    }

    /// What is registered, in order: offset in the mapping and length.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let per_piece = self.per_piece();
        (0..self.buffers).step_by(per_piece).map(move |first| {
            let buffers = per_piece.min(self.buffers - first);
            (self.buffer_at(first), buffers * self.stride)
        })
    }
}

impl PoolLayout {
    /// The same with buffers behind the slots: `buffers` of `size` bytes each, and room for a ring
    /// that takes `source` bytes (0 if there is to be none).
    pub(crate) fn with_arena(self, buffers: usize, size: usize, source: usize) -> Result<Self> {
        self.and_arena(buffers, size, source).ok_or_else(|| {
            Error::new(
                format!("cannot lay out {buffers} buffers of {size} bytes"),
                Cause::Invalid("their size in bytes is beyond this machine's address space"),
            )
        })
    }

    fn and_arena(self, buffers: usize, size: usize, source: usize) -> Option<Self> {
        let page = self.ring.page;
        let words_at = self.total.checked_add(round_up(source, page)?)?;
        let words = buffers.checked_add(POOL_WORDS)?.checked_mul(WORD)?;
        let at = words_at.checked_add(round_up(words, page)?)?;
        let stride = round_up(size, ArenaLayout::ALIGN)?;
        let total = at.checked_add(round_up(buffers.checked_mul(stride)?, page)?)?;
        isize::try_from(total).ok()?;
        let source_at = self.total;
        let arena = ArenaLayout { buffers, size, stride, source_at, words_at, at };
        Some(Self { arena: Some(arena), total, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::super::RingLayout;
    use super::*;
    use crate::config::RingConfig;

    #[test]
    fn buffers_lie_apart_behind_the_slots_and_each_in_one_registered_piece() {
        let config = RingConfig::new(8).unwrap();
        let ring = RingLayout::new(&config, 4096).unwrap();
        for (buffers, size, source) in
            [(1, 1, 0), (100, 8192, 8192), (3, 5000, 4096), (5, 1 << 29, 1), (3, 1 << 30, 0)]
        {
            let pool = PoolLayout::new(&config, ring, 3, true).unwrap();
            let with = pool.with_arena(buffers, size, source).unwrap();
            let arena = with.arena.unwrap();
            assert_eq!(arena.source_at, pool.total);
            assert!(arena.words_at >= arena.source_at + source);
            assert!(arena.at >= arena.words_at + (buffers + POOL_WORDS) * WORD);
            assert!(arena.buffer_at(buffers - 1) + size <= with.total);
            let pieces: Vec<_> = arena.pieces().collect();
            for index in 0..buffers {
                let at = arena.buffer_at(index);
                assert!(
                    at % ArenaLayout::ALIGN == 0
                        && (index == 0 || at >= arena.buffer_at(index - 1) + size)
                );
                let (piece, len) = pieces[arena.piece_of(index)];
                assert!(piece <= at && at + size <= piece + len && len <= 1 << 30);
            }
        }
        let pool = PoolLayout::new(&config, ring, 3, true).unwrap();
        assert!(pool.with_arena(usize::MAX / 2, 4096, 0).is_err());
        assert!(pool.with_arena(1, usize::MAX, 0).is_err());
    }
}
