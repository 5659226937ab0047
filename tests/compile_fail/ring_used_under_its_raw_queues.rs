//! They keep counters of their own, which another user would not know of.

fn main() {
    let config = uring_pool::RingConfig::new(8).unwrap();
    let mut ring = uring_pool::Ring::<()>::open(&config).unwrap();
    // SAFETY: nothing is pushed.
    let mut queues = unsafe { ring.raw_queues() };
    let _ = ring.batch().nop().push();
    queues.submit_and_wait(0).unwrap();
}
