//! Operations on sockets, and polling, by every route that there is.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

use common::rings::{all, number, one, rings};
use common::socket::socket;
use common::{config, descriptors, in_child, pool_by, routes_here};
use nix::libc;
use uring_pool::{PollEvents, RecvFlags, SendFlags, SocketAddress};

#[test]
fn a_connection_is_made_accepted_and_used_by_requests() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = SocketAddress::from(listener.local_addr().unwrap());
        let client = socket(libc::AF_INET);
        let mut batch = ring.batch();
        batch.accept(&listener).tag(1).push().unwrap();
        batch.connect(&client, &to).tag(2).push().unwrap();
        batch.submit().unwrap();
        let mut done = all(&mut ring);
        assert_eq!(done.iter().map(number).collect::<Vec<_>>(), [0, 0]);
        let server = done[0].fd.take().unwrap();
        assert!(done[1].fd.is_none());

        let mut batch = ring.batch();
        batch.recv(&server, vec![0; 16], RecvFlags::empty()).tag(1).push().unwrap();
        batch.send(&client, b"hello".to_vec(), SendFlags::NOSIGNAL).tag(2).push().unwrap();
        batch.submit().unwrap();
        let done = all(&mut ring);
        assert_eq!(done.iter().map(number).collect::<Vec<_>>(), [5, 5]);
        assert_eq!(&done[0].buf.as_ref().unwrap()[..5], b"hello");
        assert_eq!(done[1].buf.as_deref(), Some(&b"hello"[..]));

        drop(server);
        let end = one!(ring, |batch| batch.recv(&client, vec![0; 1], RecvFlags::empty()));
        assert_eq!(number(&end), 0);
    }
}

#[test]
fn a_unix_socket_and_an_ipv6_one_are_found_by_their_addresses() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        let to = SocketAddress::unix(&path).unwrap();
        let client = socket(libc::AF_UNIX);
        assert_eq!(number(&one!(ring, |batch| batch.connect(&client, &to))), 0);
        match TcpListener::bind("[::1]:0") {
            Ok(listener) => {
                let to = SocketAddress::from(listener.local_addr().unwrap());
                let client = socket(libc::AF_INET6);
                assert_eq!(number(&one!(ring, |batch| batch.connect(&client, &to))), 0);
            }
            Err(error) => eprintln!("NOT TESTED: IPv6: {error}"),
        }
        let nobody = SocketAddress::unix(folder.path().join("nobody")).unwrap();
        let client = socket(libc::AF_UNIX);
        let refused = one!(ring, |batch| batch.connect(&client, &nobody));
        assert_eq!(number(&refused), -libc::ENOENT);
    }
}

#[test]
fn an_address_and_a_socket_may_go_once_their_request_is_submitted() {
    for mut ring in rings::<()>(config(8)) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = Box::new(SocketAddress::from(listener.local_addr().unwrap()));
        let client = socket(libc::AF_INET);
        let mut batch = ring.batch();
        batch.connect(&client, &to).push().unwrap();
        batch.submit().unwrap();
        drop((client, to));
        assert_eq!(number(&ring.wait_through_signals(1).unwrap().next().unwrap()), 0);
    }
}

#[test]
fn errors_of_sends_come_with_the_buffer_and_without_a_signal() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let buf = b"unheard".to_vec();
        let done = one!(ring, |batch| batch.send(&ours, buf, SendFlags::NOSIGNAL));
        assert_eq!(number(&done), -libc::EPIPE);
        assert_eq!(done.buf.as_deref(), Some(&b"unheard"[..]));
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let wait = RecvFlags::DONTWAIT;
        let done = one!(ring, |batch| batch.recv(&ours, vec![1; 4], wait));
        assert_eq!(number(&done), -libc::EAGAIN);
        assert_eq!(done.buf.as_deref(), Some(&[1; 4][..]));
    }
}

#[test]
fn no_flag_without_a_name_reaches_the_kernel() {
    for mut ring in rings::<Vec<u8>>(config(8)) {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        // MSG_ZEROCOPY, with which the buffer would come back while it is read.
        let flags = SendFlags::from_bits_retain(libc::MSG_ZEROCOPY as u32);
        let prepared = format!("{:?}", ring.batch().send(&ours, vec![1], flags));
        assert!(prepared.contains("op_flags: 0"), "{prepared}");
        let flags = RecvFlags::from_bits_retain(libc::MSG_ERRQUEUE as u32);
        let prepared = format!("{:?}", ring.batch().recv(&ours, vec![0], flags));
        assert!(prepared.contains("op_flags: 0"), "{prepared}");
    }
}

#[test]
fn a_poll_tells_what_came() {
    for mut ring in rings::<()>(config(8)) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let events = |done: &uring_pool::Completion<()>| {
            PollEvents::from_bits_retain(*done.result.as_ref().unwrap())
        };
        let done = one!(ring, |batch| batch.poll(&ours, PollEvents::IN | PollEvents::OUT));
        assert_eq!(events(&done), PollEvents::OUT);
        let mut batch = ring.batch();
        batch.poll(&ours, PollEvents::IN).push().unwrap();
        batch.submit().unwrap();
        assert_eq!(ring.peek().count(), 0);
        theirs.write_all(b"x").unwrap();
        let done = ring.wait_through_signals(1).unwrap().next().unwrap();
        assert_eq!(events(&done), PollEvents::IN);
        assert_eq!((&ours).read(&mut [0]).unwrap(), 1);
        drop(theirs);
        let done = one!(ring, |batch| batch.poll(&ours, PollEvents::RDHUP));
        assert!(events(&done).contains(PollEvents::RDHUP | PollEvents::HUP));
    }
}

#[test]
fn a_ring_dropped_while_it_accepts_leaks_no_descriptor() {
    let child = in_child(|| {
        for route in routes_here(&config(8)) {
            let pool = pool_by(route, config(8), 1);
            drop(pool.claim::<()>().unwrap());
            let before = descriptors();
            for connected in [0, 2] {
                let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
                let mut ring = pool.claim::<()>().unwrap();
                let mut batch = ring.batch();
                for _ in 0..4 {
                    batch.accept(&listener).keep(&listener).push().unwrap();
                }
                batch.submit().unwrap();
                let address = listener.local_addr().unwrap();
                let clients: Vec<_> =
                    (0..connected).map(|_| TcpStream::connect(address).unwrap()).collect();
                drop(ring);
                assert_eq!(Arc::strong_count(&listener), 1, "no share of it is kept");
                drop((clients, listener));
                assert_eq!(descriptors(), before, "by the route {route}");
            }
        }
    });
    assert!(child.succeeded());
}
