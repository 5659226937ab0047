//! What others may be reading, the kernel does not write to.

use std::sync::Arc;

fn main() {
    let config = uring_pool::RingConfig::new(8).unwrap();
    let mut ring = uring_pool::Ring::<Arc<[u8]>>::open(&config).unwrap();
    let file = std::fs::File::open("/dev/zero").unwrap();
    let bytes: Arc<[u8]> = Arc::new([0; 16]);
    ring.batch().read_at(&file, bytes, 0).push().unwrap();
}
