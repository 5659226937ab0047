//! The second would take back what the first has prepared.

fn main() {
    let config = uring_pool::RingConfig::new(8).unwrap();
    let mut ring = uring_pool::Ring::<()>::open(&config).unwrap();
    let mut first = ring.batch();
    let mut second = ring.batch();
    second.nop().push().unwrap();
    first.nop().push().unwrap();
}
