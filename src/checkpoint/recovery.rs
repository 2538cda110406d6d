//! How long recovery takes: until a batch is done that no earlier process had cut.

use std::sync::Arc;

use super::store::Recovered;
use crate::listener::{Bus, Event, RecoveryInfo};
use crate::time::{BatchTime, Clock, Duration};

/// A recovery that goes on.
pub(super) struct Recovery {
    bus: Arc<Bus>,
    clock: Arc<dyn Clock>,
    checkpoint_time: BatchTime,
    /// How long it took to read the checkpoint.
    read: Duration,
    /// When the streams began to be restored, and when they were.
    begun_nanos: i64,
    restored_nanos: i64,
    /// Batches before this one come again, or make up for the time without a process.
    fresh_from: BatchTime,
    batches: u64,
}

impl Recovery {
    /// Of what `recovered` has; the streams began to be restored at `begun_nanos`.
    pub(super) fn new(
        bus: Arc<Bus>,
        clock: Arc<dyn Clock>,
        recovered: &Recovered,
        begun_nanos: i64,
        fresh_from: BatchTime,
    ) -> Self {
        Self {
            bus,
            clock,
            checkpoint_time: recovered.time,
            read: recovered.took,
            begun_nanos,
            restored_nanos: begun_nanos,
            fresh_from,
            batches: 0,
        }
    }

    /// All is restored, and batches may be cut.
    pub(super) fn restored(&mut self) {
        self.restored_nanos = self.clock.now_nanos();
    }

    /// The batch `time` has ended. Tells who listens, and gives true, if it is fresh.
    pub(super) fn batch_done(&mut self, time: BatchTime) -> bool {
        if time < self.fresh_from {
            self.batches += 1;
            return false;
        }
        let since =
            |from: i64, to: i64| Duration::from_nanos(to.saturating_sub(from).max(0) as u64);
        let restored = since(self.begun_nanos, self.restored_nanos);
        let info = RecoveryInfo {
            checkpoint_time: self.checkpoint_time,
            read: self.read,
            restored,
            batches: self.batches,
            first_fresh: time,
            until_fresh: since(self.begun_nanos, self.clock.now_nanos()),
        };
        tracing::info!(
            checkpoint = %info.checkpoint_time,
            read = ?info.read,
            restored = ?info.restored,
            batches = info.batches,
            first_fresh = %info.first_fresh,
            until_fresh = ?info.until_fresh,
            "recovered"
        );
        self.bus.post(|| Event::Recovered(info));
        true
    }
}
