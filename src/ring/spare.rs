//! A table of requests that is kept for a ring's next user, whose buffers may be of another kind.
//!
//! This room may hold `unsafe`: it keeps a vector without its type. It guarantees that whoever takes it
//! out has the type that was put in, and that else it is freed as that type.
#![allow(unsafe_code)]

use std::any::TypeId;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// A vector of some type, and a number that goes with it.
pub(crate) struct Spare {
    first: NonNull<()>,
    len: usize,
    capacity: usize,
    number: u32,
    kind: TypeId,
    free: unsafe fn(NonNull<()>, usize, usize),
}

// SAFETY: whoever put the vector in has promised that it may go to other threads.
unsafe impl Send for Spare {}
// SAFETY: nothing is done through `&Spare`.
unsafe impl Sync for Spare {}

impl Spare {
    /// # Safety
    /// The vector's elements, as they are, may be moved to and dropped in any thread.
    pub(super) unsafe fn of<T: 'static>(vec: Vec<T>, number: u32) -> Self {
        let mut vec = ManuallyDrop::new(vec);
        Self {
            // Of all its room: a slice would reach only as far as what is in.
            first: NonNull::new(vec.as_mut_ptr()).expect("a vector is never at null").cast(),
            len: vec.len(),
            capacity: vec.capacity(),
            number,
            kind: TypeId::of::<T>(),
            free: free::<T>,
        }
    }

    /// What was put in; `None`, and it is freed, if that is of another type.
    pub(super) fn take<T: 'static>(self) -> Option<(Vec<T>, u32)> {
        if self.kind != TypeId::of::<T>() {
            return None;
        }
        let this = ManuallyDrop::new(self);
        // SAFETY: they are the parts of a `Vec<T>`, this type, which nobody else has.
        let vec = unsafe { rebuild(this.first, this.len, this.capacity) };
        Some((vec, this.number))
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        // SAFETY: they are the parts of the vector that `free` was made for, and this is their end.
        unsafe { (self.free)(self.first, self.len, self.capacity) }
    }
}

/// # Safety
/// As [`rebuild`].
unsafe fn free<T>(first: NonNull<()>, len: usize, capacity: usize) {
    // SAFETY: forwarded to the caller.
    drop(unsafe { rebuild::<T>(first, len, capacity) });
}

/// # Safety
/// They are the parts of a `Vec<T>`, which is to be used no more.
unsafe fn rebuild<T>(first: NonNull<()>, len: usize, capacity: usize) -> Vec<T> {
    // SAFETY: forwarded to the caller.
    unsafe { Vec::from_raw_parts(first.cast().as_ptr(), len, capacity) }
}

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spare").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    fn spare(of: &Rc<()>) -> Spare {
        let mut vec = Vec::with_capacity(10);
        vec.extend([Rc::clone(of), Rc::clone(of)]);
        // SAFETY: this test has one thread.
        unsafe { Spare::of(vec, 7) }
    }

    #[test]
    fn what_was_put_in_comes_out_as_the_same_type_and_is_freed_for_another() {
        let of = Rc::new(());
        let (vec, number) = spare(&of).take::<Rc<()>>().unwrap();
        assert_eq!((vec.len(), vec.capacity(), number, Rc::strong_count(&of)), (2, 10, 7, 3));
        let mut vec = vec;
        vec.push(Rc::clone(&of));
        drop(vec);
        assert!(spare(&of).take::<Rc<u8>>().is_none());
        assert_eq!(Rc::strong_count(&of), 1);
        drop(spare(&of));
        assert_eq!(Rc::strong_count(&of), 1);
    }
}
