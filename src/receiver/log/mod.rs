//! What receivers take, in the write-ahead log.
//!
//! The log has two kinds of records. A *block* is what one receiver stored: records of
//! its stream, in order. A *batch* says which blocks were cut for a batch time. Both are
//! in the log before a job of that batch runs.
//!
//! | what a receiver does | when it is in the log |
//! | --- | --- |
//! | `store_many`, and a block of a block generator | before the call returns: it may be acknowledged |
//! | `store`, and all that sockets receive | as soon as there are some megabytes of it, and soon after it was cut, at the block interval or the batch interval; a crash loses what came since |
//!
//! **After a restart** the batches behind the checkpoint come again, each with the
//! blocks that it had, and then the first new batch has the blocks that were in none. A
//! program that begins anew takes a checkpoint before anything is logged, so there is
//! always one to begin behind.
//!
//! Of what comes again only the places are in memory. A block is read again when its batch
//! runs: recovery takes as much memory as the batches that are at work do.
//!
//! **What a checkpoint needs.** Before each cut it is noted which record is the first
//! that a later batch may need. That is the end of the log, unless blocks are on their
//! way from the log to their ring, or belong to batches of an earlier process that are
//! still to come; while those come, what is stored waits, and counts, too. A checkpoint
//! has the number that was noted as long before it as the windows behind the receivers
//! reach back: so they find the batches that they read again. When no older checkpoint
//! is kept, what is before its number goes.

#[cfg(not(feature = "checkpoint"))]
mod disabled;
#[cfg(feature = "checkpoint")]
mod enabled;
mod logging;
#[cfg(all(test, shuttle))]
mod model;
#[cfg(feature = "checkpoint")]
mod record;

#[cfg(not(feature = "checkpoint"))]
use disabled::BlockPlace;
#[cfg(not(feature = "checkpoint"))]
pub(crate) use disabled::{Flight, ReceiverLog};
#[cfg(feature = "checkpoint")]
use enabled::BlockPlace;
#[cfg(feature = "checkpoint")]
pub(crate) use enabled::{Flight, ReceiverLog};
pub(crate) use logging::Logging;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::time::BatchTime;

/// What the log has of a stream.
#[derive(Debug, Default)]
pub(crate) struct RestoredStream {
    pub(crate) batches: BTreeMap<BatchTime, Vec<RestoredBlock>>,
    /// Batches before the checkpoint that windows read again.
    pub(crate) before: BTreeMap<BatchTime, Vec<RestoredBlock>>,
    /// Blocks that were in no batch.
    pub(crate) rest: Vec<RestoredBlock>,
}

/// What of the log comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// What is in batches behind a checkpoint, and what is in none. The first record
    /// that is needed for that, if the checkpoint has it.
    Behind(BatchTime, Option<u64>),
    /// Nothing: the program begins anew.
    Nothing,
    /// There has never been anything.
    Never,
}

/// Where a program goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resume {
    /// Batches up to this one do not come again.
    pub(crate) last: BatchTime,
    /// Batches before this one have nothing but what they had.
    pub(crate) fresh_from: BatchTime,
}

/// The blocks of one stream in a batch: its name, and where they are.
pub(crate) type StreamBlocks = (Arc<str>, Vec<Place>);

/// A block that the log has of an earlier process. Its records stay there until they are
/// asked for by [`ReceiverLog::read_block`].
#[derive(Debug)]
pub(crate) struct RestoredBlock {
    pub(crate) sequence: u64,
    pub(crate) records: u64,
    pub(crate) metadata: Option<Arc<str>>,
    place: BlockPlace,
}

/// Where in the log a block of a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It has this number.
    Known(u64),
    /// It is written with the batch, as the one with this index.
    New(usize),
}
