//! The bound on data that is kept beyond its batch.

use std::fmt;

use crate::sync::atomic::{AtomicU64, Ordering};

/// Bytes of processed batches that windows and the program still hold, and the
/// bound on them (`memory_max`).
///
/// A ring bounds what it received and what is not processed yet. What a window
/// keeps is counted here instead, so that a long window does not eat up the
/// room that a receiver needs. Beyond the bound it stays in the ring's count, and
/// the receiver waits until the window moves on.
pub(crate) struct Memory {
    bound: u64,
    /// The count guards no other memory, so all of it is relaxed.
    used: AtomicU64,
}

impl Memory {
    pub(crate) fn new(bound: u64) -> Self {
        Self {
            bound,
            used: AtomicU64::new(0),
        }
    }

    /// Bytes that are counted now.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
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
        let memory = Memory::new(10);
        assert!(memory.try_take(7));
        assert!(!memory.try_take(4));
        assert_eq!(memory.used(), 7);
        assert!(memory.try_take(3));
        memory.give(7);
        assert_eq!(memory.used(), 3);
    }
}
