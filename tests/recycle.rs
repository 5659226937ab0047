//! P3: a recycled slot never sees anything of the ring that was there before, whatever that had
//! under way when it was closed.
//!
//! What is in flight when a ring is closed completes some time later, from another thread of the
//! kernel's: in the new ring's queue, if that lay in the same pages. So a few slots take turns, and
//! each new ring is looked at twice: at once, and when its slot's turn comes again.
#![allow(unsafe_code)]

mod common;

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::AtomicU8;

use common::direct::direct_file;
use common::memory::{self, Kind};
use common::{config, routes_here};
use uring_pool::{Ring, RingPool, Route, sys};

/// Rounds of each sort; `URING_POOL_RECYCLINGS` asks for more.
fn rounds() -> u64 {
    std::env::var("URING_POOL_RECYCLINGS").map_or(500, |n| n.parse().expect("a number of rounds"))
}

const SLOTS: usize = 8;
const REQUESTS: usize = 8;

/// What a ring has under way when it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Reads,
    Polls,
    Timeouts,
    DirectReads,
}

const ALL: [Left; 5] = [Left::Nothing, Left::Reads, Left::Polls, Left::Timeouts, Left::DirectReads];

/// What requests are made of that outlive their ring.
struct Leavings {
    pipe: (OwnedFd, File),
    /// Past the page cache, so that a read takes its time; `None` where no file can be read so.
    direct: Option<File>,
}

const BLOCK: usize = 4096;

#[repr(align(4096))]
struct Block([AtomicU8; BLOCK]);

/// Where their requests read to: never freed, and no leak checker takes it for lost.
static NOWHERE: Block = Block([const { AtomicU8::new(0) }; BLOCK]);

impl Leavings {
    fn new() -> Self {
        let (read, write) = nix::unistd::pipe().unwrap();
        Self { pipe: (read, write.into()), direct: direct_file(&[7; BLOCK]) }
    }

    /// Prepares one request of this sort.
    fn prepare(&self, left: Left, sqe: *mut sys::io_uring_sqe) {
        let pipe = self.pipe.0.as_raw_fd();
        let buf = NOWHERE.0.as_ptr().cast_mut().cast();
        match left {
            Left::Nothing => unreachable!("nothing is prepared"),
            // SAFETY: an SQE of an open ring; the buffer is never freed, and nobody looks at it.
            // (The offset's type is another in liburing 2.0.)
            Left::Reads => unsafe { sys::io_uring_prep_read(sqe, pipe, buf, 1, u64::MAX as _) },
            Left::Polls => {
                let events = nix::libc::POLLIN as u32;
                // SAFETY: as above.
                unsafe { sys::io_uring_prep_poll_add(sqe, pipe, events as _) }
            }
            Left::Timeouts => {
                // A millisecond: some are over before their ring is closed, some just then.
                static TIME: sys::__kernel_timespec =
                    sys::__kernel_timespec { tv_sec: 0, tv_nsec: 1_000_000 };
                // SAFETY: as above; the time is only read.
                unsafe { sys::io_uring_prep_timeout(sqe, (&raw const TIME).cast_mut(), 0, 0) }
            }
            Left::DirectReads => {
                let file = self.direct.as_ref().expect("asked for before").as_raw_fd();
                // SAFETY: as above.
                unsafe { sys::io_uring_prep_read(sqe, file, buf, BLOCK as u32, 0) }
            }
        }
        // SAFETY: as above. (Not `io_uring_sqe_set_data64`, which came with 2.2.)
        unsafe { (*sqe).user_data = 0xdead };
    }

    /// Claims a slot for liburing, leaves this under way, and closes the ring.
    fn leave(&self, left: Left, pool: &RingPool, round: u64) -> usize {
        let mut ring = sys::io_uring::default();
        // SAFETY: used only while the lease lives; what requests need is never freed.
        let lease = unsafe { pool.claim_raw(&mut ring) }.unwrap();
        let requests = if left == Left::Nothing { 0 } else { REQUESTS };
        for _ in 0..requests {
            // SAFETY: an open ring; the SQE is filled before it is submitted.
            let sqe = unsafe { sys::io_uring_get_sqe(&mut ring) };
            self.prepare(left, sqe);
        }
        // SAFETY: as above.
        assert_eq!(unsafe { sys::io_uring_submit(&mut ring) }, requests as i32);
        // Sometimes one of them completes while the ring is closed.
        if left == Left::Reads && round % 3 == 0 {
            (&self.pipe.1).write_all(b"x").unwrap();
        }
        lease.slot()
    }
}

