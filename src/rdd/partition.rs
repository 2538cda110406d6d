//! Partitions: what a boundary is made of.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::pipe::{Chunk, Data};
use super::weight;
use crate::block::{Memory, Taken, TypedBlock};
use crate::error::Result;

/// A part of a data set. One worker reads it, or some workers share it where the
/// order of records does not matter.
pub(crate) trait Partition<T>: Send + Sync {
    /// Hands over all records, chunk by chunk, until `each` breaks.
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>) -> Result<()>;

    /// In how many pieces several workers can read it, each worker a piece at a
    /// time.
    fn pieces(&self) -> usize {
        1
    }

    /// As [`chunks`](Self::chunks), of one of the [`pieces`](Self::pieces).
    fn piece(
        &self,
        _index: usize,
        each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>,
    ) -> Result<()> {
        self.chunks(each)
    }

    /// The number of records, if it is known without reading them.
    fn count(&self) -> Option<usize>;

    /// The expected work of reading it, about the number of records.
    fn weight(&self) -> usize;

    /// The node that its records are on, if that is known: its number among the pools of
    /// workers.
    fn home(&self) -> Option<usize> {
        None
    }

    /// The batch is done but not forgotten: what it holds of a receiver's ring is
    /// counted in `memory` from now on, if there is room.
    fn keep(&self, _memory: &Arc<Memory>) {}

    /// Lines that were found not to be UTF-8 so far.
    fn invalid_lines(&self) -> u64 {
        0
    }
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

/// Records that one worker takes at a time, where several share a partition: some
/// tenths of a millisecond of work, much longer than waking a worker takes.
pub(super) const PIECE: usize = 16 * 1024;

/// The records of a piece.
fn piece_of<T>(records: &[T], index: usize) -> &[T] {
    let end = records.len().min((index + 1) * PIECE);
    &records[(index * PIECE).min(end)..end]
}

fn in_chunks<T>(records: &[T], each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>) {
    for chunk in records.chunks(CHUNK) {
        if each(Chunk::Shared(chunk)).is_break() {
            break;
        }
    }
}

impl<T: Data> Partition<T> for AtRest<T> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>) -> Result<()> {
        in_chunks(&self.0, each);
        Ok(())
    }

    fn pieces(&self) -> usize {
        self.0.len().div_ceil(PIECE)
    }

    fn piece(
        &self,
        index: usize,
        each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>,
    ) -> Result<()> {
        in_chunks(piece_of(&self.0, index), each);
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
        in_chunks(self.as_slice(), each);
        Ok(())
    }

    fn pieces(&self) -> usize {
        self.records().div_ceil(PIECE)
    }

    fn piece(
        &self,
        index: usize,
        each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>,
    ) -> Result<()> {
        in_chunks(piece_of(self.as_slice(), index), each);
        Ok(())
    }

    fn count(&self) -> Option<usize> {
        Some(self.records())
    }

    fn weight(&self) -> usize {
        self.records()
    }

    fn home(&self) -> Option<usize> {
        self.home()
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

/// Partitions that are read one after the other, as one.
struct Group<T>(Vec<Arc<dyn Partition<T>>>);

impl<T> Partition<T> for Group<T> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>) -> Result<()> {
        let mut flow = ControlFlow::Continue(());
        for part in &self.0 {
            part.chunks(&mut |chunk| {
                flow = each(chunk);
                flow
            })?;
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn pieces(&self) -> usize {
        self.0.iter().map(|part| part.pieces()).sum()
    }

    fn piece(
        &self,
        mut index: usize,
        each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>,
    ) -> Result<()> {
        for part in &self.0 {
            let pieces = part.pieces();
            if index < pieces {
                return part.piece(index, each);
            }
            index -= pieces;
        }
        Ok(())
    }

    fn count(&self) -> Option<usize> {
        self.0.iter().map(|part| part.count()).sum()
    }

    fn weight(&self) -> usize {
        weight(&self.0)
    }

    fn home(&self) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        let home = first.home()?;
        let same = rest.iter().all(|part| part.home() == Some(home));
        same.then_some(home)
    }
}

/// `n` partitions of as many neighbours each as can be; of no more than there are.
pub(super) fn grouped<T: Data>(parts: &Partitions<T>, n: usize) -> Partitions<T> {
    let n = n.min(parts.len());
    if n == parts.len() {
        return Arc::clone(parts);
    }
    let group = |i: usize| Group(parts[parts.len() * i / n..parts.len() * (i + 1) / n].to_vec());
    (0..n)
        .map(|i| Arc::new(group(i)) as Arc<dyn Partition<T>>)
        .collect()
}
