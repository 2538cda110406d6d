//! The records that listeners get.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::id::{OutputId, StreamId};
use crate::time::BatchTime;

/// A batch, from its cut to its end. The fields in `_nanos` count from the Unix
/// epoch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BatchInfo {
    /// The time that the batch is named after: the end of its interval.
    pub batch_time: BatchTime,
    /// What each input contributed.
    pub inputs: Vec<InputInfo>,
    /// When the batch was cut and queued.
    pub submission_nanos: i64,
    /// When its first job started.
    pub processing_start_nanos: Option<i64>,
    /// When its last job ended.
    pub processing_end_nanos: Option<i64>,
    /// Its output operations that have ended.
    pub outputs: Vec<OutputOperationInfo>,
    /// What each operation with state, and each window by key, keeps when the batch
    /// completes, in order of declaration. Else empty.
    pub states: Vec<StateInfo>,
}

impl BatchInfo {
    /// A batch that was just cut.
    pub(crate) fn new(
        batch_time: BatchTime,
        inputs: Vec<InputInfo>,
        submission_nanos: i64,
    ) -> Self {
        Self {
            batch_time,
            inputs,
            submission_nanos,
            processing_start_nanos: None,
            processing_end_nanos: None,
            outputs: Vec::new(),
            states: Vec::new(),
        }
    }

    /// Records received for this batch by all inputs.
    #[must_use]
    pub fn num_records(&self) -> u64 {
        self.inputs.iter().map(|input| input.num_records).sum()
    }

    /// From submission to the start of processing; zero before that.
    #[must_use]
    pub fn scheduling_delay(&self) -> Duration {
        between(Some(self.submission_nanos), self.processing_start_nanos)
    }

    /// From the start of processing to its end; zero before that.
    #[must_use]
    pub fn processing_delay(&self) -> Duration {
        between(self.processing_start_nanos, self.processing_end_nanos)
    }

    /// From submission to the end of processing; zero before that.
    #[must_use]
    pub fn total_delay(&self) -> Duration {
        between(Some(self.submission_nanos), self.processing_end_nanos)
    }

    /// For how long it has been running at `now`, in nanoseconds since the Unix
    /// epoch; zero before and after that.
    pub(crate) fn running_for(&self, now: i64) -> Duration {
        match self.processing_end_nanos {
            None => between(self.processing_start_nanos, Some(now)),
            Some(_) => Duration::ZERO,
        }
    }

    /// The first error among the output operations.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.outputs.iter().find_map(|output| output.error.as_ref())
    }
}

fn between(from: Option<i64>, to: Option<i64>) -> Duration {
    match (from, to) {
        (Some(from), Some(to)) => Duration::from_nanos(to.saturating_sub(from).max(0) as u64),
        _ => Duration::ZERO,
    }
}

/// A batch that has been running for long.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StuckBatchInfo {
    /// The batch, as far as it has come.
    pub batch: BatchInfo,
    /// For how long it has been running.
    pub running: Duration,
    /// The output operations that are running now, with their numbers.
    pub operations: Vec<(OutputId, Arc<str>)>,
}

/// A batch time at which nothing was cut.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SkippedBatchInfo {
    /// The time.
    pub batch_time: BatchTime,
    /// How many batches were queued or running: `max_queued_batches`.
    pub queued_batches: usize,
}

impl SkippedBatchInfo {
    pub(crate) fn new(batch_time: BatchTime, queued_batches: usize) -> Self {
        Self {
            batch_time,
            queued_batches,
        }
    }
}

/// What an input contributed to a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InputInfo {
    /// The input's id, by order of declaration.
    pub stream_id: StreamId,
    /// The input's name, such as `Socket stream [0]`.
    pub name: String,
    /// Records in this batch. Of files and of inputs of the program's own, which are
    /// asked when the batch runs, it is known when the batch completes; of files
    /// it counts what was read to the end.
    pub num_records: u64,
    /// Records that its receiver dropped since the last batch was cut, as
    /// [`receiver_overflow`](crate::conf::Overflow) says. When the batch completes, also those
    /// that it had in an earlier process and that the write-ahead log has lost
    /// (`write_ahead_log_skip_damage`).
    pub dropped_records: u64,
    /// Lines that were not UTF-8, and with which was done what
    /// [`invalid_utf8`](crate::conf::InvalidUtf8) says. Known when the batch
    /// completes, of those that were read.
    pub invalid_lines: u64,
    /// Records per second that its receiver might store when the batch was cut, if
    /// that was limited.
    #[doc(alias = "getCurrentLimit")]
    pub rate_limit: Option<u64>,
    /// What the batch was made of, when it completes: the names of the files, what
    /// an input of the program's own tells. Else empty.
    #[doc(alias = "metadata")]
    pub description: String,
    /// What a receiver said about its blocks in this batch
    /// ([`store_many_with_metadata`](crate::receiver::ReceiverHandle::store_many_with_metadata)),
    /// in their order; of the first 100 that it said something about.
    #[doc(alias = "metadata")]
    pub block_metadata: Vec<Arc<str>>,
    /// Of how many blocks more it said something.
    pub block_metadata_left_out: u64,
}

