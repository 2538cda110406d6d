//! The bound on data that is kept beyond its batch.

use std::fmt;
use std::sync::Arc;

use super::SpillStore;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Bytes of processed batches that windows and the program still hold, and the
/// bound on them (`memory_max`).
///
/// A ring bounds what it received and what is not processed yet. What a window
/// keeps is counted here instead, so that a long window does not eat up the
/// room that a receiver needs. Beyond the bound it stays in the ring's count, and
/// the receiver waits until the window moves on.
///
/// What is persisted may go to spill files instead.
pub(crate) struct Memory {
    bound: u64,
    spill: Arc<SpillStore>,
    /// The count guards no other memory, so all of it is relaxed.
    used: AtomicU64,
}

impl Memory {
    pub(crate) fn new(bound: u64, spill: Arc<SpillStore>) -> Self {
        Self {
            bound,
            spill,
            used: AtomicU64::new(0),
        }
    }

    /// One that spills to the system's directory for temporary files.
    #[cfg(test)]
    pub(crate) fn with_room(bound: u64) -> Self {
        let disk = Arc::new(crate::disk::LocalDisk);
        Self::new(bound, SpillStore::new(disk, std::env::temp_dir(), u64::MAX))
    }

    /// Bytes that are counted now.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether nothing more fits.
    pub(crate) fn is_full(&self) -> bool {
        self.used() >= self.bound
    }

    /// Where that goes which does not fit, if it may.
    pub(crate) fn spill(&self) -> &Arc<SpillStore> {
        &self.spill
    }

    /// Counts bytes, if they fit.
    pub(crate) fn try_take(&self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.bound;
        if !fits {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }

    /// Gives back what was taken.
    pub(crate) fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("bound", &self.bound)
            .field("used", &self.used())
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_not_counted() {
        let memory = Memory::with_room(10);
        assert!(memory.try_take(7));
        assert!(!memory.try_take(4));
        assert_eq!(memory.used(), 7);
        assert!(memory.try_take(3));
        memory.give(7);
        assert_eq!(memory.used(), 3);
    }
}
