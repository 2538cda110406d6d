//! `repartition`: the same records in another number of partitions.

use std::sync::Arc;

use crate::rdd::pipe::{Data, Pipe};
use crate::rdd::shuffle::{exchange, records};
use crate::rdd::{Rdd, at_rest, concat};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Spreads the records evenly over `partitions` partitions (at least one).
    /// A shuffle; their order is not kept.
    pub fn repartition(self, partitions: usize) -> Rdd<T> {
        let n = partitions.max(1);
        let executor = Arc::clone(&self.executor);
        Rdd::lazy(n, executor, move |executor| {
            // In turn, as cards are dealt.
            let buckets = self.scatter(n, None, || {
                let mut next = 0;
                move |_| {
                    let this = next;
                    next = if this + 1 == n { 0 } else { this + 1 };
                    this
                }
            })?;
            let weight = records(&buckets);
            let merged = exchange(executor, n, buckets, weight, concat)?;
            Ok(at_rest(merged))
        })
    }
}
