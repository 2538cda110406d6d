//! `for_each_partition`: the records out to the world, a partition at a time.

use std::fmt;
use std::panic::Location;

use crate::error::Result;
use crate::rdd::pipe::{Data, Pipe, Step};
use crate::rdd::{Partition, Rdd};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Calls `f` for each partition, on the workers in parallel, with all its
    /// records. This is the place for a connection: one per partition, neither
    /// one per record nor one made elsewhere. A [`Pool`](crate::shared::Pool) keeps
    /// them for the next batch.
    ///
    /// A partition for which `f` or a step fails is tried again, from its first record on, up
    /// to `task_max_failures` times in all (four): what `f` did outside is done at least once.
    /// With that setting at 1 nothing is tried again.
    ///
    /// # Errors
    /// The error or panic of `f` or of a step, if a partition has failed that often.
    #[doc(alias = "foreachPartition")]
    #[track_caller]
    pub fn for_each_partition<F>(&self, f: F) -> Result<()>
    where
        F: Fn(Records<T>) -> Result<()> + Send + Sync,
    {
        let step = Step::new("for_each_partition", Location::caller());
        self.each_in_parallel(Some(step), f)
    }

    /// See [`for_each_partition`](Self::for_each_partition); `step` names `f` if
    /// it is the user's.
    pub(crate) fn each_in_parallel<F>(&self, step: Option<Step>, f: F) -> Result<()>
    where
        F: Fn(Records<T>) -> Result<()> + Send + Sync,
    {
        // What `f` does is not known to be small.
        self.each_partition(
            step,
            |_| usize::MAX,
            |index, part| f(self.records(index, part)?),
        )?;
        Ok(())
    }

    /// The records of the partition `part`, brought together.
    pub(super) fn records(&self, index: usize, part: &dyn Partition<P::In>) -> Result<Records<T>> {
        let mut records = Vec::with_capacity(part.count().unwrap_or_default());
        self.feed(part, &mut records)?;
        Ok(Records {
            index,
            records: records.into_iter(),
        })
    }
}

/// The records of one partition, in order.
pub struct Records<T> {
    index: usize,
    records: std::vec::IntoIter<T>,
}

impl<T> Records<T> {
    /// The index of the partition in its data set.
    #[must_use]
    pub fn partition_index(&self) -> usize {
        self.index
    }

    /// Those that were not taken yet.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        self.records.as_slice()
    }

    pub(super) fn into_vec(self) -> Vec<T> {
        self.records.collect()
    }
}

impl<T> Iterator for Records<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.records.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.records.size_hint()
    }
}

impl<T> ExactSizeIterator for Records<T> {}

impl<T> fmt::Debug for Records<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("partition", &self.index)
            .finish_non_exhaustive()
    }
}
