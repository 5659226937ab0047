//! P3 under fire: processes that claim, submit and return, and are killed at any moment.
//!
//! One test a file: it counts the process's descriptors.
#![allow(unsafe_code)]

mod common;

use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::{Child, config, descriptors, in_child, routes_here};
use uring_pool::{Cause, Make, RingPool, Route};

const SLOTS: usize = 12;
const PROCESSES: usize = 8;

/// Kills in each of the runs; `URING_POOL_KILLS` asks for more.
fn kills() -> usize {
    std::env::var("URING_POOL_KILLS").map_or(80, |n| n.parse().expect("a number of kills"))
}

/// Who is inside which slot, and who was sent to death, in memory that all processes share.
struct Marks(std::ptr::NonNull<AtomicU32>);

const DOOMED: usize = 60_000;

impl Marks {
    fn new() -> Self {
        use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
        let flags = MapFlags::MAP_SHARED;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let len = std::num::NonZeroUsize::new(4 * (SLOTS + 1 + DOOMED)).unwrap();
        // SAFETY: a new mapping touches nothing that exists.
        Self(unsafe { mmap_anonymous(None, len, protection, flags) }.unwrap().cast())
    }

    fn word(&self, index: usize) -> &AtomicU32 {
        assert!(index < SLOTS + 1 + DOOMED);
        // SAFETY: the mapping has room for all, and is never unmapped.
        let at = unsafe { self.0.add(index) };
        // SAFETY: aligned, zeroed when mapped, only accessed atomically.
        unsafe { at.as_ref() }
    }

    /// Who is inside this slot.
    fn of(&self, slot: usize) -> &AtomicU32 {
        assert!(slot < SLOTS);
        self.word(slot)
    }

    /// Noted before the process is killed, so before it can lose what it holds.
    fn doom(&self, id: u32) {
        let n = self.word(SLOTS).load(SeqCst);
        self.word(SLOTS + 1 + n as usize).store(id, SeqCst);
        self.word(SLOTS).store(n + 1, SeqCst);
    }

    fn is_doomed(&self, id: u32) -> bool {
        let n = self.word(SLOTS).load(SeqCst) as usize;
        (0..n).any(|i| self.word(SLOTS + 1 + i).load(SeqCst) == id)
    }
}

/// Claims, submits, sometimes leaves requests behind, returns; for ever.
fn work(pool: &RingPool, marks: &Marks, silent: &OwnedFd) {
    let me = std::process::id();
    for round in u64::from(me) << 32.. {
        let mut ring = match pool.claim::<Vec<u8>>() {
            Ok(ring) => ring,
            Err(error) => {
                assert!(matches!(error.cause(), Cause::NoSlotFree { .. }), "{error}");
                continue;
            }
        };
        let mark = marks.of(ring.slot().unwrap());
        let before = mark.swap(me, SeqCst);
        // Whoever was inside and is so no more was killed there.
        let dead = before == 0 || marks.is_doomed(before);
        assert!(dead, "{me} and {before} hold the same slot");
        let mut batch = ring.batch();
        batch.nop().tag(round).push().unwrap();
        batch.submit().unwrap();
        let tags: Vec<_> = ring.wait_through_signals(1).unwrap().map(|done| done.tag).collect();
        assert_eq!(tags, [round], "a stray completion");
        if round % 3 == 0 {
            let mut batch = ring.batch();
            for _ in 0..4 {
                batch.read_at(silent, vec![0; 512], u64::MAX).push().unwrap();
            }
            batch.submit().unwrap();
        }
        mark.compare_exchange(me, 0, SeqCst, SeqCst).expect("nobody else came in");
    }
}

fn soak(route: Route, make: Make) {
    let builder = RingPool::builder(config(8)).rings(SLOTS).routes(&[route]).make(make);
    let pool = builder.build().unwrap();
    let marks = Marks::new();
    // Nobody ever writes: reads stay in flight until they are cancelled.
    let (silent, _writer) = nix::unistd::pipe().unwrap();
    let start = || in_child(|| work(&pool, &marks, &silent));
    let mut children: Vec<Child> = (0..PROCESSES).map(|_| start()).collect();
    let before = descriptors();
    // A generator of no merit, so that a run can be repeated.
    let mut random = 12_345u64;
    for _ in 0..kills() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_micros(500 + (random >> 33) % 4000));
        let unlucky = (random >> 40) as usize % PROCESSES;
        let mut child = std::mem::replace(&mut children[unlucky], start());
        assert!(child.lives(), "a process ended by itself: an assertion failed in it");
        marks.doom(child.id());
        child.kill();
    }
    let open = descriptors();
    assert!(open <= before, "{open} descriptors, {before} before: by the route {route}");
    for mut child in children {
        assert!(child.lives(), "a process ended by itself: an assertion failed in it");
        marks.doom(child.id());
        child.kill();
    }
    pool.recover().unwrap();
    let stats = pool.stats();
    assert_eq!((stats.claimed, stats.retired), (0, 0), "by the route {route}: {stats:?}");
    // Every slot is of use again. Those that a child made a ring in, and returned, are idle and
    // nobody's: the child that could have used them is dead.
    for slot in 0..SLOTS {
        let mut ring = pool.claim_slot::<()>(slot).unwrap();
        let mut batch = ring.batch();
        batch.nop().tag(7).push().unwrap();
        batch.submit().unwrap();
        let tags: Vec<_> = ring.wait_through_signals(1).unwrap().map(|done| done.tag).collect();
        assert_eq!(tags, [7]);
    }
}

#[test]
fn killed_processes_cost_no_slot_and_nobody_gets_a_slot_that_is_held() {
    for route in routes_here(&config(8)) {
        soak(route, Make::UpFront);
        soak(route, Make::OnClaim);
    }
}
