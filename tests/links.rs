//! Chains, drains, requests that start late, and cancelling, by every route that there is.

mod common;

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use common::rings::{all, number, one, rings};
use common::{config, pool_by, routes_here};
use nix::libc;
use uring_pool::{Cause, Dir, Ring, SocketAddress};

fn pipe() -> (Arc<OwnedFd>, Arc<OwnedFd>) {
    let (read, write) = nix::unistd::pipe().unwrap();
    (Arc::new(read), Arc::new(write))
}

fn results<B: 'static>(ring: &mut Ring<B>) -> Vec<i32> {
    all(ring).iter().map(number).collect()
}

/// Submits reads that nothing answers, tagged from 0 on.
fn silent_reads(ring: &mut Ring<Vec<u8>>, from: &OwnedFd, n: u64) -> Vec<uring_pool::RequestId> {
    let mut batch = ring.batch();
    let push = |tag| batch.read(from, vec![0; 4]).tag(tag).push().unwrap();
    let ids = (0..n).map(push).collect();
    batch.submit().unwrap();
    ids
}

#[test]
fn a_chain_runs_in_order() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let file = Arc::new(tempfile::tempfile().unwrap());
        for _ in 0..20 {
            let mut batch = ring.batch();
            batch.write_at(&file, b"first".to_vec(), 0).keep(&file).link().push().unwrap();
            batch.write_at(&file, b"then".to_vec(), 0).keep(&file).link().push().unwrap();
            batch.fsync(&file).link().push().unwrap();
            batch.read_at(&file, vec![0; 5], 0).keep(&file).tag(3).push().unwrap();
            batch.submit().unwrap();
            let done = all(&mut ring);
            assert_eq!(done[3].buf.as_deref(), Some(&b"thent"[..]));
        }
    }
}

#[test]
fn a_failed_link_cancels_the_rest_of_its_chain_and_a_hard_one_does_not() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let dir = Arc::new(File::open("/").unwrap());
        for hard in [false, true] {
            let spare: OwnedFd = File::open("/dev/null").unwrap().into();
            let mut batch = ring.batch();
            let failing = batch.read_at(&dir, vec![1; 8], 0).keep(&dir).tag(1);
            if hard { failing.hard_link() } else { failing.link() }.push().unwrap();
            batch.nop().link().tag(2).push().unwrap();
            batch.close(spare).tag(3).push().unwrap();
            batch.nop().tag(4).push().unwrap();
            batch.submit().unwrap();
            let done = all(&mut ring);
            let rest = if hard { 0 } else { -libc::ECANCELED };
            let numbers: Vec<_> = done.iter().map(number).collect();
            assert_eq!(numbers, [-libc::EISDIR, rest, rest, 0]);
            assert_eq!(done[0].buf.as_deref(), Some(&[1; 8][..]));
            assert_eq!(done[2].fd.is_some(), !hard, "what was not closed comes back");
        }
    }
}

#[test]
fn a_drained_request_and_those_after_it_wait_for_those_before() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let (read, write) = pipe();
        let mut batch = ring.batch();
        batch.read(&read, vec![0; 1]).tag(1).push().unwrap();
        batch.nop().drain().tag(2).push().unwrap();
        batch.nop().tag(3).push().unwrap();
        batch.submit().unwrap();
        assert_eq!(ring.wait_timeout(3, Duration::from_millis(50)).unwrap().count(), 0);
        File::from(write.try_clone().unwrap()).write_all(b"x").unwrap();
        let order: Vec<_> = ring.wait_through_signals(3).unwrap().map(|done| done.tag).collect();
        // Which of the others is first is no promise: Linux 6.1 begins with the last.
        assert!(order[0] == 1 && order.len() == 3, "{order:?}");
    }
}

#[test]
fn what_may_start_late_and_only_borrows_its_descriptor_is_refused_and_handed_back() {
    for mut ring in rings::<Vec<u8>>(config(16)) {
        let (read, _write) = pipe();
        let refused = |full: uring_pool::Full<Vec<u8>>| {
            assert_eq!(full.cause, Cause::DescriptorNotKept);
            assert_eq!(full.buf.as_deref(), Some(&[5; 4][..]));
        };
        let mut batch = ring.batch();
        refused(batch.read(&read, vec![5; 4]).force_async().push().unwrap_err());
        refused(batch.read(&read, vec![5; 4]).link().push().unwrap_err());
        refused(batch.read(&read, vec![5; 4]).hard_link().push().unwrap_err());
        refused(batch.read(&read, vec![5; 4]).drain().push().unwrap_err());
        assert_eq!(batch.len(), 0, "a refused request leaves nothing behind");
        batch.nop().link().push().unwrap();
        refused(batch.read(&read, vec![5; 4]).push().unwrap_err());
        batch.nop().push().unwrap();
        batch.read(&read, vec![5; 4]).push().unwrap();
        let other = Arc::new(File::open("/dev/null").unwrap());
        let full = batch.read(&read, vec![5; 4]).keep(&other).link().push().unwrap_err();
        assert!(matches!(full.cause, Cause::Invalid(_)), "{full}");
        batch.nop().drain().push().unwrap();
        refused(batch.read(&read, vec![5; 4]).push().unwrap_err());
        batch.read(&read, vec![5; 4]).keep(&read).push().unwrap();
        drop(batch);
        assert_eq!(Arc::strong_count(&read), 1);
    }
}

