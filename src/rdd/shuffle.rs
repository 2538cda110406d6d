//! The one place where records change the worker that owns them.
//!
//! Every keyed or regrouping operation first makes *buckets*: each worker sorts
//! what it sees into one bucket per output partition ([`scatter`](Rdd::scatter),
//! or the tables of an aggregation). [`exchange`] then gives all buckets of a
//! partition to one task. Running on several machines will mean another
//! implementation of this one function.

use std::hash::Hash;

use super::Rdd;
use super::pipe::{Data, Pipe, Sink, Step};
use crate::error::Result;
use crate::executor::Executor;
use crate::hash::KeyHash;

/// Which output partition a key belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashPartitioner {
    partitions: usize,
}

impl HashPartitioner {
    pub(crate) fn new(partitions: usize) -> Self {
        Self { partitions }
    }

    pub(crate) fn partitions(self) -> usize {
        self.partitions
    }

    /// By the middle bits of the hash: a table uses the lowest and the highest.
    #[inline(always)]
    pub(crate) fn of(self, hash: u64) -> usize {
        ((((hash >> 24) & 0xffff_ffff) * self.partitions as u64) >> 32) as usize
    }

    /// What tells the partition of a record, for a [`Scatter`].
    pub(crate) fn by_key<K: Hash, V>(self) -> impl Fn(&(K, V)) -> usize + Send {
        let hash = KeyHash::get();
        move |(key, _)| match self.partitions {
            1 => 0,
            _ => self.of(hash.hash(key)),
        }
    }
}

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Each worker's records in `n` buckets, in no particular order; where that of
    /// the partitions counts, see [`by_key`](Rdd::by_key). `choose` makes the
    /// function that tells a worker which bucket (below `n`) a record belongs to;
    /// `last` names it if it is the user's.
    pub(super) fn scatter<F>(
        &self,
        n: usize,
        last: Option<Step>,
        choose: impl Fn() -> F + Sync,
    ) -> Result<Vec<Vec<Vec<T>>>>
    where
        F: FnMut(&T) -> usize + Send,
    {
        let scattered = self.fold(last, || Scatter::new(n, choose()))?;
        Ok(scattered.into_iter().map(Scatter::into_buckets).collect())
    }
}

/// Sorts records into buckets, each in the order in which they come.
pub(crate) struct Scatter<T, F> {
    buckets: Vec<Vec<T>>,
    choose: F,
}

impl<T, F: FnMut(&T) -> usize> Scatter<T, F> {
    /// Into `n` buckets; `choose` tells which one (below `n`) a record belongs to.
    pub(crate) fn new(n: usize, choose: F) -> Self {
        Self::into((0..n).map(|_| Vec::new()).collect(), choose)
    }

    /// Into these buckets, which are empty.
    pub(super) fn into(buckets: Vec<Vec<T>>, choose: F) -> Self {
        Self { buckets, choose }
    }

    /// Makes room for `len` records, if they are spread evenly.
    pub(super) fn reserve(&mut self, len: usize) {
        let even = len / self.buckets.len();
        for bucket in &mut self.buckets {
            bucket.reserve(even + even / 8);
        }
    }

    pub(crate) fn into_buckets(self) -> Vec<Vec<T>> {
        self.buckets
    }
}

impl<T, F: FnMut(&T) -> usize> Sink<T> for Scatter<T, F> {
    #[inline(always)]
    fn push(&mut self, record: T) {
        let bucket = (self.choose)(&record);
        self.buckets[bucket].push(record);
    }
}

/// How many records there are in the buckets of all workers.
pub(super) fn records<T>(buckets: &[Vec<Vec<T>>]) -> usize {
    buckets.iter().flatten().map(Vec::len).sum()
}

/// Gives the buckets of each partition, from all workers, to one `merge`, which uses them
/// up: it belongs to the [`stage`](Executor::stage) in which they were made.
///
/// `buckets[w][p]` is what worker `w` has for partition `p`.
pub(crate) fn exchange<B: Send, R: Send>(
    executor: &Executor,
    partitions: usize,
    buckets: Vec<Vec<B>>,
    weight: usize,
    merge: impl Fn(Vec<B>) -> R + Sync,
) -> Result<Vec<R>> {
    let mut workers: Vec<_> = buckets.into_iter().map(Vec::into_iter).collect();
    let columns: Vec<Vec<B>> = (0..partitions)
        .map(|_| workers.iter_mut().filter_map(Iterator::next).collect())
        .collect();
    executor.consume(columns, weight, |_, column| Ok(merge(column)))
}
