//! Ten thousand rounds of make, use and drop leave descriptors, mappings and memory as they were.
//!
//! One test a file: what another one opens or maps would be counted too.
#![allow(unsafe_code)]

mod common;

use std::fs::File;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use common::live::{Alive, Live};
use common::relatives::answers;
use common::sanitizer::{ADDRESS, VALGRIND, left_out};
use common::silent::submit_reads;
use common::{cannot, config, descriptors, maps, page, routes_here};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use uring_pool::{Cause, Make, Memory, PgAioUringCaps, PoolBuilder, Ring, RingPool, Route, sys};

#[global_allocator]
static ALLOCATOR: Live = Live;

/// Small, as their pages are zeroed each time.
const RINGS: usize = 3;

/// Rounds in all; `URING_POOL_ROUNDS` asks for another number.
fn rounds() -> usize {
    std::env::var("URING_POOL_ROUNDS").map_or(10_000, |n| n.parse().expect("a number of rounds"))
}

fn builder(route: Route) -> PoolBuilder {
    RingPool::builder(config(4)).rings(RINGS).routes(&[route])
}

/// What requests are made of.
struct Files {
    file: File,
    /// Nobody writes to it.
    silent: OwnedFd,
    _writer: OwnedFd,
}

impl Files {
    fn open() -> Self {
        let (silent, _writer) = nix::unistd::pipe().unwrap();
        Self { file: tempfile::tempfile().unwrap(), silent, _writer }
    }

    /// A NOP, and a buffer that is written and read back.
    fn exchange(&self, ring: &mut Ring<Vec<u8>>, byte: u8) {
        let mut batch = ring.batch();
        batch.nop().push().unwrap();
        batch.write_at(&self.file, vec![byte; 100], 0).push().unwrap();
        batch.submit().unwrap();
        assert_eq!(ring.wait_through_signals(2).unwrap().count(), 2);
        let mut batch = ring.batch();
        batch.read_at(&self.file, vec![0; 100], 0).push().unwrap();
        batch.submit().unwrap();
        let done = ring.wait_through_signals(1).unwrap().next().unwrap();
        assert_eq!((done.result.unwrap(), done.buf.unwrap()), (100, vec![byte; 100]));
    }

    /// Leaves reads in flight.
    fn wait_in_vain(&self, ring: &mut Ring<Vec<u8>>) {
        let mut batch = ring.batch();
        for _ in 0..3 {
            batch.read_at(&self.silent, vec![0; 100], u64::MAX).push().unwrap();
        }
        batch.submit().unwrap();
        assert_eq!(ring.in_flight(), 3);
    }

    /// A ring lent to liburing, closed with reads in flight.
    fn lend(&self, pool: &RingPool) {
        let mut raw = sys::io_uring::default();
        // SAFETY: used only while the lease lives.
        let lease = unsafe { pool.claim_raw(&mut raw) }.unwrap();
        // SAFETY: open, and with four entries.
        unsafe { submit_reads(&mut raw, &self.silent, 2) };
        drop(lease);
    }

    // --- The rounds

    fn made_up_front(&self, route: Route) {
        let pool = builder(route).make(Make::UpFront).build().unwrap();
        let mut rings: Vec<_> = (0..RINGS).map(|slot| pool.claim_slot(slot).unwrap()).collect();
        for (ring, byte) in rings.iter_mut().zip(1..) {
            self.exchange(ring, byte);
        }
        assert_eq!(pool.stats().by_route(route), RINGS);
    }

    fn made_on_claim(&self, route: Route) {
        let pool = builder(route).build().unwrap();
        for byte in 1..3 {
            self.exchange(&mut pool.claim().unwrap(), byte);
        }
        assert_eq!(pool.stats().open, 1, "the second claim makes none");
    }

    fn dropped_with_reads_in_flight(&self, route: Route) {
        let pool = builder(route).build().unwrap();
        let mut first = pool.claim().unwrap();
        self.wait_in_vain(&mut first);
        drop(first);
        let mut second = pool.claim().unwrap();
        self.wait_in_vain(&mut second);
        // The ring holds the pool.
        drop(pool);
        drop(second);
    }

    fn lent_to_liburing(&self, route: Route) {
        let pool = builder(route).build().unwrap();
        self.lend(&pool);
        answers(&mut pool.claim().unwrap(), 1);
        self.lend(&pool);
    }

    fn in_no_pool(&self) {
        let mut ring = Ring::open(&config(4)).unwrap();
        self.exchange(&mut ring, 1);
        self.wait_in_vain(&mut ring);
    }

    fn in_memory_of_kind(&self, memory: Memory) {
        let builder = RingPool::builder(config(4)).rings(RINGS).memory(memory);
        let build = || builder.clone().make(Make::UpFront).build();
        let pool = match memory {
            // Of which there are few, and closed rings give theirs back late.
            Memory::HugePages => before_long(|| match build() {
                Err(error) if matches!(error.cause(), Cause::NoHugePages { .. }) => None,
                pool => Some(pool.unwrap()),
            }),
            _ => build().unwrap(),
        };
        self.exchange(&mut pool.claim().unwrap(), 1);
        self.lend(&pool);
    }