#[test]
fn a_file_given_up_after_submission_stays_open_for_its_chain_and_its_drain() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        for drained in [false, true] {
            let file = Arc::new(tempfile::tempfile().unwrap());
            (&*file).write_all(b"right").unwrap();
            let time = Duration::from_millis(20);
            let mut batch = ring.batch();
            let timeout = batch.timeout(time).tag(1);
            if drained { timeout } else { timeout.hard_link() }.push().unwrap();
            let read = batch.read_at(&file, vec![0; 5], 0).keep(&file).tag(2);
            if drained { read.drain() } else { read }.push().unwrap();
            batch.submit().unwrap();
            drop(file);
            let mut other = tempfile::tempfile().unwrap();
            other.write_all(b"wrong").unwrap();
            let done = all(&mut ring);
            assert_eq!(done[1].buf.as_deref(), Some(&b"right"[..]));
        }
    }
}

#[test]
fn a_path_and_an_address_may_go_once_the_chain_that_needs_them_is_submitted() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = Box::new(SocketAddress::from(listener.local_addr().unwrap()));
        let client = Arc::new(std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
        let path = std::ffi::CString::new("/dev/null").unwrap();
        let mut batch = ring.batch();
        batch.timeout(Duration::from_millis(20)).hard_link().tag(1).push().unwrap();
        batch.openat(Dir::current(), &path, 0, 0).hard_link().tag(2).push().unwrap();
        batch.connect(&client, &to).keep(&client).tag(3).push().unwrap();
        batch.submit().unwrap();
        let (mut path, mut to) = (path.into_bytes(), to);
        path.fill(b'x');
        *to = SocketAddress::unix("/nowhere").unwrap();
        let done = all(&mut ring);
        assert!(done[1].fd.is_some(), "{done:?}");
        assert_eq!(number(&done[2]), 0);
        assert_eq!(client.peer_addr().unwrap(), listener.local_addr().unwrap());
    }
}

#[test]
fn the_next_user_of_a_drained_ring_may_close_its_files_after_submission() {
    for route in routes_here(&config(8)) {
        // Where completions wait for the program, what starts late does so for long.
        let cooperative = config(8).coop_taskrun();
        let known = uring_pool::PgAioUringCaps::check(&cooperative).is_ok();
        let pool = pool_by(route, if known { cooperative } else { config(8) }, 1);
        for _ in 0..50 {
            let mut ring = pool.claim::<Vec<u8>>().unwrap();
            assert_eq!(number(&one!(ring, |batch| batch.nop().drain())), 0);
            drop(ring);
            let mut ring = pool.claim::<Vec<u8>>().unwrap();
            let (read, write) = pipe();
            File::from(Arc::into_inner(write).unwrap()).write_all(b"x").unwrap();
            let mut batch = ring.batch();
            batch.read(&read, vec![0; 1]).push().unwrap();
            batch.submit().unwrap();
            drop(read);
            assert_eq!(results(&mut ring), [1], "by the route {route}");
        }
        assert_eq!(pool.stats().retired, 0);
    }
}

#[test]
fn a_request_is_cancelled_by_its_id_and_no_other() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let (read, write) = pipe();
        let ids = silent_reads(&mut ring, &read, 3);
        let mut batch = ring.batch();
        batch.cancel(ids[1]).tag(10).push().unwrap();
        batch.submit().unwrap();
        let mut done: Vec<_> = ring.wait_through_signals(2).unwrap().collect();
        done.sort_by_key(|done| done.tag);
        assert_eq!((done[0].tag, number(&done[0])), (1, -libc::ECANCELED));
        assert!(done[0].is_cancelled() && !done[1].is_cancelled());
        assert_eq!(done[0].buf.as_deref(), Some(&[0; 4][..]));
        assert_eq!((done[1].tag, number(&done[1])), (10, 0));

        // Its place in the table is taken by another request now.
        silent_reads(&mut ring, &read, 2);
        let old = one!(ring, |batch| batch.cancel(ids[1]));
        assert_eq!(number(&old), -libc::ENOENT, "an old id cancels nothing");
        assert_eq!(ring.in_flight(), 4);
        drop(write);
        assert_eq!(results(&mut ring), [0; 4]);
    }
}

#[test]
fn a_request_can_be_cancelled_by_the_batch_that_it_is_in() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let (read, _write) = pipe();
        let mut batch = ring.batch();
        let id = batch.read(&read, vec![0; 4]).tag(1).push().unwrap();
        batch.cancel(id).tag(2).push().unwrap();
        batch.submit().unwrap();
        assert_eq!(results(&mut ring), [-libc::ECANCELED, 0]);
    }
}

#[test]
fn all_requests_are_cancelled_at_once() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let (read, _write) = pipe();
        silent_reads(&mut ring, &read, 5);
        let done = one!(ring, |batch| batch.cancel_all().tag(9));
        if number(&done) == -libc::EINVAL {
            return common::cannot("cancel_all", "needs Linux 5.19");
        }
        let mut numbers: Vec<_> = all(&mut ring).iter().map(number).collect();
        numbers.push(number(&done));
        numbers.sort_unstable();
        let cancelled = -libc::ECANCELED;
        assert_eq!(numbers, [cancelled, cancelled, cancelled, cancelled, cancelled, 5]);
    }
}
