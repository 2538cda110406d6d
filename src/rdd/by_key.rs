//! Records at the partition of their key, in the order in which they came.

use std::fmt;
use std::hash::Hash;
use std::mem;
use std::sync::{Mutex, MutexGuard};

use super::pipe::{Data, Pipe, Sink};
use super::shuffle::{HashPartitioner, exchange};
use super::{Rdd, weight};
use crate::error::Result;
use crate::executor::Executor;
use crate::hash::KeyHash;

impl<K, V, P> Rdd<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// Runs the chain now, and sends each record to the partition of its key.
    pub(crate) fn by_key(&self, partitioner: HashPartitioner) -> Result<Arrivals<(K, V)>> {
        let buckets = self.each_partition(None, weight, |_, part| {
            let mut sink = Buckets::new(partitioner);
            if self.pipe.keeps_count() {
                sink.reserve(part.count().unwrap_or_default());
            }
            self.feed(part, &mut sink)?;
            Ok(sink)
        })?;
        Arrivals::of(&self.executor, partitioner, buckets)
    }
}

/// Records by the partition of their key.
pub(crate) struct Buckets<K, V> {
    buckets: Vec<Vec<(K, V)>>,
    partitioner: HashPartitioner,
    hash: KeyHash,
}

impl<K: Hash, V> Buckets<K, V> {
    pub(crate) fn new(partitioner: HashPartitioner) -> Self {
        Self {
            buckets: (0..partitioner.partitions()).map(|_| Vec::new()).collect(),
            partitioner,
            hash: KeyHash::get(),
        }
    }

    /// Makes room for `len` records, if they are spread evenly.
    fn reserve(&mut self, len: usize) {
        let even = len / self.buckets.len();
        for bucket in &mut self.buckets {
            bucket.reserve(even + even / 8);
        }
    }
}

impl<K: Hash, V> Sink<(K, V)> for Buckets<K, V> {
    #[inline(always)]
    fn push(&mut self, (key, value): (K, V)) {
        let bucket = match &mut self.buckets[..] {
            [only] => only,
            buckets => &mut buckets[self.partitioner.of(self.hash.hash(&key))],
        };
        bucket.push((key, value));
    }
}

/// The records that came to each partition: a list from each partition that sent
/// some, in their order. To be taken by the task that works on the partition.
pub(crate) struct Arrivals<T> {
    partitions: Vec<Mutex<Vec<Vec<T>>>>,
    len: usize,
}

impl<T: Send> Arrivals<T> {
    /// None at all.
    pub(crate) fn none(partitions: usize) -> Self {
        Self {
            partitions: (0..partitions).map(|_| Mutex::default()).collect(),
            len: 0,
        }
    }

    /// How many records there were.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What came to a partition; nothing the second time.
    pub(crate) fn take(&self, partition: usize) -> Vec<Vec<T>> {
        mem::take(&mut *lock(&self.partitions[partition]))
    }
}

impl<K: Send, V: Send> Arrivals<(K, V)> {
    /// What the partitions have sent, in their order.
    pub(crate) fn of(
        executor: &Executor,
        partitioner: HashPartitioner,
        sent: Vec<Buckets<K, V>>,
    ) -> Result<Self> {
        let sent: Vec<_> = sent.into_iter().map(|sent| sent.buckets).collect();
        let len = sent.iter().flatten().map(Vec::len).sum();
        // Nothing is left to do for the task that gets them.
        let partitions = exchange(executor, partitioner.partitions(), sent, 0, Mutex::new)?;
        Ok(Self { partitions, len })
    }
}

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
