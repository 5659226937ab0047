//! The table of requests under way: what belongs to which `user_data`.
//!
//! This room may hold `unsafe`: it leaves an empty table to whoever comes next. It guarantees that
//! entries never move while a request is in, and that nothing of a request is left in what it gives
//! away.

use std::os::fd::OwnedFd;

use super::extra::Extra;
use super::spare::Spare;

/// A request's `user_data` is its key: an index into the table with the entry's generation above
/// it, so that a completion that is not ours, or comes twice, finds nothing.
#[derive(Debug)]
pub(super) struct Flight<B> {
    entries: Vec<Entry<B>>,
    /// First free entry, or `NONE`.
    free: u32,
    used: u32,
    limit: u32,
}

#[derive(Debug)]
struct Entry<B> {
    /// The key of the request that is in, or with [`FREE`] of the one that comes next.
    key: u64,
    /// Of a free entry, the free one after it, or `NONE`.
    next: u32,
    request: Request<B>,
}

/// What is kept of a request, where it stays, until it is complete or taken back.
#[derive(Debug)]
pub(super) struct Request<B> {
    pub(super) tag: u64,
    pub(super) buf: Option<B>,
    pub(super) extra: Extra,
}

impl<B> Request<B> {
    /// Of nobody's: there is nothing in it to drop.
    const NONE: Self = Self { tag: 0, buf: None, extra: Extra::None };
}

/// A request that is complete.
#[derive(Debug)]
pub(super) struct Done<B> {
    pub(super) tag: u64,
    pub(super) buf: Option<B>,
    pub(super) fd: Option<OwnedFd>,
    pub(super) res: i32,
}

const NONE: u32 = u32::MAX;
/// No request's key has this bit.
const FREE: u64 = 1 << 63;
const GENERATION: u64 = 1 << 32;

/// `user_data` of a request that is nobody's: its completion is dropped.
pub(super) const NOBODY: u64 = u64::MAX - 1;

// What is called for each request is inlined into the program's own crate: there the request is
// taken apart into registers, and its fields written once, to where they belong.
impl<B: 'static> Flight<B> {
    /// A table for at most `limit` requests. It takes no memory before the first one.
    #[inline]
    pub(super) fn new(limit: u32) -> Self {
        Self { entries: Vec::new(), free: NONE, used: 0, limit }
    }

    #[inline]
    pub(super) fn len(&self) -> u32 {
        self.used
    }

    #[inline]
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.used == self.limit
    }

    /// Puts a request in, has `place` take addresses of it where it stays, and returns its key. The
    /// caller has made sure of room. If `place` panics, the request is dropped.
    ///
    /// The first one may take over the memory of a table before, which is in `spare`.
    #[inline(always)]
    pub(super) fn insert(
        &mut self,
        Request { tag, buf, extra }: Request<B>,
        spare: &mut Option<Spare>,
        place: impl FnOnce(&mut Request<B>),
    ) -> u64 {
        debug_assert!(!self.is_full());
        if self.free == NONE {
            self.grow(spare);
        }
        let entry = &mut self.entries[self.free as usize];
        entry.request.tag = tag;
        // In a free entry there is nothing that would have to be dropped.
        std::mem::forget(std::mem::replace(&mut entry.request.buf, buf));
        debug_assert!(matches!(entry.request.extra, Extra::None));
        if matches!(extra, Extra::None) {
            std::mem::forget(extra);
        } else {
            std::mem::forget(std::mem::replace(&mut entry.request.extra, extra));
        }
        let unplaced = Unplaced(&mut entry.request);
        place(unplaced.0);
        std::mem::forget(unplaced);
        entry.key &= !FREE;
        self.free = entry.next;
        self.used += 1;
        entry.key
    }

    /// Makes the next entry, which was never used; the first time, all those that there were.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, spare: &mut Option<Spare>) {
        if self.entries.capacity() == 0 {
            // Once and for all: entries never move while the kernel has their addresses.
            match spare.take().and_then(Spare::take) {
                Some((entries, free)) => (self.entries, self.free) = (entries, free),
                None => self.entries.reserve_exact(self.limit as usize),
            }
            if self.free != NONE {
                return;
            }
        }
        assert!(self.entries.len() < self.limit as usize);
        // Below `limit`, which is an u32.
        self.free = self.entries.len() as u32;
        let key = u64::from(self.free) | FREE;
        self.entries.push(Entry { key, next: NONE, request: Request::NONE });
    }

    #[inline(always)]
    fn find(entries: &mut [Entry<B>], key: u64) -> Option<&mut Entry<B>> {
        let entry = entries.get_mut(key as u32 as usize)?;
        (entry.key == key && key & FREE == 0).then_some(entry)
    }

    /// As `find`; the entry is the next to be used, under another key. The caller takes its request.
    #[inline(always)]
    fn free(&mut self, key: u64) -> Option<&mut Request<B>> {
        let Self { entries, free, used, .. } = self;
        let entry = Self::find(entries, key)?;
        entry.key = key.wrapping_add(GENERATION) | FREE;
        entry.next = *free;
        *free = key as u32;
        *used -= 1;
        Some(&mut entry.request)
    }

    /// Takes a request out.
    pub(super) fn remove(&mut self, key: u64) -> Option<Request<B>> {
        self.free(key).map(|request| std::mem::replace(request, Request::NONE))
    }

    /// Takes a request out that has completed with this result.
    #[inline(always)]
    pub(super) fn complete(&mut self, key: u64, res: i32) -> Option<Done<B>> {
        let Request { tag, buf, extra } = self.free(key)?;
        let (tag, buf) = (*tag, buf.take());
        let (fd, res) = match extra {
            // Seldom more, which would have to be moved.
            Extra::None => (None, res),
            some => some.completed(res),
        };
        Some(Done { tag, buf, fd, res })
    }

    /// A request that stays in.
    #[inline]
    pub(super) fn get(&mut self, key: u64) -> Option<&Request<B>> {
        Self::find(&mut self.entries, key).map(|entry| &entry.request)
    }

    /// Whether there is such a request among those that are in. It looks at all of them.
    pub(super) fn any(&self, is_it: impl Fn(&Request<B>) -> bool) -> bool {
        self.entries.iter().any(|entry| entry.key & FREE == 0 && is_it(&entry.request))
    }

    /// Leaves the table, in which nothing is, to the ring's next user.
    #[inline]
    pub(super) fn leave_to(self, spare: &mut Option<Spare>) {
        debug_assert_eq!(self.used, 0);
        if self.entries.capacity() > 0 {
            #[allow(unsafe_code)]
            // SAFETY: no request is in, so there is nothing of a `B` in any entry, nor anything else
            // that is bound to a thread: keys, numbers, and requests that are nobody's.
            let table = unsafe { Spare::of(self.entries, self.free) };
            *spare = Some(table);
        }
    }

    /// Never frees a buffer that is in, unlike what else requests have.
    pub(super) fn forget_buffers(&mut self) {
        self.entries.iter_mut().for_each(|entry| std::mem::forget(entry.request.buf.take()));
    }

    /// Keys of all that is in.
    pub(super) fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        self.entries.iter().map(|entry| entry.key).filter(|key| key & FREE == 0)
    }
}

/// A request that is in, but not counted yet; dropped, it is out again.
#[derive(Debug)]
struct Unplaced<'f, B>(&'f mut Request<B>);

impl<B> Drop for Unplaced<'_, B> {
    fn drop(&mut self) {
        *self.0 = Request::NONE;
    }
}

#[cfg(test)]
mod tests;
