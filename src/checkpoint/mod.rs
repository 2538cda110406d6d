//! Checkpoints: what streams keep, in files, so that another process can go on.
//!
//! A checkpoint is data only. It has the batch time at which it was taken, and for
//! each stream that keeps something the pieces of which that is made again. The
//! program declares its streams anew; they find what is theirs by name
//! ([`DStream::uid`](crate::DStream::uid)), and so do accumulators.
//!
//! | what | where |
//! | --- | --- |
//! | when one is taken, and of what | `checkpointer` |
//! | the thread that writes them, one after the other | `writer` |
//! | the directory: names, the newest one that is whole, what can go | `store` |
//! | the bytes of a file | `file` |
//! | how long it takes to go on from one | `recovery` |
//! | what inputs gave to the batches since | `batch_log` |
//! | what is in a directory, for people | [`inspect`] |
//!
//! **Consistency.** A checkpoint is taken on the thread that runs jobs, behind the
//! last job of a batch and before the first one of the next, and only at times at
//! which every stream that keeps something has a batch. So all are taken to the same
//! time, and nothing is needed of batches before, but by windows of plain records; of
//! receivers with a write-ahead log those are read again.
//!
//! **Other types.** Records are saved beside their shape, so the program may have other
//! fields than the one that wrote them; see [`codec`](crate::codec).
//!
//! **Cost.** Each stream gives what changed since the checkpoint before; that is
//! written behind the batches. While one is being written no other is taken.
//!
//! **Batches that failed.** Behind one no checkpoint is taken for a while, so that a
//! restart runs it again, if all inputs can give their data again.
//!
//! **Faults.** A file appears under its name only when all of it is durable, so the
//! newest file that can be read is a checkpoint. What the disk refuses is tried again a few
//! times, at once, be it written or read. If one cannot be written, what it had
//! goes into the next one. A file is removed when none of the newest checkpoints
//! needs it.

mod batch_log;
mod checkpointer;
mod file;
mod inspect;
mod recovery;
mod store;
mod writer;

#[cfg(all(test, shuttle))]
mod model;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

pub(crate) use checkpointer::{CheckpointTimes, Checkpointer, Program};
pub use inspect::{
    AccumulatorDescription, CheckpointFile, Description, Inspection, Status, StreamDescription,
    inspect,
};
pub(crate) use store::{Recovered, Store};
pub(crate) use writer::OnKept;
#[cfg(all(test, shuttle))]
pub(crate) use {
    store::{file_name, times},
    writer::KEPT,
};
