//! Files registered with a ring, by every route that there is.

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use common::registered::refused;
use common::rings::{all, number, one, rings};
use common::sanitizer::{VALGRIND, left_out};
use common::socket::socket;
use common::{config, in_child, pool_by, routes_here};
use nix::libc;
use uring_pool::{
    AsyncPolicy, Cause, Fallocate, PollEvents, RecvFlags, RegisteredFile, Ring, SendFlags,
    SocketAddress, SpliceFlags, sys,
};

/// A ring with room for so many files.
fn with_room(mut ring: Ring<Vec<u8>>, files: u32) -> Ring<Vec<u8>> {
    ring.reserve_files(files).unwrap();
    ring
}

#[test]
fn a_registered_file_is_worked_on_after_its_descriptor_was_closed() {
    for ring in rings::<Vec<u8>>(config(8)) {
        let mut ring = with_room(ring, 3);
        let file = ring.register_file(&tempfile::tempfile().unwrap()).unwrap();
        assert_eq!(
            number(&one!(ring, |batch| batch.fallocate(&file, Fallocate::empty(), 0, 8))),
            0
        );
        assert_eq!(number(&one!(ring, |batch| batch.write_at(&file, b"01234567".to_vec(), 0))), 8);
        assert_eq!(number(&one!(ring, |batch| batch.fsync(&file))), 0);
        assert_eq!(number(&one!(ring, |batch| batch.fdatasync(&file))), 0);
        let done = one!(ring, |batch| batch.read_at(&file, vec![0; 4], 2));
        assert_eq!(done.buf.as_deref(), Some(&b"2345"[..]));

        let (read, write) = nix::unistd::pipe().unwrap();
        let (read, write) =
            (ring.register_file(&read).unwrap(), ring.register_file(&write).unwrap());
        // From one registered file into another, and from there into one that is not.
        let none = SpliceFlags::empty();
        let done = one!(ring, |batch| batch.splice((&file, Some(4)), (&write, None), 4, none));
        assert_eq!(number(&done), 4);
        let other = Arc::new(tempfile::tempfile().unwrap());
        let done = one!(ring, |batch| batch.splice((&read, None), (&other, Some(0)), 4, none));
        assert_eq!(number(&done), 4);
        let done = one!(ring, |batch| batch.read_at(&other, vec![0; 4], 0));
        assert_eq!(done.buf.as_deref(), Some(&b"4567"[..]));
        let done = one!(ring, |batch| batch.splice((&other, Some(0)), (&write, None), 4, none));
        assert_eq!(number(&done), 4);
        assert_eq!(number(&one!(ring, |batch| batch.read(&read, vec![0; 8]))), 4);
    }
}

#[test]
fn registered_sockets_are_listened_at_polled_sent_to_and_received_from() {
    for ring in rings::<Vec<u8>>(config(8)) {
        let mut ring = with_room(ring, 4);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = SocketAddress::from(listener.local_addr().unwrap());
        let at = ring.register_file(&listener).unwrap();
        let client = ring.register_file(&socket(libc::AF_INET)).unwrap();
        drop(listener);
        let mut batch = ring.batch();
        batch.accept(&at).tag(1).push().unwrap();
        batch.connect(&client, &to).tag(2).push().unwrap();
        batch.submit().unwrap();
        let mut done = all(&mut ring);
        assert_eq!(done.iter().map(number).collect::<Vec<_>>(), [0, 0]);
        let server = ring.register_file(&done[0].fd.take().unwrap()).unwrap();

        let none = SendFlags::NOSIGNAL;
        assert_eq!(number(&one!(ring, |batch| batch.send(&client, b"ping".to_vec(), none))), 4);
        let ready = one!(ring, |batch| batch.poll(&server, PollEvents::IN));
        assert_eq!(number(&ready), PollEvents::IN.bits() as i32);
        let got = one!(ring, |batch| batch.recv(&server, vec![0; 8], RecvFlags::empty()));
        assert_eq!((number(&got), &got.buf.unwrap()[..4]), (4, &b"ping"[..]));
        // The last that has the connection open is the table.
        ring.unregister_file(client).unwrap();
        let end = one!(ring, |batch| batch.recv(&server, vec![0; 8], RecvFlags::empty()));
        assert_eq!(number(&end), 0);
    }
}

