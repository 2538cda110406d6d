//! The one place where records change the worker that owns them.
//!
//! Every keyed or regrouping operation first makes *buckets*: each worker sorts
//! what it sees into one bucket per output partition. [`exchange`] then gives
//! all buckets of a partition to one task. Running on several machines will
//! mean another implementation of this one function.

use crate::error::Result;
use crate::executor::Executor;

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
}

/// Gives the buckets of each partition, from all workers, to one `merge`.
///
/// `buckets[w][p]` is what worker `w` has for partition `p`.
pub(crate) fn exchange<B: Send, R: Send>(
    executor: &Executor,
    partitions: usize,
    buckets: Vec<Vec<B>>,
    weight: usize,
    merge: impl Fn(Vec<B>) -> R + Sync,
) -> Result<Vec<R>> {
    let mut columns: Vec<_> = buckets.into_iter().map(Vec::into_iter).collect();
    let cells: Vec<_> = (0..partitions)
        .map(|_| std::sync::Mutex::new(columns.iter_mut().filter_map(Iterator::next).collect()))
        .collect();
    executor.map(partitions, weight, |p| {
        let column: Vec<B> =
            std::mem::take(&mut *cells[p].lock().unwrap_or_else(|poison| poison.into_inner()));
        Ok(merge(column))
    })
}
