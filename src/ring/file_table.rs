//! Which files are registered with a ring, and where in its table.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::RegisteredFile;

/// A ring's table, as the kernel has it.
#[derive(Debug)]
pub(crate) struct FileTable {
    id: u64,
    /// Of each place, how many files had it; odd while one has it.
    generations: Vec<u32>,
    /// Free places, the next one last.
    free: Vec<u32>,
}

impl FileTable {
    /// One with so many places, all free.
    pub(super) fn new(len: u32) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self {
            id: LAST.fetch_add(1, Relaxed),
            generations: vec![0; len as usize],
            free: (0..len).rev().collect(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.generations.len()
    }

    /// The place that the next file gets.
    pub(super) fn next(&self) -> Option<u32> {
        self.free.last().copied()
    }

    /// The kernel has put a file there.
    pub(super) fn fill(&mut self, index: u32) -> RegisteredFile {
        debug_assert_eq!(self.next(), Some(index));
        self.free.pop();
        let generation = &mut self.generations[index as usize];
        *generation += 1;
        RegisteredFile { table: self.id, index, generation: *generation }
    }

    /// Whether it is in.
    #[inline]
    pub(super) fn has(&self, file: RegisteredFile) -> bool {
        let RegisteredFile { table, index, generation } = file;
        table == self.id && self.generations.get(index as usize) == Some(&generation)
    }

    /// The kernel has taken the file out, which was in.
    pub(super) fn clear(&mut self, file: RegisteredFile) {
        debug_assert!(self.has(file));
        let generation = &mut self.generations[file.index as usize];
        *generation = generation.wrapping_add(1);
        // A count that begins anew would make the place's first file valid once more.
        if *generation != 0 {
            self.free.push(file.index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_in_the_table_that_it_was_put_into_until_it_is_taken_out() {
        let (mut table, mut other) = (FileTable::new(2), FileTable::new(2));
        assert_eq!((table.len(), table.next()), (2, Some(0)));
        let (first, second) = (table.fill(0), table.fill(1));
        assert_eq!(table.next(), None);
        let same_place = other.fill(0);
        assert!(table.has(first) && table.has(second) && other.has(same_place));
        assert!(!other.has(first) && !other.has(second) && !table.has(same_place));
        table.clear(first);
        assert!(!table.has(first) && table.has(second));
        assert_eq!(table.next(), Some(0));
        let again = table.fill(0);
        assert!(table.has(again) && !table.has(first) && again.index() == first.index());
    }

    #[test]
    fn a_place_whose_count_is_over_is_used_no_more() {
        let mut table = FileTable::new(2);
        table.generations[0] = u32::MAX - 3;
        for last in [u32::MAX - 2, u32::MAX] {
            let file = table.fill(0);
            assert_eq!(file.generation, last);
            table.clear(file);
            assert!(!table.has(file));
        }
        assert_eq!(table.next(), Some(1));
    }
}
