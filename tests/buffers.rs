//! The pool's own buffers: registered once, and each in one owner's hands.
#![allow(unsafe_code)]

mod common;

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::memory::{self, Kind};
use common::relatives::signals;
use common::somebody::Somebody;
use common::{config, in_child, kernel, routes_here};
use uring_pool::{Cause, Make, PoolBuf, Resource, Ring, RingPool, Route};

const SIZE: usize = 8192;

fn scratch(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    file
}

fn content() -> Vec<u8> {
    (0..3 * SIZE).map(|i| (i / 7) as u8).collect()
}

/// Reads a file's second block into a buffer of the pool's, and writes it to another's start.
fn copies(ring: &mut Ring<PoolBuf>, pool: &RingPool) {
    let content = content();
    let (from, mut to) = (scratch(&content), scratch(b""));
    let mut batch = ring.batch();
    batch.read_fixed(&from, pool.buffer().unwrap(), SIZE as u64).push().unwrap();
    batch.submit().unwrap();
    let done = ring.wait_through_signals(1).unwrap().next().unwrap();
    assert_eq!(done.result.unwrap() as usize, SIZE);
    let mut buf = done.buf.unwrap();
    assert_eq!(buf[..], content[SIZE..2 * SIZE]);
    buf[0] = b'!';
    buf.set_len(100);
    let mut batch = ring.batch();
    batch.write_fixed(&to, buf, 0).push().unwrap();
    batch.submit().unwrap();
    assert_eq!(ring.wait_through_signals(1).unwrap().next().unwrap().result.unwrap(), 100);
    let mut written = Vec::new();
    to.read_to_end(&mut written).unwrap();
    assert_eq!((written[0], &written[1..]), (b'!', &content[SIZE + 1..SIZE + 100]));
}

/// What a request for such a buffer asks of the kernel.
fn opcodes(ring: &mut Ring<PoolBuf>, pool: &RingPool) -> [String; 2] {
    let file = scratch(b"");
    let opcode = |shown: String| {
        let (_, rest) = shown.split_once("opcode: ").unwrap();
        rest.split_once(',').unwrap().0.to_owned()
    };
    let mut batch = ring.batch();
    let read = opcode(format!("{:?}", batch.read_fixed(&file, pool.buffer().unwrap(), 0)));
    [read, opcode(format!("{:?}", batch.write_fixed(&file, pool.buffer().unwrap(), 0)))]
}

const FIXED: [&str; 2] = ["4", "5"];
const PLAIN: [&str; 2] = ["22", "23"];

#[test]
fn registered_buffers_are_read_into_and_written_from_in_every_kind_of_memory() {
    for route in routes_here(&config(8)) {
        for kind in [Kind::Anonymous, Kind::Memfd, Kind::Callers] {
            let builder = RingPool::builder(config(8)).rings(3).routes(&[route]).buffers(4, SIZE);
            let pool = memory::pool(kind, builder).unwrap();
            let mut rings: Vec<_> = (0..3).map(|_| pool.claim::<PoolBuf>().unwrap()).collect();
            for ring in &mut rings {
                assert!(ring.has_registered_buffers(), "{route} in {kind}: {:?}", pool.stats());
                assert_eq!(opcodes(ring, &pool), FIXED, "{route} in {kind}");
                copies(ring, &pool);
            }
            let buffers = pool.stats().buffers.unwrap();
            assert_eq!((buffers.in_use, buffers.retired, buffers.rings_without), (0, 0, 0));
            let shares = route.is_combined() && kernel() >= (6, 12);
            let expected = if shares { (3, 0) } else { (0, 3) };
            assert_eq!((buffers.rings_sharing, buffers.rings_registering), expected, "{route}");
        }
    }
}

#[test]
fn another_pools_buffer_is_an_ordinary_one() {
    let build = || RingPool::builder(config(8)).buffers(2, SIZE).build().unwrap();
    let (here, there) = (build(), build());
    let mut ring = here.claim::<PoolBuf>().unwrap();
    assert_eq!(opcodes(&mut ring, &here), FIXED);
    assert_eq!(opcodes(&mut ring, &there), PLAIN);
    copies(&mut ring, &there);
}

#[test]
fn each_buffer_has_one_owner_and_comes_back() {
    const THREADS: usize = 8;
    const ROUNDS: u8 = 200;
    let pool = RingPool::builder(config(8)).buffers(THREADS, 512).build().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS as u8 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let mine = thread.wrapping_mul(ROUNDS) ^ round;
                    let mut buf = pool.buffer().unwrap();
                    buf.fill(mine);
                    std::thread::yield_now();
                    assert!(buf.iter().all(|&byte| byte == mine));
                }
            });
        }
    });
    let all: Vec<_> = (0..THREADS).map(|_| pool.buffer().unwrap()).collect();
    let places: HashSet<_> = all.iter().map(|buf| buf.as_ptr().addr()).collect();
    assert_eq!(places.len(), THREADS);
    assert!(places.iter().all(|at| at % 512 == 0));
    let error = pool.buffer().unwrap_err();
    assert_eq!(error.cause(), Cause::NoBufferFree { buffers: THREADS, retired: 0 });
    drop(all);
    assert_eq!(pool.stats().buffers.unwrap().in_use, 0);
    assert!(pool.buffer().is_ok());
}

