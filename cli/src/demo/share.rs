//! One worker's share of a file: which pieces to read next, and what came of them.

use std::collections::HashMap;

use crc32fast::Hasher;

use super::checksum::{InOrder, Sum};

/// PostgreSQL's block size.
pub(crate) const BLOCK: u64 = 8192;

/// Some neighbouring blocks of a file, none of them read yet or some.
#[derive(Debug)]
pub(crate) struct Share {
    /// Bytes of the whole file.
    file: u64,
    /// The first block that was never asked for.
    next: u64,
    end: u64,
    /// Blocks of which something is still to be read.
    again: Vec<u64>,
    /// What there is of blocks that came in part.
    parts: HashMap<u64, Part>,
    sums: InOrder,
}

#[derive(Debug, Default)]
struct Part {
    bytes: u64,
    hasher: Hasher,
}

/// A read to make: of a block, what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) block: u64,
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

/// The file ended where bytes were expected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file ends at byte {at}, and had {expected} bytes before; it was changed meanwhile")]
pub(crate) struct Ended {
    at: u64,
    expected: u64,
}

impl Share {
    /// The share of worker `worker` of `workers` in a file of `file` bytes. Shares differ by one
    /// block at most.
    pub(crate) fn new(file: u64, worker: usize, workers: usize) -> Self {
        let blocks = file.div_ceil(BLOCK);
        let bound = |worker: usize| {
            // Both are below 2^64; their product may not be.
            (u128::from(blocks) * worker as u128 / workers as u128) as u64
        };
        let (first, end) = (bound(worker), bound(worker + 1));
        Self {
            file,
            next: first,
            end,
            again: Vec::new(),
            parts: HashMap::new(),
            sums: InOrder::from(first),
        }
    }

    /// The next read to make; `None` while all others are under way, and at the end.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        let block = self.again.pop().or_else(|| {
            let block = self.next;
            (block < self.end).then(|| {
                self.next += 1;
                block
            })
        })?;
        let there = self.parts.get(&block).map_or(0, |part| part.bytes);
        // At most a block.
        let len = (self.len(block) - there) as usize;
        Some(Piece { block, offset: block * BLOCK + there, len })
    }

    fn len(&self, block: u64) -> u64 {
        (self.file - block * BLOCK).min(BLOCK)
    }

    /// What a read of `block` brought: all that was asked for, or less, and then the rest is to be
    /// read again.
    pub(crate) fn arrived(&mut self, block: u64, bytes: &[u8]) -> Result<(), Ended> {
        let mut part = self.parts.remove(&block).unwrap_or_default();
        part.bytes += bytes.len() as u64;
        part.hasher.update(bytes);
        if part.bytes == self.len(block) {
            self.sums.put(block, Sum::of(part.hasher, part.bytes));
        } else if bytes.is_empty() {
            return Err(Ended { at: block * BLOCK + part.bytes, expected: self.file });
        } else {
            self.parts.insert(block, part);
            self.again.push(block);
        }
        Ok(())
    }

    /// A read of `block` came to nothing, and may do better the next time.
    pub(crate) fn failed(&mut self, block: u64) {
        self.again.push(block);
    }

    /// The sum of all that was read.
    pub(crate) fn sum(&self) -> Sum {
        self.sums.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `share` out of `file` with a kernel that gives at most `at_most` bytes a time, and
    /// answers the latest request first.
    fn read(file: &[u8], mut share: Share, at_most: usize) -> Sum {
        let mut under_way: Vec<Piece> = Vec::new();
        loop {
            while under_way.len() < 8 {
                let Some(piece) = share.next() else { break };
                under_way.push(piece);
            }
            let Some(piece) = under_way.pop() else { return share.sum() };
            let from = piece.offset as usize;
            share.arrived(piece.block, &file[from..from + piece.len.min(at_most)]).unwrap();
        }
    }

    fn in_shares(file: &[u8], workers: usize, at_most: usize) -> Sum {
        let mut whole = InOrder::from(0);
        for worker in 0..workers {
            let share = Share::new(file.len() as u64, worker, workers);
            whole.put(worker as u64, read(file, share, at_most));
        }
        whole.sum()
    }

    #[test]
    fn shares_cover_the_file_once_whatever_its_size_and_however_short_the_reads() {
        let bytes: Vec<u8> = (0..10 * BLOCK + 17).map(|i| (i * 31 % 251) as u8).collect();
        for len in [0, 1, 8191, 8192, 8193, 3 * 8192, bytes.len()] {
            let file = &bytes[..len];
            let mut hasher = Hasher::new();
            hasher.update(file);
            let expected = Sum::of(hasher, len as u64);
            for workers in [1, 2, 3, 7, 20] {
                for at_most in [8192, 5000, 1000] {
                    assert_eq!(in_shares(file, workers, at_most), expected, "{len} {workers}");
                }
            }
        }
    }

    #[test]
    fn a_read_that_failed_is_made_again_from_where_it_was() {
        let mut share = Share::new(BLOCK, 0, 1);
        assert_eq!(share.next(), Some(Piece { block: 0, offset: 0, len: 8192 }));
        share.arrived(0, &[1; 100]).unwrap();
        let rest = Piece { block: 0, offset: 100, len: 8092 };
        assert_eq!(share.next(), Some(rest));
        share.failed(0);
        assert_eq!(share.next(), Some(rest));
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error_and_not_an_endless_loop() {
        let mut share = Share::new(2 * BLOCK, 0, 1);
        let _ = share.next();
        share.arrived(0, &[0; 4000]).unwrap();
        let _ = share.next();
        assert_eq!(share.arrived(0, &[]), Err(Ended { at: 4000, expected: 2 * BLOCK }));
    }

    #[test]
    fn the_share_of_a_huge_file_does_not_overflow() {
        let share = Share::new(u64::MAX, 2_999_999, 3_000_000);
        assert_eq!(share.end, u64::MAX.div_ceil(BLOCK));
        assert!(share.next < share.end);
    }
}
