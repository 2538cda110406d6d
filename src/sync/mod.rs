//! Atomics and locks of what loom models, the ring; loom's own under `cfg(loom)`.

#[cfg(loom)]
mod model;

#[cfg(not(loom))]
pub(crate) use {
    crossbeam_queue::ArrayQueue,
    std::sync::{Condvar, Mutex, MutexGuard},
};

#[cfg(loom)]
pub(crate) use {
    loom::sync::{Condvar, Mutex, MutexGuard},
    model::ArrayQueue,
};

pub(crate) mod atomic {
    #[cfg(not(loom))]
    pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

    #[cfg(loom)]
    pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
}
