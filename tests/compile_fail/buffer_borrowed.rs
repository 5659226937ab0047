//! A ring may be leaked with its requests, so no buffer borrows.

fn main() {
    let config = uring_pool::RingConfig::new(8).unwrap();
    let mut ring = uring_pool::Ring::<&[u8]>::open(&config).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let bytes = [0; 16];
    ring.batch().write_at(&file, &bytes, 0).push().unwrap();
}
