//! What goes into the table comes out of it once, and stays where it is meanwhile.

use super::*;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

fn request<B>(tag: u64, buf: Option<B>) -> Request<B> {
    Request { tag, buf, extra: Extra::None }
}

fn put<B: 'static>(flight: &mut Flight<B>, request: Request<B>) -> u64 {
    flight.insert(request, &mut None, |_| {})
}

#[test]
fn what_is_not_placed_is_dropped() {
    let mut flight = Flight::new(2);
    let buf = std::rc::Rc::new(());
    let insert = std::panic::AssertUnwindSafe(|| {
        flight.insert(request(1, Some(buf.clone())), &mut None, |_| panic!("on purpose"))
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
    let first = flight.insert(request(0, Some(0u64)), &mut None, |entry| {
        at = std::ptr::from_mut(&mut entry.buf).addr();
    });
    let keys: Vec<u64> = (1..1000).map(|tag| put(&mut flight, request(tag, Some(tag)))).collect();
    assert!(flight.is_full());
    for key in keys {
        flight.remove(key).unwrap();
    }
    assert_eq!(flight.keys().collect::<Vec<_>>(), [first]);
    assert_eq!(std::ptr::from_ref(&flight.entries[0].request.buf).addr(), at);
}

static DROPPED: AtomicBool = AtomicBool::new(false);

/// Says when it is dropped, and has no memory of its own to lose.
struct Tells;

impl Drop for Tells {
    fn drop(&mut self) {
        DROPPED.store(true, Relaxed);
    }
}

#[test]
fn buffers_that_are_forgotten_are_never_freed_and_all_else_is() {
    let file = std::sync::Arc::new(std::io::stdin());
    let extra = Extra::Keeps(crate::ring::extra::Owner::of(&file));
    let mut flight = Flight::new(2);
    put(&mut flight, Request { tag: 0, buf: Some(Tells), extra });
    flight.forget_buffers();
    drop(flight);
    assert_eq!((DROPPED.load(Relaxed), std::sync::Arc::strong_count(&file)), (false, 1));
}

#[test]
fn a_table_is_left_to_the_next_of_its_kind_whose_keys_are_others() {
    let mut spare = None;
    let mut flight = Flight::new(2);
    let first = put(&mut flight, request(1, Some(1u8)));
    let second = put(&mut flight, request(2, Some(2)));
    flight.remove(first).unwrap();
    flight.remove(second).unwrap();
    let at = flight.entries.as_ptr();
    flight.leave_to(&mut spare);
    Flight::<u8>::new(2).leave_to(&mut spare);

    let mut flight = Flight::new(2);
    let again = flight.insert(request(3, Some(3u8)), &mut spare, |_| {});
    assert!(spare.is_none() && flight.entries.as_ptr() == at);
    let last = flight.insert(request(4, Some(4)), &mut spare, |_| {});
    assert!(![again, last].iter().any(|key| [first, second].contains(key)));
    assert!(flight.is_full() && flight.get(first).is_none());
    flight.remove(again).unwrap();
    flight.remove(last).unwrap();
    flight.leave_to(&mut spare);

    let mut other = Flight::new(2);
    other.insert(request(5, Some("of another kind")), &mut spare, |_| {});
    assert!(spare.is_none() && other.len() == 1);
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
