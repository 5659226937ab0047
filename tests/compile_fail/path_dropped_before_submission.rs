//! The kernel copies a path when its request is submitted.

fn main() {
    let config = uring_pool::RingConfig::new(8).unwrap();
    let mut ring = uring_pool::Ring::<()>::open(&config).unwrap();
    let path = std::ffi::CString::new("/dev/zero").unwrap();
    let mut batch = ring.batch();
    batch.openat(uring_pool::Dir::current(), &path, 0, 0).push().unwrap();
    drop(path);
    batch.submit().unwrap();
}
