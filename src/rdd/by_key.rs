//! Records at the partition of their key, in the order in which they came.

use std::fmt;
use std::hash::Hash;
use std::mem;
use std::sync::Arc;

use super::pipe::{Data, Pipe};
use super::shuffle::{HashPartitioner, Scatter, exchange};
use super::{Rdd, weight};
use crate::error::Result;
use crate::executor::{Executor, Spare, Spares};

impl<K, V, P> Rdd<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// Runs the chain now, and sends each record to the partition of its key, in lists
    /// that another batch has emptied: what is allocated anew has to be brought in by the
    /// system, page by page.
    pub(crate) fn by_key(
        &self,
        partitioner: HashPartitioner,
        spare: &Arc<Spares<Vec<(K, V)>>>,
    ) -> Result<Arrivals<(K, V)>> {
        let n = partitioner.partitions();
        let buckets = self.each_partition(None, weight, |_, part| {
            let mut lists: Vec<_> = (0..n).map(|_| spare.take(Vec::new)).collect();
            let empty = lists.iter_mut().map(|list| mem::take(&mut **list));
            let mut sink = Scatter::into(empty.collect(), partitioner.by_key());
            if self.pipe.keeps_count() {
                sink.reserve(part.count().unwrap_or_default());
            }
            self.feed(part, &mut sink)?;
            for (list, bucket) in lists.iter_mut().zip(sink.into_buckets()) {
                **list = bucket;
                fit(list);
            }
            Ok(lists)
        })?;
        // What this batch did not take.
        spare.clear();
        Arrivals::sent(&self.executor, n, buckets, spare)
    }
}

/// The records that came to each partition: a list from each partition that sent
/// some, in their order.
pub(crate) struct Arrivals<T> {
    partitions: Vec<Arrived<T>>,
    len: usize,
}

impl<T: Send> Arrivals<T> {
    /// None at all.
    pub(crate) fn none(partitions: usize) -> Self {
        Self {
            partitions: (0..partitions).map(|_| Arrived::none()).collect(),
            len: 0,
        }
    }

    /// How many records there were.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What came to each partition, for [`Executor::consume`].
    pub(crate) fn into_partitions(self) -> Vec<Arrived<T>> {
        self.partitions
    }

    /// What the partitions have sent, in their order: `sent[i][p]` is what the
    /// partition `i` has for `p`.
    pub(crate) fn of(
        executor: &Executor,
        partitions: usize,
        sent: Vec<Vec<Vec<T>>>,
    ) -> Result<Self> {
        let lists = |lists: Vec<_>| lists.into_iter().map(Spare::from).collect();
        let sent = sent.into_iter().map(lists).collect();
        Self::sent(executor, partitions, sent, &Arc::default())
    }

    /// As [`of`](Self::of); the lists become spare ones when they were worked on.
    fn sent(
        executor: &Executor,
        partitions: usize,
        sent: Vec<Vec<Spare<Vec<T>>>>,
        spare: &Arc<Spares<Vec<T>>>,
    ) -> Result<Self> {
        let len = sent.iter().flatten().map(|list| list.len()).sum();
        // Nothing is left to do for the task that gets them.
        let partitions = exchange(executor, partitions, sent, 0, |lists| Arrived {
            lists,
            spare: Arc::clone(spare),
        })?;
        Ok(Self { partitions, len })
    }
}

/// The records that came to one partition, list by list.
pub(crate) struct Arrived<T> {
    lists: Vec<Spare<Vec<T>>>,
    spare: Arc<Spares<Vec<T>>>,
}

impl<T> Arrived<T> {
    fn none() -> Self {
        Self {
            lists: Vec::new(),
            spare: Arc::default(),
        }
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.lists.iter().map(|list| list.len()).sum()
    }

    /// The lists, to be emptied.
    pub(crate) fn lists(&mut self) -> &mut [Spare<Vec<T>>] {
        &mut self.lists
    }

    /// Takes out all records.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.lists.iter_mut().flat_map(|list| list.drain(..))
    }
}

impl<T> Drop for Arrived<T> {
    fn drop(&mut self) {
        for mut list in self.lists.drain(..) {
            list.clear();
            self.spare.put(list);
        }
    }
}

/// Gives memory back if this batch needs little of it.
fn fit<T>(list: &mut Vec<T>) {
    if list.capacity() > SMALL.max(list.len().saturating_mul(16)) {
        list.shrink_to(list.len() * 2);
    }
}

/// Room for so many records is nothing to give back.
const SMALL: usize = 1 << 12;

impl<T> fmt::Debug for Arrivals<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
