//! `count_by_value`: how often each record occurs.

use std::hash::Hash;

use crate::rdd::Rdd;
use crate::rdd::pipe::{Data, Pipe};

impl<T: Data + Hash + Eq, P: Pipe<Out = T>> Rdd<T, P> {
    /// Each distinct record with the number of times it occurs. One shuffle
    /// into `partitions` partitions.
    #[doc(alias = "countByValue")]
    #[track_caller]
    pub fn count_by_value(self, partitions: usize) -> Rdd<(T, u64)> {
        self.map(|record| (record, 1))
            .reduce_by_key(|a, b| a + b, partitions)
    }
}
