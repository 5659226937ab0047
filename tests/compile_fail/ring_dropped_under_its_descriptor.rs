//! A pool hands a dropped ring's descriptor to somebody else.

use std::os::fd::AsFd;

fn main() {
    let config = uring_pool::RingConfig::new(8).unwrap();
    let pool = uring_pool::RingPool::builder(config).build().unwrap();
    let ring = pool.claim::<()>().unwrap();
    let fd = ring.as_fd();
    drop(ring);
    let _ = fd.try_clone_to_owned();
}
