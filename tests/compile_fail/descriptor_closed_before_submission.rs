//! Until the batch is submitted, its requests name their files by number.

fn main() {
    let config = uring_pool::RingConfig::new(8).unwrap();
    let mut ring = uring_pool::Ring::<Vec<u8>>::open(&config).unwrap();
    let file = std::fs::File::open("/dev/zero").unwrap();
    let mut batch = ring.batch();
    batch.read_at(&file, vec![0; 16], 0).push().unwrap();
    drop(file);
    batch.submit().unwrap();
}