#[test]
fn a_file_means_nothing_to_another_ring_and_nothing_once_it_is_unregistered() {
    let zero = File::open("/dev/zero").unwrap();
    for ring in rings::<Vec<u8>>(config(8)) {
        let (mut ring, mut other) =
            (with_room(ring, 1), with_room(Ring::open(&config(8)).unwrap(), 1));
        let file = ring.register_file(&zero).unwrap();
        let theirs = other.register_file(&zero).unwrap();
        assert_eq!((file.index(), theirs.index()), (0, 0));
        assert_eq!(refused(ring.register_file(&zero)), Cause::FileTableFull { files: 1 });
        not_registered(&mut ring, theirs);
        assert_eq!(refused(ring.unregister_file(theirs)), Cause::FileNotRegistered);

        ring.unregister_file(file).unwrap();
        not_registered(&mut ring, file);
        assert_eq!(refused(ring.unregister_file(file)), Cause::FileNotRegistered);
        let again = ring.register_file(&zero).unwrap();
        assert_eq!(again.index(), file.index());
        not_registered(&mut ring, file);
        assert_eq!(number(&one!(ring, |batch| batch.read_at(&again, vec![1; 2], 0))), 2);
    }
}

/// Requests of every shape are refused, with their buffers.
fn not_registered(ring: &mut Ring<Vec<u8>>, file: RegisteredFile) {
    let null = Arc::new(File::open("/dev/null").unwrap());
    let mut batch = ring.batch();
    let full = batch.read_at(&file, vec![7; 3], 0).push().unwrap_err();
    assert_eq!((full.cause, full.buf), (Cause::FileNotRegistered, Some(vec![7; 3])));
    assert_eq!(batch.fsync(&file).push().unwrap_err().cause, Cause::FileNotRegistered);
    let none = SpliceFlags::empty();
    for from_it in [false, true] {
        let spliced = if from_it {
            batch.splice((&file, None), (&null, None), 1, none).push()
        } else {
            batch.splice((&null, None), (&file, None), 1, none).push()
        };
        assert_eq!(spliced.unwrap_err().cause, Cause::FileNotRegistered);
    }
    assert!(batch.is_empty());
}

/// Which takes no `keep`; and until it has started, the place in the table is not given to another.
#[test]
fn a_request_of_a_registered_file_may_start_late_and_has_its_file_then() {
    for ring in rings::<Vec<u8>>(config(8)) {
        let mut ring = with_room(ring, 2);
        let (first, second) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let (first, second) =
            (ring.register_file(&first).unwrap(), ring.register_file(&second).unwrap());
        let (theirs, mut ours) = UnixStream::pair().unwrap();
        let theirs = Arc::new(theirs);
        for sync in [true, false] {
            let mut batch = ring.batch();
            batch.read(&theirs, vec![0; 1]).keep(&theirs).link().push().unwrap();
            let late = if sync {
                batch.fsync(&first)
            } else {
                batch.write_at(&first, b"late".to_vec(), 0)
            };
            late.push().unwrap();
            batch.submit().unwrap();
            assert_eq!(refused(ring.unregister_file(first)), Cause::FileInUse);
            ours.write_all(b"!").unwrap();
            let expected = [1, if sync { 0 } else { 4 }];
            let mut numbers: Vec<_> = all(&mut ring).iter().map(number).collect();
            numbers.sort_unstable();
            assert_eq!(numbers.len(), 2);
            assert!(expected.iter().all(|n| numbers.contains(n)), "{numbers:?}");
        }
        // Another's place is another matter.
        ring.unregister_file(second).unwrap();
        let done = one!(ring, |batch| batch.read_at(&first, vec![0; 8], 0));
        assert_eq!((number(&done), &done.buf.unwrap()[..4]), (4, &b"late"[..]));
        ring.unregister_file(first).unwrap();
    }
}

/// A ready `IORING_OP_FSYNC` of the file that is registered there.
fn fsync_of_place(index: u32) -> sys::io_uring_sqe {
    const FIXED_FILE: u8 = 1;
    sys::io_uring_sqe { opcode: 3, flags: FIXED_FILE, fd: index as i32, ..Default::default() }
}

/// As one of a builder does.
#[test]
fn a_ready_sqe_of_a_registered_file_keeps_its_place() {
    #![allow(unsafe_code)]
    for ring in rings::<Vec<u8>>(config(8)) {
        let mut ring = with_room(ring, 1);
        let file = ring.register_file(&tempfile::tempfile().unwrap()).unwrap();
        let (theirs, mut ours) = UnixStream::pair().unwrap();
        let theirs = Arc::new(theirs);
        let mut batch = ring.batch();
        batch.read(&theirs, vec![0; 1]).keep(&theirs).link().push().unwrap();
        // SAFETY: it points to nothing.
        unsafe { batch.push_raw(&fsync_of_place(file.index()), 1, None) }.unwrap();
        batch.submit().unwrap();
        assert_eq!(refused(ring.unregister_file(file)), Cause::FileInUse);
        ours.write_all(b"!").unwrap();
        assert_eq!(all(&mut ring).iter().map(number).collect::<Vec<_>>(), [1, 0]);
        ring.unregister_file(file).unwrap();
    }
}

