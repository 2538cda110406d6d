//! What happened: records of batches and receivers, and who is told.
//!
//! Events carry ids, times and counts, no types of the floors above. They are
//! delivered in order by one thread of their own, so a slow listener delays no
//! batch; when its queue is full, events are dropped and counted.

mod bus;
mod info;

#[cfg(all(test, shuttle))]
mod model;

pub(crate) use bus::{Bus, Event};
pub(crate) use info::Received;
pub use info::{
    BatchInfo, CheckpointInfo, InputInfo, OutputOperationInfo, ReceiverInfo, RecoveryInfo,
    SkippedBatchInfo, SpillInfo, StateInfo, StuckBatchInfo,
};

/// Is told what happens in a context. Every method does nothing by default.
///
/// A listener that panics is reported, and goes on being called; after ten panics
/// in a row it is told nothing more.
///
/// # Examples
/// ```
/// use millstream::listener::{BatchInfo, StreamingListener};
///
/// #[derive(Debug)]
/// struct Slow;
///
/// impl StreamingListener for Slow {
///     fn on_batch_completed(&self, batch: &BatchInfo) {
///         if batch.processing_delay() > std::time::Duration::from_millis(1) {
///             println!("{} took {:?}", batch.batch_time, batch.processing_delay());
///         }
///     }
/// }
/// ```
#[expect(
    unused_variables,
    reason = "the names document what an implementor gets"
)]
pub trait StreamingListener: Send + Sync {
    /// A batch was cut and waits to be processed.
    fn on_batch_submitted(&self, batch: &BatchInfo) {}

    /// The first job of a batch started.
    fn on_batch_started(&self, batch: &BatchInfo) {}

    /// All jobs of a batch ended, some perhaps with an error.
    fn on_batch_completed(&self, batch: &BatchInfo) {}

    /// A batch has been running for longer than `batch_stuck_after`. Told once for
    /// each such batch; it goes on running.
    fn on_batch_stuck(&self, stuck: &StuckBatchInfo) {}

    /// A checkpoint was written, or could not be.
    fn on_checkpoint(&self, checkpoint: &CheckpointInfo) {}

    /// A context that went on from a checkpoint has processed its first fresh batch. Told
    /// once.
    fn on_recovered(&self, recovery: &RecoveryInfo) {}

    /// No batch was cut at a boundary, as too many are waiting. What was received
    /// stays where it is, and is in the next batch.
    fn on_batch_skipped(&self, skipped: &SkippedBatchInfo) {}

    /// What an input had received for a batch that waits was written to a file, or could
    /// not be (`receiver_storage_level`).
    fn on_spill(&self, spill: &SpillInfo) {}

    /// A receiver began to receive.
    fn on_receiver_started(&self, receiver: &ReceiverInfo) {}

    /// A receiver reported an error; it may go on.
    fn on_receiver_error(&self, receiver: &ReceiverInfo) {}

    /// A receiver stopped, for good or to be started again.
    fn on_receiver_stopped(&self, receiver: &ReceiverInfo) {}
}
