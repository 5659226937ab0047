//! Buffers that are counted.
#![allow(unsafe_code)]

use std::sync::Arc;

use uring_pool::{Buf, BufMut};

/// A buffer that tells how many of its kind there are.
#[derive(Debug)]
pub(crate) struct Counted {
    bytes: Vec<u8>,
    _alive: Arc<()>,
}

impl Counted {
    pub(crate) fn new(alive: &Arc<()>) -> Self {
        Self { bytes: vec![0; 64], _alive: Arc::clone(alive) }
    }
}

/// How many there are.
pub(crate) fn alive(of: &Arc<()>) -> usize {
    Arc::strong_count(of) - 1
}

// SAFETY: the bytes are a vector's, which keeps them where they are.
unsafe impl Buf for Counted {
    fn stable_ptr(&self) -> *const u8 {
        self.bytes.stable_ptr()
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }
}

// SAFETY: as above.
unsafe impl BufMut for Counted {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.stable_mut_ptr()
    }
}
