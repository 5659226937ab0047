//! A dropped ring is somebody else's.

fn main() {
    let config = uring_pool::RingConfig::new(8).unwrap();
    let pool = uring_pool::RingPool::builder(config).build().unwrap();
    let ring = pool.claim::<()>().unwrap();
    drop(ring);
    let _ = ring.in_flight();
}
