//! A request is of something that has a descriptor, or of a registered file.

fn main() {
    let config = uring_pool::RingConfig::new(8).unwrap();
    let mut ring = uring_pool::Ring::<Vec<u8>>::open(&config).unwrap();
    let path = String::from("/dev/zero");
    ring.batch().read_at(&path, vec![0; 16], 0).push().unwrap();
}
