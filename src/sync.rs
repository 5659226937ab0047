//! Atomics: the standard library's, or, where the claim protocol is model-checked, loom's.

#[cfg(all(test, uring_pool_model))]
pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
#[cfg(not(all(test, uring_pool_model)))]
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
