//! Atomics, locks and threads: those of the system, or in a model those of the checker.
//!
//! Loom models the ring, with all that its memory orders allow. Shuttle models the ring and
//! the threads around it, with random orders of their steps; what only shuttle models is in
//! [`engine`].

mod lock;
#[cfg(any(loom, shuttle))]
mod model;

#[cfg(all(test, shuttle))]
mod explore;

#[cfg(all(test, shuttle))]
pub(crate) use explore::explore;

pub(crate) use lock::{lock, unpoisoned};

#[cfg(not(any(loom, shuttle)))]
pub(crate) use {
    crossbeam_queue::ArrayQueue,
    std::sync::{Condvar, Mutex, MutexGuard},
};

#[cfg(loom)]
pub(crate) use {
    loom::sync::{Condvar, Mutex, MutexGuard},
    model::ArrayQueue,
};

#[cfg(shuttle)]
pub(crate) use {
    model::ArrayQueue,
    shuttle::sync::{Condvar, Mutex, MutexGuard},
};

pub(crate) mod atomic {
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

    #[cfg(loom)]
    pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

    #[cfg(shuttle)]
    pub(crate) use shuttle::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
}

/// Of the threads that receive, cut, run jobs, tell listeners and write checkpoints. A lock
/// that may be held while another thread gets its turn has to be one of these.
pub(crate) mod engine {
    #[cfg(not(shuttle))]
    pub(crate) use std::{
        sync::atomic::{AtomicBool, AtomicU8, AtomicUsize},
        sync::{Condvar, Mutex, MutexGuard},
        thread::{Builder, JoinHandle},
        thread_local,
    };

    #[cfg(shuttle)]
    pub(crate) use shuttle::{
        sync::atomic::{AtomicBool, AtomicU8, AtomicUsize},
        sync::{Condvar, Mutex, MutexGuard},
        thread::{Builder, JoinHandle},
        thread_local,
    };

    /// As [`lock`](super::lock()), of these locks.
    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        super::unpoisoned(mutex.lock())
    }

    /// For the write-ahead log, and for what is saved of state.
    #[cfg(shuttle)]
    pub(crate) use shuttle::thread::yield_now;
    #[cfg(not(shuttle))]
    pub(crate) use std::thread::yield_now;

    /// In a model another thread may come here, as it may at each of the words above.
    #[cfg(any(test, feature = "fault-inject"))]
    #[inline]
    pub(crate) fn step() {
        #[cfg(shuttle)]
        AtomicBool::new(false).load(std::sync::atomic::Ordering::Relaxed);
    }
}
