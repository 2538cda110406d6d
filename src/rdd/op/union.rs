//! `union`: the partitions of several data sets.

use std::sync::Arc;

use crate::rdd::pipe::{Data, Pipe};
use crate::rdd::{Rdd, Union};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// The records of several batches of one stream, which have one chain.
    pub(crate) fn union_of_batches(batches: Vec<Self>) -> Option<Self> {
        let mut batches = batches.into_iter();
        let first = batches.next()?;
        if batches.len() == 0 {
            return Some(first);
        }
        let data = Arc::new(Union(
            [first.data]
                .into_iter()
                .chain(batches.map(|batch| batch.data))
                .collect(),
        ));
        Some(Self { data, ..first })
    }

    /// The records of both: the partitions of `self`, then those of `other`.
    /// No shuffle.
    pub fn union<Q: Pipe<Out = T>>(self, other: Rdd<T, Q>) -> Rdd<T> {
        let executor = Arc::clone(&self.executor);
        let both = vec![self.boxed().into_dataset(), other.boxed().into_dataset()];
        Rdd::new(Arc::new(Union(both)), executor)
    }
}
