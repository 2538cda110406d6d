//! A piece of state that is written while the batches behind it run.

use std::fmt;
use std::hash::Hash;

use super::changes;
use super::keyed::StatePartitions;
use crate::codec::records::RecordWriter;
use crate::error::Result;
use crate::rdd::pipe::Data;
use crate::sync::engine::{lock, yield_now};

/// What [`KeyedState::save`](super::KeyedState::save) gave.
pub(crate) struct Saving<K, S> {
    partitions: StatePartitions<K, S>,
    all: bool,
    entries: usize,
}

impl<K: Data + Hash + Eq, S: Data> Saving<K, S> {
    pub(super) fn new(partitions: StatePartitions<K, S>, all: bool, entries: usize) -> Self {
        Self {
            partitions,
            all,
            entries,
        }
    }

    /// Whether it is all of the state, and not only what changed.
    pub(crate) fn is_all(&self) -> bool {
        self.all
    }

    /// How many keys it has.
    pub(crate) fn entries(&self) -> usize {
        self.entries
    }

    /// Writes so many keys of each partition, at most; whether there are more.
    pub(super) fn write_some(&self, most: usize) -> bool {
        let mut is_more = false;
        for partition in &*self.partitions {
            is_more |= lock(partition).write_some(most);
        }
        is_more
    }

    /// The bytes of the piece.
    ///
    /// # Errors
    /// If a key or its state could not be written, or was replaced by what is none of the
    /// state it was begun with.
    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        /// Some ten microseconds: a batch may be waiting for the partition.
        const MOST: usize = 512;
        while self.write_some(MOST) {
            // Whoever waits for a partition gets it now.
            yield_now();
        }
        let written = self.partitions.iter().map(|it| lock(it).end_save());
        // Of all partitions: none keeps what would be in the way of the next piece.
        let written: Vec<Result<_>> = written.collect();
        let written = written
            .into_iter()
            .collect::<Result<Vec<RecordWriter<_>>>>()?;
        changes::piece(self.all, &written)
    }
}

impl<K, S> fmt::Debug for Saving<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saving")
            .field("all", &self.all)
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}