    fn in_memory_of_the_callers(&self) {
        let builder = RingPool::builder(config(4)).rings(RINGS);
        let bytes = builder.bytes().unwrap();
        let len = NonZeroUsize::new(bytes).unwrap();
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping touches nothing that exists.
        let base = unsafe { mmap_anonymous(None, len, protection, MapFlags::MAP_SHARED) }.unwrap();
        // SAFETY: shared, zeroed, and nobody else's; unmapped after the pool and its rings.
        let pool = unsafe { builder.build_in(base.cast(), bytes, page()) }.unwrap();
        self.exchange(&mut pool.claim().unwrap(), 1);
        self.lend(&pool);
        drop(pool);
        // SAFETY: this mapping, and nobody uses it any more.
        unsafe { munmap(base, bytes) }.unwrap();
    }
}

/// What comes true before long. Closed rings are taken down by a thread of the kernel's.
fn before_long<T>(attempt: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(Instant::now() < deadline, "closed rings give nothing back");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What must be as it was.
#[derive(Debug, PartialEq, Eq)]
struct State {
    descriptors: usize,
    maps: usize,
    alive: Alive,
}

fn state() -> State {
    State { descriptors: descriptors(), maps: maps(), alive: Live::here() }
}

/// A figure in KiB that `/proc/self/…` tells; 0 where this kernel does not.
fn figure(file: &str, name: &str) -> usize {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().expect("a number of KiB"))
}

/// Resident memory: counted page by page, where `status` has an estimate.
fn resident() -> usize {
    figure("smaps_rollup", "Rss:")
}

fn locked() -> usize {
    figure("status", "VmLck:") + figure("status", "VmPin:")
}

/// KiB of growth that are none: the C library's heap may end at another page, and code be run for
/// the first time. A page a round would be ten times as much.
const SLACK: usize = 256;

/// Runs many rounds and holds what they leave behind against what the first did. Returns by how
/// much resident memory grew.
fn leave_everything_as_it_was(what: &str, rounds: usize, round: impl Fn()) -> usize {
    // What is made once for all is no leak.
    (0..3).for_each(|_| round());
    let (before, resident_before, locked_before) = (state(), resident(), locked());
    (0..rounds).for_each(|_| round());
    assert_eq!(state(), before, "after {rounds} rounds of rings {what}");
    before_long(|| (locked() <= locked_before).then_some(()));
    resident().saturating_sub(resident_before)
}

type Round<'a> = Box<dyn Fn() + 'a>;

#[test]
fn ten_thousand_rounds_of_make_use_and_drop_leave_nothing_behind() {
    let files = &Files::open();
    let mut all: Vec<(String, Round<'_>)> = vec![
        ("in no pool".into(), Box::new(|| files.in_no_pool())),
        (
            "that a check tries".into(),
            Box::new(|| drop(PgAioUringCaps::check(&config(4)).unwrap())),
        ),
        ("in the caller's memory".into(), Box::new(|| files.in_memory_of_the_callers())),
    ];
    for route in routes_here(&config(4)) {
        let rounds: [(&str, Round<'_>); 4] = [
            ("made up front", Box::new(move || files.made_up_front(route))),
            ("made on claim", Box::new(move || files.made_on_claim(route))),
            ("with reads in flight", Box::new(move || files.dropped_with_reads_in_flight(route))),
            ("lent to liburing", Box::new(move || files.lent_to_liburing(route))),
        ];
        all.extend(rounds.map(|(what, round)| (format!("{what}, by the route {route}"), round)));
    }
    for memory in [Memory::Anonymous, Memory::Memfd, Memory::HugePages] {
        match RingPool::builder(config(4)).memory(memory).build() {
            Ok(_) => all.push((
                format!("in memory of the kind {memory:?}"),
                Box::new(move || files.in_memory_of_kind(memory)),
            )),
            Err(error) => {
                assert!(matches!(error.cause(), Cause::NoHugePages { .. }), "{error}");
                cannot("leaks in huge pages", &error.to_string());
            }
        }
    }
    let resident_counts = !left_out(
        &[ADDRESS, VALGRIND],
        "whether resident memory grows",
        "its allocator keeps what was freed for a while",
    );
    let each = rounds().div_ceil(all.len());
    for (what, round) in all {
        let begun = Instant::now();
        let grown = leave_everything_as_it_was(&what, each, round);
        eprintln!("{each} rounds of rings {what}: {grown} KiB, {:?}", begun.elapsed());
        assert!(!resident_counts || grown <= SLACK, "{grown} KiB more are resident: rings {what}");
    }
}
