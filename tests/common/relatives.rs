//! What tests of several processes need.

use std::os::unix::net::UnixStream;

use uring_pool::{Make, Ring, RingPool, Route};

use super::config;

/// A pool with every ring made, by this route.
pub(crate) fn up_front(route: Route, rings: usize) -> RingPool {
    let builder = RingPool::builder(config(8)).rings(rings).routes(&[route]);
    builder.make(Make::UpFront).build().unwrap()
}

/// A pair to take turns by, on which nobody waits for ever: the other end is open here, too, so a
/// child that ended early is not seen by it.
pub(crate) fn signals() -> (UnixStream, UnixStream) {
    let pair = UnixStream::pair().unwrap();
    pair.0.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    pair.1.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    pair
}

/// A NOP goes round with this tag, and nothing else comes back.
pub(crate) fn answers(ring: &mut Ring<()>, tag: u64) {
    let mut batch = ring.batch();
    batch.nop().tag(tag).push().unwrap();
    batch.submit().unwrap();
    let tags: Vec<_> = ring.wait_through_signals(1).unwrap().map(|done| done.tag).collect();
    assert_eq!(tags, [tag]);
}
