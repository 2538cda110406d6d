//! Records at the partition of their key, in the order in which they came.

use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

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
    /// Runs the chain now, and sends each record to the partition of its key, in lists
    /// that another batch has emptied.
    pub(crate) fn by_key(
        &self,
        partitioner: HashPartitioner,
        spare: &Arc<SpareLists<(K, V)>>,
    ) -> Result<Arrivals<(K, V)>> {
        let n = partitioner.partitions();
        let buckets = self.each_partition(None, weight, |_, part| {
            let mut sink = Scatter::into(spare.take(n), partitioner.by_key());
            if self.pipe.keeps_count() {
                sink.reserve(part.count().unwrap_or_default());
            }
            self.feed(part, &mut sink)?;
            let mut buckets = sink.into_buckets();
            buckets.iter_mut().for_each(fit);
            Ok(buckets)
        })?;
        spare.clear();
        Arrivals::of(&self.executor, n, buckets, spare)
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
    /// partition `i` has for `p`. The lists become spare ones when they were worked
    /// on.
    pub(crate) fn of(
        executor: &Executor,
        partitions: usize,
        sent: Vec<Vec<Vec<T>>>,
        spare: &Arc<SpareLists<T>>,
    ) -> Result<Self> {
        let len = records(&sent);
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
    lists: Vec<Vec<T>>,
    spare: Arc<SpareLists<T>>,
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
        self.lists.iter().map(Vec::len).sum()
    }

    /// The lists, to be emptied.
    pub(crate) fn lists(&mut self) -> &mut [Vec<T>] {
        &mut self.lists
    }

    /// Takes out all records.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.lists.iter_mut().flat_map(|list| list.drain(..))
    }
}

impl<T> Drop for Arrived<T> {
    fn drop(&mut self) {
        self.lists.iter_mut().for_each(Vec::clear);
        lock(&self.spare.0).append(&mut self.lists);
    }
}

/// Empty lists whose memory the next batch uses, as what is allocated anew has to be
/// brought in by the system, page by page.
pub(crate) struct SpareLists<T>(Mutex<Vec<Vec<T>>>);

impl<T> SpareLists<T> {
    /// As many lists, some of them with memory.
    fn take(&self, n: usize) -> Vec<Vec<T>> {
        let mut spare = lock(&self.0);
        let kept = spare.len().saturating_sub(n);
        let mut lists = spare.split_off(kept);
        lists.resize_with(n, Vec::new);
        lists
    }

    /// Lets go of those that a batch did not take.
    fn clear(&self) {
        lock(&self.0).clear();
    }
}

impl<T> Default for SpareLists<T> {
    fn default() -> Self {
        Self(Mutex::default())
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}

impl<T> fmt::Debug for Arrivals<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
