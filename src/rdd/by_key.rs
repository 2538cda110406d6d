//! Records at the partition of their key, in the order in which they came.

use std::fmt;
use std::hash::Hash;

use super::pipe::{Data, Pipe};
use super::shuffle::{HashPartitioner, Scatter, exchange, records};
use super::{Rdd, weight};
use crate::error::Result;
use crate::executor::Executor;

impl<K, V, P> Rdd<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// Runs the chain now, and sends each record to the partition of its key.
    pub(crate) fn by_key(&self, partitioner: HashPartitioner) -> Result<Arrivals<(K, V)>> {
        let buckets = self.each_partition(None, weight, |_, part| {
            let mut sink = Scatter::new(partitioner.partitions(), partitioner.by_key());
            if self.pipe.keeps_count() {
                sink.reserve(part.count().unwrap_or_default());
            }
            self.feed(part, &mut sink)?;
            Ok(sink.into_buckets())
        })?;
        Arrivals::of(&self.executor, partitioner.partitions(), buckets)
    }
}

/// The records that came to each partition: a list from each partition that sent
/// some, in their order.
pub(crate) struct Arrivals<T> {
    partitions: Vec<Vec<Vec<T>>>,
    len: usize,
}

impl<T: Send> Arrivals<T> {
    /// None at all.
    pub(crate) fn none(partitions: usize) -> Self {
        Self {
            partitions: (0..partitions).map(|_| Vec::new()).collect(),
            len: 0,
        }
    }

    /// How many records there were.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What came to each partition, for [`Executor::consume`].
    pub(crate) fn into_partitions(self) -> Vec<Vec<Vec<T>>> {
        self.partitions
    }

    /// What the partitions have sent, in their order: `sent[i][p]` is what the
    /// partition `i` has for `p`.
    pub(crate) fn of(
        executor: &Executor,
        partitions: usize,
        sent: Vec<Vec<Vec<T>>>,
    ) -> Result<Self> {
        let len = records(&sent);
        // Nothing is left to do for the task that gets them.
        let partitions = exchange(executor, partitions, sent, 0, |lists| lists)?;
        Ok(Self { partitions, len })
    }
}

impl<T> fmt::Debug for Arrivals<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
