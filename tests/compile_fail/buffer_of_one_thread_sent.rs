//! A buffer that may not leave its thread does not leave it in a ring.

use std::rc::Rc;

// By a method, which is missed without the whole way down to the buffer, through types of `std`.
trait Crosses {
    fn cross(self);
}

impl<T: Send> Crosses for T {
    fn cross(self) {}
}

fn main() {
    let config = uring_pool::RingConfig::new(8).unwrap();
    let ring = uring_pool::Ring::<Rc<[u8]>>::open(&config).unwrap();
    ring.cross();
}
