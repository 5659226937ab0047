//! Forgotten values, panics, and every order of dropping, by every route that there is.

mod common;

use std::fs::File;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::counted::{Counted, alive};
use common::rings::{number, one, rings};
use common::sanitizer::{ADDRESS, VALGRIND, left_out};
use common::{config, descriptors, in_child, pool_by, routes_here};
use uring_pool::{Buf as _, Cause, Completion, PoolBuf, Ring, RingPool};

const LOST: &str = "what is lost on purpose is told as a leak";

fn zero() -> File {
    File::open("/dev/zero").unwrap()
}

/// What is forgotten is lost, and nothing else.
#[test]
fn a_forgotten_completion_takes_its_buffer_along_and_leaves_the_ring_whole() {
    if left_out(&[ADDRESS, VALGRIND], "a forgotten completion", LOST) {
        return;
    }
    let (zero, of) = (zero(), Arc::new(()));
    for mut ring in rings::<Counted>(config(4)) {
        let before = alive(&of);
        // More rounds than there are places: none of them is lost.
        for round in 0..20 {
            let done = one!(ring, |batch| batch.read_at(&zero, Counted::new(&of), 0));
            assert_eq!(number(&done), 64);
            if round % 2 == 0 { std::mem::forget(done) } else { drop(done) }
        }
        assert_eq!((alive(&of) - before, ring.in_flight()), (10, 0));
    }
}

/// Its slot stays in use, its buffers stay where they are, and its neighbours work.
#[test]
fn a_forgotten_ring_with_requests_under_way_disturbs_nobody() {
    if left_out(&[ADDRESS, VALGRIND], "a forgotten ring", LOST) {
        return;
    }
    let zero = zero();
    for route in routes_here(&config(8)) {
        let of = Arc::new(());
        let pool = pool_by(route, config(8), 2);
        let (read, write) = nix::unistd::pipe().unwrap();
        let mut ring = pool.claim::<Counted>().unwrap();
        let slot = ring.slot();
        let buf = Counted::new(&of);
        let bytes = buf.stable_ptr().cast::<[u8; 64]>();
        let mut batch = ring.batch();
        batch.read(&read, buf).push().unwrap();
        batch.submit().unwrap();
        std::mem::forget(ring);
        for _ in 0..4 {
            let mut other = pool.claim::<Counted>().unwrap();
            assert_ne!(other.slot(), slot);
            let done = one!(other, |batch| batch.read_at(&zero, Counted::new(&of), 0));
            assert_eq!(number(&done), 64);
        }
        // The kernel fills the buffer still.
        File::from(write).write_all(&[7; 64]).unwrap();
        let (first, second) = (pool.claim::<()>(), pool.claim::<()>());
        assert!(first.is_ok());
        assert_eq!(second.unwrap_err().cause(), Cause::NoSlotFree { slots: 2 });
        assert_eq!(alive(&of), 1);
        drop(first);
        drop(pool);
        assert!(comes_to_be(bytes, [7; 64]), "by the route {route}");
    }
}

