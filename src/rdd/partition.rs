//! Partitions: what a boundary is made of.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::pipe::{Chunk, Data};
use crate::block::{Memory, Taken, TypedBlock};
use crate::error::Result;

/// A part of a data set, which one worker reads at a time.
pub(crate) trait Partition<T>: Send + Sync {
    /// Hands over all records, chunk by chunk, until `each` breaks.
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>) -> Result<()>;

    /// The number of records, if it is known without reading them.
    fn count(&self) -> Option<usize>;

    /// The expected work of reading it, about the number of records.
    fn weight(&self) -> usize;

    /// The batch is done but not forgotten: what it holds of a receiver's ring is
    /// counted in `memory` from now on, if there is room.
    fn keep(&self, _memory: &Arc<Memory>) {}
}

/// Records that are handed over at a time: a boxed chain makes no more than what
/// they give at once, and who needs a few records only stops early.
pub(crate) const CHUNK: usize = 512;

/// The partitions of a data set.
pub(crate) type Partitions<T> = Arc<[Arc<dyn Partition<T>>]>;

/// Records at rest in memory.
pub(crate) struct AtRest<T>(Vec<T>);

impl<T> AtRest<T> {
    pub(crate) fn new(records: Vec<T>) -> Self {
        Self(records)
    }
}

impl<T: Data> Partition<T> for AtRest<T> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>) -> Result<()> {
        for chunk in self.0.chunks(CHUNK) {
            if each(Chunk::Shared(chunk)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn count(&self) -> Option<usize> {
        Some(self.0.len())
    }

    fn weight(&self) -> usize {
        self.0.len()
    }
}

impl<T> fmt::Debug for AtRest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtRest")
            .field("len", &self.0.len())
            .finish()
    }
}

/// Records that a cut took from a receiver's block.
impl<T: Data> Partition<T> for Taken<TypedBlock<T>> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>) -> Result<()> {
        // As above.
        let _ = each(Chunk::Shared(self.as_slice()));
        Ok(())
    }

    fn count(&self) -> Option<usize> {
        Some(self.records())
    }

    fn weight(&self) -> usize {
        self.records()
    }

    fn keep(&self, memory: &Arc<Memory>) {
        self.keep(memory);
    }
}

/// One partition of each list of records.
pub(crate) fn at_rest<T: Data>(parts: impl IntoIterator<Item = Vec<T>>) -> Partitions<T> {
    parts
        .into_iter()
        .map(|records| Arc::new(AtRest(records)) as Arc<dyn Partition<T>>)
        .collect()
}
