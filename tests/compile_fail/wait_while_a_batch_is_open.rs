//! Waiting takes back what is prepared.

fn main() {
    let config = uring_pool::RingConfig::new(8).unwrap();
    let mut ring = uring_pool::Ring::<()>::open(&config).unwrap();
    let mut batch = ring.batch();
    let _ = ring.wait(0).unwrap().count();
    batch.nop().push().unwrap();
}
