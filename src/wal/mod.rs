//! The write-ahead log: records that are there after a crash, in order and without gaps.
//!
//! A receiver that acknowledges to its source what it took writes it to the log first.
//! After a crash the log is read from the first record that no checkpoint covers.
//!
//! # Words
//!
//! * **Record**: some bytes, its *body*, with a **sequence number**: 0, 1, 2, ... over
//!   the whole life of the log.
//! * **Segment**: a file of the log. A new one begins when the last one has its size or
//!   its age, at each start, and when writing failed.
//! * **Group**: the records of all who wait. They are appended together, and one sync
//!   makes all of them durable (*group commit*). Whoever comes first does it; there is no
//!   thread for it.
//! * **Superseded**: not needed any more, as a checkpoint that is durable covers it.
//!
//! # What holds
//!
//! * [`append`](WriteAheadLog::append) returns when the record is in the log, to the
//!   level of the [`SyncMode`]. What was appended and not superseded is read again, in
//!   order, after any crash of that level. Nothing else is, except that an append which
//!   failed, or was going on at the crash, may have succeeded.
//! * A sync that failed is not tried again. Its records are written to a new segment; if
//!   that fails as well, all who wait get the error. The next append tries a new segment.
//! * A record that is missing is an error that names file, offset and sequence number,
//!   or is counted, by [`OnCorruption`]. What is missing at the end of the last segment
//!   was never acknowledged, and is no error.
//! * Clean-up removes whole segments, and only what the caller called superseded.
//!
//! `README.md` beside this file draws the format. Deliberately not here: what is in the
//! records, and which of them belong to which batch.

mod log;
mod open;
mod options;
mod read;
mod scan;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

pub use log::{WalStats, WriteAheadLog};
pub use options::{OnCorruption, SyncMode, WalOptions};
pub use read::WalReader;
pub(crate) use scan::RecordPlace;
