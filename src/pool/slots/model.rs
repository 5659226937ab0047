//! The claim protocol, over all interleavings of a few threads and processes.
//!
//! `RUSTFLAGS="--cfg uring_pool_model" cargo test --release --lib model` runs it. A process is a table of its own
//! over the shared words; it dies by going no further, and, as the kernel does, by dropping its
//! lock after that.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize};
use loom::thread;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use super::words::Words;
use super::{Claimed, Slots, State};

/// A ring: which slot it lies in, and which of the rings there it is.
#[derive(Debug)]
struct Token {
    slot: usize,
    generation: u32,
}

/// The users of each slot: never more than one.
#[derive(Debug)]
struct Users(Vec<AtomicUsize>);

impl Users {
    fn new(slots: usize) -> Arc<Self> {
        Arc::new(Self((0..slots).map(|_| AtomicUsize::new(0)).collect()))
    }

    fn enter(&self, slot: usize) {
        assert_eq!(self.0[slot].fetch_add(1, Relaxed), 0, "slot {slot} is held twice");
    }

    fn leave(&self, slot: usize) {
        assert_eq!(self.0[slot].fetch_sub(1, Relaxed), 1);
    }
}

/// The process `me`, which makes rings and gives them back open.
fn process(words: &Words) -> Arc<Slots<Token>> {
    Arc::new(Slots::of(words.of_a_relative()))
}

fn made(claimed: Claimed<Token>) -> Box<Token> {
    match claimed {
        Claimed::Open(ring) => ring,
        Claimed::Empty { slot, generation, .. } => Box::new(Token { slot, generation }),
    }
}

fn use_it(slots: &Slots<Token>, users: &Users, me: u32, ring: Box<Token>) {
    let Token { slot, generation } = *ring;
    users.enter(slot);
    assert_eq!((slots.look(slot).holder, slots.look(slot).generation), (me, generation));
    users.leave(slot);
    slots.give_back(slot, generation, me, ring);
}

fn claim(slots: &Slots<Token>, me: u32) -> Option<Box<Token>> {
    let claimed = slots.claim_any(me, || Ok::<_, ()>(())).unwrap();
    claimed.map(made)
}

/// As many slots as threads: whoever looks must find one. The first thread claims `times` times, the
/// others once.
fn claim_and_return(threads: usize, times: usize, open: bool) {
    let words = Words::of_a_model(threads);
    let slots = process(&words);
    let users = Users::new(threads);
    if open {
        let rings: Vec<_> = (0..threads).map(|_| claim(&slots, 1).unwrap()).collect();
        rings.into_iter().for_each(|ring| slots.give_back(ring.slot, ring.generation, 1, ring));
    }
    let work = |slots: &Slots<Token>, users: &Users, times: usize| {
        for _ in 0..times {
            let ring = claim(slots, 1).expect("there are enough");
            use_it(slots, users, 1, ring);
        }
    };
    let others: Vec<_> = (1..threads)
        .map(|_| {
            let (slots, users) = (slots.clone(), users.clone());
            thread::spawn(move || work(&slots, &users, 1))
        })
        .collect();
    work(&slots, &users, times);
    others.into_iter().for_each(|thread| thread.join().unwrap());
    for slot in 0..threads {
        let word = slots.look(slot);
        assert!(matches!(word.state, State::Idle | State::Empty), "{word:?}");
        assert_eq!(word.state == State::Idle, slots.is_known(slot, word), "slot {slot} is lost");
    }
    let all: Vec<_> = (0..threads).map(|_| claim(&slots, 1).expect("none is lost")).collect();
    assert!(claim(&slots, 1).is_none());
    drop(all);
}

fn check(bound: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bound;
    builder.check(model);
}

#[test]
fn threads_that_find_rings_open_get_one_each_and_lose_none() {
    check(Some(3), || claim_and_return(2, 2, true));
}

#[test]
fn threads_that_find_slots_empty_get_one_each_and_lose_none() {
    check(Some(2), || claim_and_return(2, 2, false));
}

#[test]
fn three_threads_at_once_get_one_each() {
    check(Some(1), || claim_and_return(3, 1, true));
}

/// The same ring is known to two processes, as after a fork.
#[test]
fn relatives_that_know_the_same_ring_never_have_it_both() {
    check(None, || {
        let words = Words::of_a_model(1);
        let (parent, child) = (process(&words), process(&words));
        let users = Users::new(1);
        let ring = claim(&parent, 1).unwrap();
        let generation = ring.generation;
        parent.give_back(0, generation, 1, ring);
        // The copy that the fork made.
        child.kept.of(0).keep(generation, Box::new(Token { slot: 0, generation }));
        child.kept.of(0).push();
        let theirs = {
            let users = users.clone();
            thread::spawn(move || {
                if let Some(ring) = claim(&child, 2) {
                    use_it(&child, &users, 2, ring);
                }
            })
        };
        if let Some(ring) = claim(&parent, 1) {
            use_it(&parent, &users, 1, ring);
        }
        theirs.join().unwrap();
        let ring = claim(&parent, 1).expect("it is free again, and known");
        assert_eq!(ring.generation, generation);
    });
}

/// A process that dies holding a slot, at any point of its claim; two others look for it.
#[test]
fn what_a_dead_process_held_goes_to_one_heir_and_is_of_use_again() {
    check(Some(2), || {
        let words = Words::of_a_model(1);
        let users = Users::new(1);
        let lives = Arc::new(AtomicBool::new(true));
        let dying = {
            let (slots, lives) = (process(&words), lives.clone());
            thread::spawn(move || {
                // It never gives it back. The kernel drops its lock when it is no more.
                std::mem::forget(claim(&slots, 1));
                lives.store(false, Release);
            })
        };
        let heir = |me: u32| {
            let (slots, lives, users) = (process(&words), lives.clone(), users.clone());
            move || {
                let recover = || {
                    for (slot, seen) in slots.perhaps_lost(me) {
                        let dead = seen.holder == 1 && !lives.load(Acquire);
                        if dead && slots.inherit(slot, seen, me).is_some() {
                            // Its pages are replaced here.
                            users.enter(slot);
                            users.leave(slot);
                            slots.clear(slot, seen.generation, true);
                        }
                    }
                    Ok::<_, ()>(())
                };
                if let Some(ring) = slots.claim_any(me, recover).unwrap().map(made) {
                    let slot = ring.slot;
                    users.enter(slot);
                    users.leave(slot);
                    slots.clear(slot, ring.generation, true);
                }
            }
        };
        let other = thread::spawn(heir(2));
        heir(3)();
        other.join().unwrap();
        dying.join().unwrap();
        assert!(!lives.load(SeqCst));
        // Whoever looks now gets it.
        let (slots, recovered) = (process(&words), AtomicUsize::new(0));
        let recover = || {
            for (slot, seen) in slots.perhaps_lost(4) {
                assert!(slots.inherit(slot, seen, 4).is_some(), "nobody else is left");
                slots.clear(slot, seen.generation, true);
                recovered.fetch_add(1, Relaxed);
            }
            Ok::<_, ()>(())
        };
        assert!(slots.claim_any(4, recover).unwrap().is_some(), "it is not lost for good");
        assert!(recovered.load(Relaxed) <= 1);
    });
}
