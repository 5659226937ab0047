//! A batch writes to its ring's queue.

fn main() {
    let config = uring_pool::RingConfig::new(8).unwrap();
    let mut ring = uring_pool::Ring::<()>::open(&config).unwrap();
    let mut batch = ring.batch();
    drop(ring);
    batch.nop().push().unwrap();
}