/// Whether the kernel fills a forgotten buffer so within a few seconds.
fn comes_to_be(bytes: *const [u8; 64], so: [u8; 64]) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        #[allow(unsafe_code)]
        // SAFETY: whose bytes they are was forgotten, so they are never freed; bytes have any value;
        // and the kernel's own writing is not this language's.
        let filled = unsafe { bytes.read_volatile() } == so;
        if filled || Instant::now() >= deadline {
            return filled;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_panic_between_push_and_submit_gives_everything_back() {
    let (zero, of) = (zero(), Arc::new(()));
    for mut ring in rings::<Counted>(config(8)) {
        let panics = catch_unwind(AssertUnwindSafe(|| {
            let mut batch = ring.batch();
            for _ in 0..3 {
                batch.read_at(&zero, Counted::new(&of), 0).push().unwrap();
            }
            panic!("on purpose");
        }));
        assert!(panics.is_err());
        assert_eq!((alive(&of), ring.in_flight()), (0, 0));
        let done = one!(ring, |batch| batch.read_at(&zero, Counted::new(&of), 0).tag(5));
        assert_eq!((done.tag, number(&done)), (5, 64));
    }
}

/// All that can be had of a pool, each with something under way or in use.
struct Parts {
    pool: Option<RingPool>,
    clone: Option<RingPool>,
    busy: Option<Ring<PoolBuf>>,
    idle: Option<Ring<Counted>>,
    buffer: Option<PoolBuf>,
    done: Option<Completion<PoolBuf>>,
}

impl Parts {
    const NUMBER: usize = 6;

    /// Buffers that are in somebody's hands, if there is a pool to be asked.
    fn buffers_in_use(&self) -> Option<usize> {
        let pool = self.pool.as_ref().or(self.clone.as_ref())?;
        Some(pool.stats().buffers?.in_use)
    }

    fn drop_one(&mut self, which: usize) {
        match which {
            0 => self.pool = None,
            1 => self.clone = None,
            2 => self.busy = None,
            3 => self.idle = None,
            4 => self.buffer = None,
            _ => self.done = None,
        }
    }
}

#[test]
fn a_pool_its_rings_and_buffers_may_be_dropped_in_every_order() {
    let (zero, (read, _write)) = (zero(), nix::unistd::pipe().unwrap());
    // In a process of its own, whose descriptors are nobody else's.
    let child = in_child(|| {
        for route in routes_here(&config(8)) {
            let before = descriptors();
            for order in orders(Parts::NUMBER) {
                let of = Arc::new(());
                let builder =
                    RingPool::builder(config(8)).rings(2).buffers(3, 512).routes(&[route]);
                let pool = builder.build().unwrap();
                let mut busy = pool.claim().unwrap();
                let mut done = one!(busy, |batch| batch.read_fixed(&zero, buffer(&pool), 0));
                assert_eq!(number(&done), 512);
                done.buf.as_mut().unwrap().fill(99);
                let mut batch = busy.batch();
                batch.read_fixed(&read, buffer(&pool), 0).push().unwrap();
                batch.submit().unwrap();
                let mut parts = Parts {
                    clone: Some(pool.clone()),
                    idle: Some(pool.claim().unwrap()),
                    buffer: Some(buffer(&pool)),
                    busy: Some(busy),
                    done: Some(done),
                    pool: Some(pool),
                };
                for which in &order {
                    parts.drop_one(*which);
                    if let Some(ring) = &mut parts.idle {
                        let done = one!(*ring, |batch| batch.read_at(&zero, Counted::new(&of), 0));
                        assert_eq!(number(&done), 64, "{order:?} after {which}");
                    }
                    if let Some(buffer) = &mut parts.buffer {
                        buffer.fill(*which as u8);
                        assert!(buffer.iter().all(|byte| usize::from(*byte) == *which));
                    }
                    let users =
                        [parts.busy.is_some(), parts.buffer.is_some(), parts.done.is_some()];
                    let in_use = users.into_iter().filter(|holds| *holds).count();
                    let counted = parts.buffers_in_use();
                    assert_eq!(counted.unwrap_or(in_use), in_use, "{order:?} after {which}");
                    if let Some(buffer) = parts.done.as_ref().and_then(|done| done.buf.as_ref()) {
                        assert!(buffer.iter().all(|byte| *byte == 99), "{order:?} after {which}");
                    }
                }
                assert_eq!(alive(&of), 0, "{order:?}");
            }
            assert_eq!(descriptors(), before, "by the route {route}");
        }
    });
    assert!(child.succeeded());
}

fn buffer(of: &RingPool) -> PoolBuf {
    of.buffer().unwrap()
}

/// Every order of so many things.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let with = |order: Vec<usize>| {
        (0..=order.len()).map(move |at| {
            let mut longer = order.clone();
            longer.insert(at, n - 1);
            longer
        })
    };
    orders(n - 1).into_iter().flat_map(with).collect()
}
