//! What may start late keeps a share of its file's owner.

fn main() {
    let config = uring_pool::RingConfig::new(8).unwrap();
    let mut ring = uring_pool::Ring::<Vec<u8>>::open(&config).unwrap();
    let file = std::fs::File::open("/dev/zero").unwrap();
    ring.batch().fsync(&file).push().unwrap();
}