#[test]
fn a_policy_that_leaves_requests_to_threads_counts_as_late() {
    for ring in rings::<Vec<u8>>(config(8)) {
        let mut ring = with_room(ring, 1);
        let (read, mut write) = nix::unistd::pipe().map(|(r, w)| (r, File::from(w))).unwrap();
        let file = ring.register_file(&read).unwrap();
        for policy in [AsyncPolicy::Always, AsyncPolicy::Never] {
            ring.set_async_policy(policy);
            let mut batch = ring.batch();
            batch.read(&file, vec![0; 1]).push().unwrap();
            batch.submit().unwrap();
            if policy == AsyncPolicy::Always {
                assert_eq!(refused(ring.unregister_file(file)), Cause::FileInUse);
            } else {
                // It has begun, and goes on without the table.
                ring.unregister_file(file).unwrap();
            }
            write.write_all(b"x").unwrap();
            assert_eq!(all(&mut ring).iter().map(number).collect::<Vec<_>>(), [1]);
        }
    }
}

#[test]
fn room_is_made_once_and_before_any_request() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let null = File::open("/dev/null").unwrap();
        assert_eq!(refused(ring.register_file(&null)), Cause::FileTableFull { files: 0 });
        for bad in [0, (1 << 20) + 1, u32::MAX] {
            assert!(matches!(refused(ring.reserve_files(bad)), Cause::Invalid(_)));
        }
        let (read, write) = nix::unistd::pipe().unwrap();
        let mut batch = ring.batch();
        batch.read(&read, vec![0; 1]).push().unwrap();
        batch.submit().unwrap();
        assert!(matches!(refused(ring.reserve_files(1)), Cause::Invalid(_)));
        drop(write);
        assert_eq!(all(&mut ring).len(), 1);
        ring.reserve_files(1).unwrap();
        assert!(matches!(refused(ring.reserve_files(1)), Cause::Invalid(_)));
    }
}

#[test]
fn a_table_that_the_limit_is_too_low_for_says_so() {
    let why = "it keeps the limit on descriptors to itself";
    if left_out(&[VALGRIND], "a_table_that_the_limit_is_too_low_for_says_so", why) {
        return;
    }
    let child = in_child(|| {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let hard = getrlimit(Resource::RLIMIT_NOFILE).unwrap().1;
        setrlimit(Resource::RLIMIT_NOFILE, 50, hard).unwrap();
        let mut ring = Ring::<Vec<u8>>::open(&config(8)).unwrap();
        let error = ring.reserve_files(51).unwrap_err();
        assert_eq!(error.cause(), Cause::FileTableTooLong { limit: 50 });
        let text = error.to_string();
        assert!(text.contains("51") && text.contains("50") && text.contains("EMFILE"), "{text}");
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap().0, 50, "it is as it was");
        ring.reserve_files(50).unwrap();
    });
    assert!(child.succeeded());
}

/// Neither its number nor the file itself: what the last user registered is closed.
#[test]
fn the_next_user_of_a_ring_finds_nothing_registered() {
    #![allow(unsafe_code)]
    for route in routes_here(&config(8)) {
        let pool = pool_by(route, config(8), 1);
        let (ours, theirs) = UnixStream::pair().unwrap();
        // Should it not be closed, nobody waits for ever.
        ours.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        let mut ring = pool.claim::<Vec<u8>>().unwrap();
        let descriptor = ring.as_fd().as_raw_fd();
        ring.reserve_files(4).unwrap();
        let file = ring.register_file(&theirs).unwrap();
        drop(theirs);
        assert_eq!(number(&one!(ring, |batch| batch.write(&file, b"x".to_vec()))), 1);
        drop(ring);
        let mut ring = pool.claim::<Vec<u8>>().unwrap();
        assert_eq!(ring.as_fd().as_raw_fd(), descriptor, "it is the same ring");
        let mut got = Vec::new();
        (&ours).read_to_end(&mut got).unwrap();
        assert_eq!(got, b"x", "and the socket has been closed");
        not_registered(&mut ring, file);
        let mut batch = ring.batch();
        // SAFETY: it points to nothing.
        unsafe { batch.push_raw(&fsync_of_place(0), 0, None) }.unwrap();
        batch.submit().unwrap();
        assert_eq!(number(&ring.wait_through_signals(1).unwrap().next().unwrap()), -libc::EBADF);
        ring.reserve_files(4).unwrap();
    }
}
