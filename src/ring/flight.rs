//! The table of requests under way: what belongs to which `user_data`.

use std::os::fd::OwnedFd;

use super::extra::Extra;

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
impl<B> Flight<B> {
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
    #[inline(always)]
    pub(super) fn insert(
        &mut self,
        Request { tag, buf, extra }: Request<B>,
        place: impl FnOnce(&mut Request<B>),
    ) -> u64 {
        debug_assert!(!self.is_full());
        if self.free == NONE {
            self.grow();
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

    /// Makes the next entry, which was never used.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        assert!(self.entries.len() < self.limit as usize);
        if self.entries.capacity() == 0 {
            // Once and for all: entries never move while the kernel has their addresses.
            self.entries.reserve_exact(self.limit as usize);
        }
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
mod tests {
    use super::*;

    fn request<B>(tag: u64, buf: Option<B>) -> Request<B> {
        Request { tag, buf, extra: Extra::None }
    }

    fn put<B>(flight: &mut Flight<B>, request: Request<B>) -> u64 {
        flight.insert(request, |_| {})
    }

    #[test]
    fn what_is_not_placed_is_dropped() {
        let mut flight = Flight::new(2);
        let buf = std::rc::Rc::new(());
        let insert = std::panic::AssertUnwindSafe(|| {
            flight.insert(request(1, Some(buf.clone())), |_| panic!("on purpose"))
        });
        assert!(std::panic::catch_unwind(insert).is_err());
        assert_eq!((flight.len(), std::rc::Rc::strong_count(&buf)), (0, 1));
        let key = put(&mut flight, request(2, Some(buf)));
        assert_eq!((flight.len(), flight.get(key).map(|request| request.tag)), (1, Some(2)));
    }

    #[test]
    fn a_completion_that_comes_twice_or_is_not_ours_finds_nothing() {
        let mut flight = Flight::new(4);
        let key = put(&mut flight, request(7, Some("buffer")));
        let removed = flight.remove(key).unwrap();
        assert_eq!((removed.tag, removed.buf), (7, Some("buffer")));
        assert!(flight.remove(key).is_none());
        let again = put(&mut flight, request(8, None));
        assert_ne!(again, key, "the entry is used again under another key");
        assert!(flight.remove(key).is_none());
        assert!(flight.complete(NOBODY, 0).is_none());
        assert!(flight.remove(u64::MAX).is_none());
        assert_eq!(flight.len(), 1);
        // Of a free entry, what it keeps as its key is none.
        flight.remove(again).unwrap();
        assert!(flight.remove(flight.entries[0].key).is_none());
        assert_eq!(flight.len(), 0);
    }

    #[test]
    fn entries_never_move_once_the_first_is_in() {
        let mut flight = Flight::new(1000);
        let mut at = 0;
        let first = flight.insert(request(0, Some(0u64)), |entry| {
            at = std::ptr::from_mut(&mut entry.buf).addr();
        });
        let keys: Vec<u64> =
            (1..1000).map(|tag| put(&mut flight, request(tag, Some(tag)))).collect();
        assert!(flight.is_full());
        for key in keys {
            flight.remove(key).unwrap();
        }
        assert_eq!(flight.keys().collect::<Vec<_>>(), [first]);
        assert_eq!(std::ptr::from_ref(&flight.entries[0].request.buf).addr(), at);
    }

    /// Says when it is dropped, and has no memory of its own to lose.
    struct Tells<'t>(&'t std::cell::Cell<bool>);

    impl Drop for Tells<'_> {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }

    #[test]
    fn buffers_that_are_forgotten_are_never_freed_and_all_else_is() {
        let dropped = std::cell::Cell::new(false);
        let file = std::sync::Arc::new(std::io::stdin());
        let extra = Extra::Keeps(super::super::extra::Owner::of(&file));
        let mut flight = Flight::new(2);
        put(&mut flight, Request { tag: 0, buf: Some(Tells(&dropped)), extra });
        flight.forget_buffers();
        drop(flight);
        assert_eq!((dropped.get(), std::sync::Arc::strong_count(&file)), (false, 1));
    }

    #[test]
    fn generations_wrap_without_losing_an_entry() {
        let mut flight = Flight::new(1);
        let key = put(&mut flight, request(1, Some(())));
        flight.remove(key).unwrap();
        flight.entries[0].key = (FREE - GENERATION) | FREE;
        let last = put(&mut flight, request(2, Some(())));
        assert_ne!(last, NOBODY);
        assert_eq!(flight.remove(last).unwrap().tag, 2);
        let wrapped = put(&mut flight, request(3, Some(())));
        assert_eq!(flight.get(wrapped).map(|request| request.tag), Some(3));
    }
}
