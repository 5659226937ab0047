//! A buffer is the ring's from when it is pushed.

fn main() {
    let config = uring_pool::RingConfig::new(8).unwrap();
    let mut ring = uring_pool::Ring::<Vec<u8>>::open(&config).unwrap();
    let file = std::fs::File::open("/dev/zero").unwrap();
    let mut buf = vec![0; 16];
    let mut batch = ring.batch();
    batch.read_at(&file, buf, 0).push().unwrap();
    batch.submit().unwrap();
    buf[0] = 1;
}