impl InputInfo {
    pub(crate) fn new(stream_id: StreamId, name: String, num_records: u64) -> Self {
        Self {
            stream_id,
            name,
            num_records,
            dropped_records: 0,
            invalid_lines: 0,
            rate_limit: None,
            description: String::new(),
            block_metadata: Vec::new(),
            block_metadata_left_out: 0,
        }
    }

    /// With what is known of a receiver's batch.
    pub(crate) fn with_received(self, received: Received) -> Self {
        Self {
            dropped_records: received.dropped_records,
            rate_limit: received.rate_limit,
            block_metadata: received.metadata.texts,
            block_metadata_left_out: received.metadata.left_out,
            ..self
        }
    }
}

/// What is known of a receiver's batch beside its records.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) dropped_records: u64,
    pub(crate) rate_limit: Option<u64>,
    pub(crate) metadata: Metadata,
}

/// What is said about the blocks of a batch; so much that it stays small.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    texts: Vec<Arc<str>>,
    left_out: u64,
}

impl Metadata {
    const TEXTS: usize = 100;
}

impl FromIterator<Arc<str>> for Metadata {
    fn from_iter<I: IntoIterator<Item = Arc<str>>>(texts: I) -> Self {
        let mut texts = texts.into_iter();
        Self {
            texts: texts.by_ref().take(Self::TEXTS).collect(),
            left_out: texts.count() as u64,
        }
    }
}

/// One output operation of a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutputOperationInfo {
    /// The operation's number, by order of declaration.
    pub id: OutputId,
    /// What it is and where it was declared, such as `print at main.rs:12`.
    pub name: Arc<str>,
    /// When it started.
    pub start_nanos: i64,
    /// When it ended.
    pub end_nanos: i64,
    /// Why it failed, if it did.
    pub error: Option<Error>,
}

impl OutputOperationInfo {
    pub(crate) fn new(
        id: OutputId,
        name: &Arc<str>,
        start_nanos: i64,
        end_nanos: i64,
        error: Option<Error>,
    ) -> Self {
        Self {
            id,
            name: Arc::clone(name),
            start_nanos,
            end_nanos,
            error,
        }
    }
}

/// How much an operation keeps by key from batch to batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateInfo {
    /// The operation and where it was declared, such as
    /// `map_with_state at main.rs:12`.
    pub operation: Arc<str>,
    /// How many keys it has.
    pub keys: u64,
    /// The memory that it takes: its tables and lists, whether they are full or have
    /// room for more, and the text of keys that are [`Str`](crate::Str)s. What else
    /// keys and values point to is not known.
    pub bytes: u64,
}

impl StateInfo {
    pub(crate) fn new(operation: &Arc<str>, keys: u64, bytes: u64) -> Self {
        Self {
            operation: Arc::clone(operation),
            keys,
            bytes,
        }
    }
}

/// A receiver and its last error.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReceiverInfo {
    /// The input that it serves.
    pub stream_id: StreamId,
    /// The input's name.
    pub name: String,
    /// Whether it is receiving.
    pub active: bool,
    /// Records per second that it may store, if that is limited.
    pub rate_limit: Option<u64>,
    /// The last message that it reported or stopped with.
    pub last_message: String,
    /// The last error, if any.
    pub last_error: Option<Error>,
}

impl ReceiverInfo {
    pub(crate) fn new(stream_id: StreamId, name: String) -> Self {
        Self {
            stream_id,
            name,
            active: false,
            rate_limit: None,
            last_message: String::new(),
            last_error: None,
        }
    }
}

/// What an input had received for a batch that waits, and that was written to a file,
/// or could not be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SpillInfo {
    /// The name of the input that had received it.
    pub name: String,
    /// The batch.
    pub batch_time: BatchTime,
    /// How long it took.
    pub duration: Duration,
    /// The bytes of memory that are free for its receiver again.
    pub bytes: u64,
    /// Why it could not be written. It stays in memory, and the receiver may have to
    /// wait.
    pub error: Option<Error>,
}

impl SpillInfo {
    pub(crate) fn new(
        name: &str,
        batch_time: BatchTime,
        duration: Duration,
        bytes: crate::error::Result<u64>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            batch_time,
            duration,
            bytes: *bytes.as_ref().unwrap_or(&0),
            error: bytes.err(),
        }
    }
}

/// A checkpoint that was written, or could not be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckpointInfo {
    /// The batch that it is of.
    pub batch_time: BatchTime,
    /// How long it took to write it, beside the batches.
    pub duration: Duration,
    /// The bytes of its file: of what is new since the one before.
    pub bytes: u64,
    /// Why it could not be written. What it had goes into the next one.
    pub error: Option<Error>,
}

impl CheckpointInfo {
    #[cfg(feature = "checkpoint")]
    pub(crate) fn new(
        batch_time: BatchTime,
        duration: Duration,
        bytes: &crate::error::Result<u64>,
    ) -> Self {
        Self {
            batch_time,
            duration,
            bytes: *bytes.as_ref().unwrap_or(&0),
            error: bytes.as_ref().err().cloned(),
        }
    }
}
