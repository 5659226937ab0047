//! Forgotten values, panics, and every order of dropping, by every route that there is.

mod common;

use std::fs::File;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use common::rings::{number, one, rings};
use common::sanitizer::{ADDRESS, VALGRIND, left_out};
use common::{config, descriptors, in_child, pool_by, routes_here};
use uring_pool::{Buf, BufMut, Cause, PoolBuf, Ring, RingPool};

/// A buffer that tells how many of its kind there are.
#[derive(Debug)]
struct Counted {
    bytes: Vec<u8>,
    _alive: Arc<()>,
}

const LOST: &str = "what is lost on purpose is told as a leak";

impl Counted {
    fn new(alive: &Arc<()>) -> Self {
        Self { bytes: vec![0; 64], _alive: Arc::clone(alive) }
    }
}

#[allow(unsafe_code)]
// SAFETY: the bytes are a vector's, which keeps them where they are.
unsafe impl Buf for Counted {
    fn stable_ptr(&self) -> *const u8 {
        self.bytes.stable_ptr()
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }
}

#[allow(unsafe_code)]
// SAFETY: as above.
unsafe impl BufMut for Counted {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.stable_mut_ptr()
    }
}

fn alive(of: &Arc<()>) -> usize {
    Arc::strong_count(of) - 1
}

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
        let mut batch = ring.batch();
        batch.read(&read, Counted::new(&of)).push().unwrap();
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
    busy: Option<Ring<Counted>>,
    idle: Option<Ring<Counted>>,
    buffer: Option<PoolBuf>,
}

impl Parts {
    const NUMBER: usize = 5;

    fn drop_one(&mut self, which: usize) {
        match which {
            0 => self.pool = None,
            1 => self.clone = None,
            2 => self.busy = None,
            3 => self.idle = None,
            _ => self.buffer = None,
        }
    }
}

#[test]
fn a_pool_its_rings_and_buffers_may_be_dropped_in_every_order() {
    let (zero, (read, _write)) = (zero(), nix::unistd::pipe().unwrap());
    // In a process of its own, whose descriptors are nobody else's.
    let child = in_child(|| {
        routes_here(&config(8)).into_iter().for_each(|route| {
            let before = descriptors();
            for order in orders(Parts::NUMBER) {
                let of = Arc::new(());
                let builder =
                    RingPool::builder(config(8)).rings(2).buffers(2, 512).routes(&[route]);
                let pool = builder.build().unwrap();
                let mut busy = pool.claim::<Counted>().unwrap();
                let mut batch = busy.batch();
                batch.read(&read, Counted::new(&of)).push().unwrap();
                batch.submit().unwrap();
                let mut parts = Parts {
                    clone: Some(pool.clone()),
                    idle: Some(pool.claim().unwrap()),
                    buffer: Some(pool.buffer().unwrap()),
                    busy: Some(busy),
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
                }
                assert_eq!(alive(&of), 0, "{order:?}");
            }
            assert_eq!(descriptors(), before, "by the route {route}");
        })
    });
    assert!(child.succeeded());
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