#[test]
fn a_childs_copy_of_a_buffer_is_out_of_its_reach() {
    let pool = RingPool::builder(config(8)).buffers(3, SIZE).build().unwrap();
    let mut mine = pool.buffer().unwrap();
    mine.fill(1);
    let mut slot = Some(mine);
    let mut other = pool.buffer().ok();
    let child = in_child(|| {
        let mut copy = slot.take().unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| copy[0])).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| copy[0] = 2)).is_err());
        // Nor may a kernel write to it for the child.
        let (zero, mut ring) = (File::open("/dev/zero").unwrap(), Ring::open(&config(8)).unwrap());
        let lend = || ring.batch().read_at(&zero, copy, 0).push().is_ok();
        assert!(catch_unwind(AssertUnwindSafe(lend)).is_err());
        assert_eq!(ring.in_flight(), 0);
        let copy = other.take().unwrap();
        let lend = || ring.batch().write_at(&zero, copy, 0).push().is_ok();
        assert!(catch_unwind(AssertUnwindSafe(lend)).is_err());
        let mut own = pool.buffer().unwrap();
        own.fill(3);
        assert!(matches!(pool.buffer().unwrap_err().cause(), Cause::NoBufferFree { .. }));
    });
    assert!(child.succeeded());
    assert!(slot.unwrap().iter().all(|&byte| byte == 1));
    drop(other);
    assert_eq!(pool.stats().buffers.unwrap().in_use, 0);
}

#[test]
fn what_a_process_had_that_was_killed_is_retired() {
    let pool = RingPool::builder(config(8)).buffers(3, SIZE).build().unwrap();
    let (mut here, mut there) = signals();
    let child = in_child(|| {
        let _mine = (pool.buffer().unwrap(), pool.buffer().unwrap());
        there.write_all(b"!").unwrap();
        // Holds them until it is killed.
        let _ = there.read(&mut [0]);
    });
    here.read_exact(&mut [0]).unwrap();
    let mine = pool.buffer().unwrap();
    let full = pool.buffer().unwrap_err();
    assert_eq!(full.cause(), Cause::NoBufferFree { buffers: 3, retired: 0 });
    child.kill();
    let full = pool.buffer().unwrap_err();
    assert_eq!(full.cause(), Cause::NoBufferFree { buffers: 3, retired: 2 }, "{full}");
    drop(mine);
    assert!(pool.buffer().is_ok());
    assert_eq!(pool.stats().buffers.unwrap().retired, 2);
}

#[test]
fn children_use_the_rings_that_their_parent_registered_and_make_their_own() {
    let builder = RingPool::builder(config(8)).rings(2).buffers(4, SIZE);
    let pool = builder.make(Make::OnClaim).build().unwrap();
    drop(pool.claim_slot::<PoolBuf>(0).unwrap());
    let before = pool.stats().buffers.unwrap();
    assert_eq!(before.rings_sharing + before.rings_registering, 1);
    let child = in_child(|| {
        for slot in [0, 1] {
            let mut ring = pool.claim_slot::<PoolBuf>(slot).unwrap();
            assert!(ring.has_registered_buffers());
            assert_eq!(opcodes(&mut ring, &pool), FIXED);
            copies(&mut ring, &pool);
        }
        // The kernel lets nobody else take over what is charged to the parent.
        let after = pool.stats().buffers.unwrap();
        assert_eq!(after.rings_registering, before.rings_registering + 1);
    });
    assert!(child.succeeded());
}

#[test]
fn where_they_may_not_be_locked_they_are_ordinary_buffers_and_the_pool_tells() {
    if !Somebody::possible("buffers that may not be locked") {
        return;
    }
    let builder = RingPool::builder(config(8)).rings(1).buffers(64, SIZE);
    let plan = builder.plan().unwrap();
    let needed = plan.need(Resource::LockedMemory).unwrap().needed;
    assert!(needed >= 64 * SIZE as u64, "{plan}");
    // Just what is planned, or a page less than the buffers alone take.
    for (bytes, registered) in [(needed, true), (64 * SIZE as u64 - 4096, false)] {
        let builder = &builder;
        let child = in_child(move || {
            Somebody(61_950).with_locked_memory(bytes);
            let plan = builder.plan().unwrap();
            assert_eq!(plan.fits(), registered, "{plan}");
            let pool = builder.clone().build().unwrap();
            let mut ring = pool.claim::<PoolBuf>().unwrap();
            assert_eq!(ring.has_registered_buffers(), registered);
            assert_eq!(opcodes(&mut ring, &pool), if registered { FIXED } else { PLAIN });
            copies(&mut ring, &pool);
            let buffers = pool.stats().buffers.unwrap();
            assert_eq!(buffers.rings_without, usize::from(!registered));
            match buffers.refused {
                Some(Cause::LockedMemory { limit, needed, .. }) => {
                    assert!(!registered && limit == bytes && needed == 64 * SIZE as u64);
                }
                other => assert!(registered && other.is_none(), "{other:?}"),
            }
        });
        assert!(child.succeeded(), "{bytes} bytes");
    }
}

#[test]
fn sizes_that_no_kernel_takes_and_pools_without_buffers_are_errors() {
    let builder = || RingPool::builder(config(8));
    for (count, size) in [(1, 0), (1, (1 << 30) + 1), (usize::MAX, 1)] {
        let error = builder().buffers(count, size).bytes().unwrap_err();
        assert!(matches!(error.cause(), Cause::Invalid(_)), "{count} of {size}: {error}");
    }
    let pool = builder().buffers(0, 0).build().unwrap();
    assert!(matches!(pool.buffer().unwrap_err().cause(), Cause::Invalid(_)));
    assert_eq!(pool.stats().buffers, None);
    let (without, with) = (builder(), builder().buffers(100, SIZE));
    assert!(with.bytes().unwrap() >= without.bytes().unwrap() + 100 * SIZE);
    let pool = with.routes(&[Route::Separate]).build().unwrap();
    let mut buf = pool.buffer().unwrap();
    let too_long = catch_unwind(AssertUnwindSafe(|| buf.set_len(SIZE + 1)));
    assert!(too_long.is_err());
    assert_eq!((buf.len(), buf.capacity()), (SIZE, SIZE));
}
