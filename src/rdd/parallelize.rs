//! Data sets of records that the program has.

use std::sync::Arc;

use super::pipe::Data;
use super::{Rdd, at_rest};
use crate::executor::Executor;

impl<T: Data> Rdd<T> {
    /// `partitions` partitions (at least one) of nearly equal length, in the order
    /// of `records`.
    pub(crate) fn parallelize(
        records: impl IntoIterator<Item = T>,
        partitions: usize,
        executor: &Arc<Executor>,
    ) -> Self {
        let mut records = records.into_iter().collect::<Vec<_>>().into_iter();
        let (n, p) = (records.len(), partitions.max(1));
        let slices = (0..p).map(|i| {
            let len = cut_point(i + 1, n, p) - cut_point(i, n, p);
            records.by_ref().take(len).collect::<Vec<_>>()
        });
        Self::ready(at_rest(slices), Arc::clone(executor))
    }
}

/// Where slice `i` of `p` begins, of `n` records.
fn cut_point(i: usize, n: usize, p: usize) -> usize {
    (i as u128 * n as u128 / p as u128) as usize
}
