//! The table of requests under way: what belongs to which `user_data`.

use super::extra::Extra;

/// Most rings' `user_data` is an index into the table with the entry's generation above it, so
/// that a completion that is not ours, or comes twice, finds nothing.
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
    generation: u32,
    state: State<B>,
}

#[derive(Debug)]
enum State<B> {
    Free { next: u32 },
    Used(Request<B>),
}

/// What is kept of a request, where it stays, until it is complete or taken back.
#[derive(Debug)]
pub(super) struct Request<B> {
    pub(super) tag: u64,
    pub(super) buf: Option<B>,
    pub(super) extra: Extra,
}

const NONE: u32 = u32::MAX;

/// `user_data` of a request that is nobody's: its completion is dropped. The table's keys have a
/// small index in their lower half.
pub(super) const NOBODY: u64 = u64::MAX - 1;

impl<B> Flight<B> {
    /// A table for at most `limit` requests. It takes no memory before the first one.
    pub(super) fn new(limit: u32) -> Self {
        Self { entries: Vec::new(), free: NONE, used: 0, limit }
    }

    pub(super) fn len(&self) -> u32 {
        self.used
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) fn is_full(&self) -> bool {
        self.used == self.limit
    }

    /// Puts a request in, which stays if it is [kept](Inserted::keep). The caller has made sure of
    /// room.
    pub(super) fn insert(&mut self, request: Request<B>) -> Inserted<'_, B> {
        assert!(!self.is_full());
        self.used += 1;
        let index = match self.free {
            NONE => {
                if self.entries.capacity() == 0 {
                    // Once and for all: entries never move while the kernel has their addresses.
                    self.entries.reserve_exact(self.limit as usize);
                }
                self.entries.push(Entry { generation: 0, state: State::Free { next: NONE } });
                // At most `limit`, which is an u32.
                (self.entries.len() - 1) as u32
            }
            index => index,
        };
        let entry = &mut self.entries[index as usize];
        if let State::Free { next } = entry.state {
            self.free = next;
        }
        entry.state = State::Used(request);
        let key = u64::from(entry.generation) << 32 | u64::from(index);
        Inserted { flight: self, key }
    }

    fn find(&mut self, key: u64) -> Option<&mut Entry<B>> {
        let (index, generation) = (key as u32, (key >> 32) as u32);
        self.entries
            .get_mut(index as usize)
            .filter(|entry| entry.generation == generation)
            .filter(|entry| matches!(entry.state, State::Used(_)))
    }

    /// Takes a request out.
    pub(super) fn remove(&mut self, key: u64) -> Option<Request<B>> {
        let next = self.free;
        let entry = self.find(key)?;
        entry.generation = entry.generation.wrapping_add(1);
        let state = std::mem::replace(&mut entry.state, State::Free { next });
        self.free = key as u32;
        self.used -= 1;
        match state {
            State::Used(request) => Some(request),
            State::Free { .. } => unreachable!("`find` finds used entries"),
        }
    }

    /// A request that stays in.
    pub(super) fn get(&mut self, key: u64) -> Option<&Request<B>> {
        self.find(key).and_then(|entry| match &entry.state {
            State::Used(request) => Some(request),
            State::Free { .. } => None,
        })
    }

    /// Keys of all that is in.
    pub(super) fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        self.entries.iter().enumerate().filter_map(|(index, entry)| match entry.state {
            State::Used(_) => Some(u64::from(entry.generation) << 32 | index as u64),
            State::Free { .. } => None,
        })
    }
}

/// A request just put in; dropped before it is kept, it is taken out again.
#[derive(Debug)]
pub(super) struct Inserted<'f, B> {
    flight: &'f mut Flight<B>,
    key: u64,
}

impl<B> Inserted<'_, B> {
    /// It, where it stays until it is removed.
    pub(super) fn request(&mut self) -> &mut Request<B> {
        match self.flight.find(self.key).map(|entry| &mut entry.state) {
            Some(State::Used(request)) => request,
            _ => unreachable!("it was put in just before"),
        }
    }

    /// Leaves it in, and returns its key.
    pub(super) fn keep(self) -> u64 {
        std::mem::ManuallyDrop::new(self).key
    }
}

impl<B> Drop for Inserted<'_, B> {
    fn drop(&mut self) {
        self.flight.remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<B>(tag: u64, buf: Option<B>) -> Request<B> {
        Request { tag, buf, extra: Extra::None }
    }

    #[test]
    fn what_is_not_kept_is_taken_out_again() {
        let mut flight = Flight::new(2);
        drop(flight.insert(request(1, Some(()))));
        assert_eq!(flight.len(), 0);
        let key = flight.insert(request(2, Some(()))).keep();
        assert_eq!((flight.len(), flight.get(key).map(|request| request.tag)), (1, Some(2)));
    }

    #[test]
    fn a_completion_that_comes_twice_or_is_not_ours_finds_nothing() {
        let mut flight = Flight::new(4);
        let key = flight.insert(request(7, Some("buffer"))).keep();
        let removed = flight.remove(key).unwrap();
        assert_eq!((removed.tag, removed.buf), (7, Some("buffer")));
        assert!(flight.remove(key).is_none());
        let again = flight.insert(request(8, None)).keep();
        assert_ne!(again, key, "the entry is used again under another key");
        assert!(flight.remove(key).is_none());
        assert!(flight.remove(NOBODY).is_none());
        assert!(flight.remove(u64::MAX).is_none());
        assert_eq!(flight.len(), 1);
    }

    #[test]
    fn entries_never_move_once_the_first_is_in() {
        let mut flight = Flight::new(1000);
        let mut entry = flight.insert(request(0, Some(0u64)));
        let at = std::ptr::from_mut(&mut entry.request().buf).addr();
        let first = entry.keep();
        let keys: Vec<u64> =
            (1..1000).map(|tag| flight.insert(request(tag, Some(tag))).keep()).collect();
        assert!(flight.is_full());
        for key in keys {
            flight.remove(key).unwrap();
        }
        assert_eq!(flight.keys().collect::<Vec<_>>(), [first]);
        let State::Used(Request { buf, .. }) = &flight.entries[0].state else { panic!() };
        assert_eq!(std::ptr::from_ref(buf).addr(), at);
    }

    #[test]
    fn generations_wrap_without_losing_an_entry() {
        let mut flight = Flight::new(1);
        let key = flight.insert(request(1, Some(()))).keep();
        flight.remove(key).unwrap();
        flight.entries[0].generation = u32::MAX;
        let last = flight.insert(request(2, Some(()))).keep();
        assert_ne!(last, NOBODY);
        assert_eq!(flight.remove(last).unwrap().tag, 2);
        let wrapped = flight.insert(request(3, Some(()))).keep();
        assert_eq!(flight.get(wrapped).map(|request| request.tag), Some(3));
    }
}