/// A new ring answers a NOP, and has nothing else in its queue.
fn begin(pool: &RingPool, tag: u64, what: &str) -> Ring<()> {
    let mut ring = pool.claim::<()>().unwrap();
    let mut batch = ring.batch();
    batch.nop().tag(tag).push().unwrap();
    batch.submit().unwrap();
    // A NOP is done at once. With a stranger's tail in the queue, `wait` might never end.
    let tags: Vec<_> = ring.peek().map(|done| done.tag).take(2).collect();
    assert_eq!(tags, [tag], "{what}: a completion of the ring that was there before");
    ring
}

/// Whether that one NOP is all that was ever in its completion queue.
fn nothing_else_came(ring: &mut Ring<()>, what: &str) {
    let cq_len = ring.cq_len() as usize;
    // SAFETY: nothing is done with it but looking.
    let raw = unsafe { ring.as_raw() };
    // SAFETY: the ring is neither moved nor dropped meanwhile.
    let cq = unsafe { (*raw).cq };
    // SAFETY: the tail is a word of the open ring.
    assert_eq!(unsafe { cq.ktail.read_volatile() }, 1, "{what}: a stranger moved the tail");
    for i in 1..cq_len {
        // SAFETY: the queue has so many entries.
        let cqe = unsafe { cq.cqes.add(i) };
        // SAFETY: an entry of the open ring, which begins with its user data, in zeroed pages.
        let user_data = unsafe { cqe.cast::<u64>().read_volatile() };
        assert_eq!(user_data, 0, "{what}: a stranger's entry at {i}");
    }
}

/// Each slot in turn: its ring is closed with this under way, and another made in its place.
fn take_turns(left: Left, leavings: &Leavings, kind: Kind, route: Route) {
    let what = format!("{left:?} in {kind} memory by {route}");
    let pool = memory::pool(kind, RingPool::builder(config(8)).rings(SLOTS).routes(&[route]));
    let pool = pool.unwrap();
    let mut rings: Vec<_> = (0..SLOTS).map(|slot| Some(begin(&pool, slot as u64, &what))).collect();
    for round in 0..rounds() {
        let turn = &mut rings[round as usize % SLOTS];
        let mut before = turn.take().unwrap();
        nothing_else_came(&mut before, &what);
        let slot = before.slot();
        // It stays open and, as the only free one, is the next to be claimed.
        drop(before);
        assert_eq!(Some(leavings.leave(left, &pool, round)), slot, "{what}");
        let next = begin(&pool, round, &what);
        assert_eq!(next.slot(), slot, "{what}: the same slot again");
        *turn = Some(next);
    }
    std::thread::sleep(std::time::Duration::from_millis(5));
    for ring in rings.iter_mut().flatten() {
        nothing_else_came(ring, &what);
    }
    assert_eq!(pool.stats().retired, 0, "{what}");
}

#[test]
fn a_recycled_slot_never_sees_a_completion_of_the_ring_before() {
    let leavings = Leavings::new();
    for route in routes_here(&config(8)) {
        for kind in [Kind::Anonymous, Kind::Memfd, Kind::Callers] {
            for left in ALL {
                if left != Left::DirectReads || leavings.direct.is_some() {
                    take_turns(left, &leavings, kind, route);
                }
            }
        }
    }
}

#[test]
fn a_slot_whose_pages_cannot_be_replaced_is_retired_counted_and_never_used_again() {
    const MANY: usize = 200;
    let leavings = Leavings::new();
    for route in routes_here(&config(8)).into_iter().filter(|route| route.is_combined()) {
        let builder = RingPool::builder(config(8)).rings(MANY).routes(&[route]);
        let Some(pool) = memory::huge(builder) else { return };
        let mut rings = Vec::new();
        let mut left_behind = Vec::new();
        for round in 0..MANY / 2 {
            let left = ALL[round % ALL.len()];
            let left = if leavings.direct.is_none() && left == Left::DirectReads {
                Left::Polls
            } else {
                left
            };
            let what = format!("{left:?} in huge pages by {route}");
            left_behind.push(leavings.leave(left, &pool, 1));
            assert_eq!(pool.stats().retired, left_behind.len(), "{what}");
            let next = begin(&pool, round as u64, &what);
            assert!(!left_behind.contains(&next.slot().unwrap()), "{what}: used again");
            rings.push(next);
        }
        rings.iter_mut().for_each(|ring| nothing_else_came(ring, "in huge pages"));
        let error = pool.claim::<()>().unwrap_err();
        assert_eq!(error.cause(), uring_pool::Cause::NoSlotFree { slots: MANY }, "{error}");
        let error = pool.claim_slot::<()>(left_behind[0]).unwrap_err();
        assert_eq!(error.cause(), uring_pool::Cause::SlotRetired, "{error}");
    }
}
