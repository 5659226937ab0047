//! Checksums of parts, put together in order though they come in any.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crc32fast::Hasher;
use serde::{Deserialize, Serialize};

/// CRC-32 of some bytes, and how many they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Sum {
    pub(crate) crc: u32,
    pub(crate) bytes: u64,
}

impl Sum {
    pub(crate) fn of(hasher: Hasher, bytes: u64) -> Self {
        Self { crc: hasher.finalize(), bytes }
    }

    /// The sum of these bytes with `next`'s behind them.
    fn then(self, next: Sum) -> Sum {
        let mut both = Hasher::new_with_initial_len(self.crc, self.bytes);
        both.combine(&Hasher::new_with_initial_len(next.crc, next.bytes));
        Sum::of(both, self.bytes + next.bytes)
    }
}

/// Puts sums of neighbouring parts together.
#[derive(Debug)]
pub(crate) struct InOrder {
    /// All parts before `next`.
    whole: Sum,
    next: u64,
    /// Parts whose turn has not come.
    early: BTreeMap<u64, Sum>,
}

impl InOrder {
    /// Begins with part number `first`.
    pub(crate) fn from(first: u64) -> Self {
        Self { whole: Sum::default(), next: first, early: BTreeMap::new() }
    }

    pub(crate) fn put(&mut self, part: u64, sum: Sum) {
        self.early.insert(part, sum);
        while let Some(sum) = self.early.remove(&self.next) {
            self.whole = self.whole.then(sum);
            self.next += 1;
        }
    }

    /// The sum of all parts up to the first that is missing.
    pub(crate) fn sum(&self) -> Sum {
        self.whole
    }
}

/// The sum of a file's first `bytes` bytes, read one piece after the other without io_uring.
pub(crate) fn plain(file: &File, bytes: u64, mut read: impl FnMut(u64)) -> io::Result<Sum> {
    let mut buf = vec![0; 64 * 1024];
    let mut hasher = Hasher::new();
    let mut at = 0;
    while at < bytes {
        let want = usize::try_from(bytes - at).unwrap_or(buf.len()).min(buf.len());
        file.read_exact_at(&mut buf[..want], at)?;
        hasher.update(&buf[..want]);
        at += want as u64;
        read(want as u64);
    }
    Ok(Sum::of(hasher, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> Sum {
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        Sum::of(hasher, bytes.len() as u64)
    }

    fn together(parts: &[(u64, &[u8])]) -> Sum {
        let mut in_order = InOrder::from(0);
        for &(part, bytes) in parts {
            in_order.put(part, sum(bytes));
        }
        in_order.sum()
    }

    #[test]
    fn parts_in_any_order_sum_up_to_the_whole() {
        let whole = sum(b"onetwothree");
        assert_eq!(together(&[(0, b"one"), (1, b"two"), (2, b"three")]), whole);
        assert_eq!(together(&[(2, b"three"), (0, b"one"), (1, b"two")]), whole);
        assert_eq!(together(&[(1, b""), (0, b"onetwothree")]), whole);
    }

    #[test]
    fn a_corrupted_part_a_missing_one_and_swapped_ones_are_noticed() {
        let whole = sum(b"onetwothree");
        assert_ne!(together(&[(0, b"one"), (1, b"twp"), (2, b"three")]), whole);
        assert_ne!(together(&[(0, b"one"), (2, b"three")]), whole);
        assert_ne!(together(&[(0, b"one"), (2, b"two"), (1, b"three")]), whole);
    }

    #[test]
    fn a_plain_read_of_a_file_that_is_shorter_than_said_is_an_error() {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), b"one").unwrap();
        let file = File::open(path.path()).unwrap();
        assert_eq!(plain(&file, 3, |_| {}).unwrap(), sum(b"one"));
        assert!(plain(&file, 4, |_| {}).is_err());
    }
}
