//! `count_by_value`: how often each record occurs.

use std::hash::Hash;
use std::panic::Location;
use std::sync::Arc;

use crate::rdd::op::reduce_by_key::Reducer;
use crate::rdd::pipe::{Data, Pipe, Step};
use crate::rdd::{Aggregate, Map, Rdd};

impl<T: Data + Hash + Eq, P: Pipe<Out = T>> Rdd<T, P> {
    /// Each distinct record with the number of times it occurs. One shuffle, of
    /// one entry per distinct record and worker.
    #[doc(alias = "countByValue")]
    #[track_caller]
    pub fn count_by_value(self) -> Rdd<(T, u64)> {
        let partitions = self.default_parallelism();
        self.count_by_value_into(partitions)
    }

    /// As [`count_by_value`](Self::count_by_value), into `partitions` partitions
    /// (at least one).
    #[track_caller]
    pub fn count_by_value_into(self, partitions: usize) -> Rdd<(T, u64)> {
        let step = Step::new("count_by_value", Location::caller());
        self.count_with(Arc::new(Aggregate::new(Reducer(add), partitions, step)))
    }

    /// Runs an aggregation that [adds](add), which may keep its tables for the
    /// next batch.
    pub(crate) fn count_with<F>(self, sum: Arc<Aggregate<T, u64, Reducer<F>>>) -> Rdd<(T, u64)>
    where
        F: Fn(u64, u64) -> u64 + Send + Sync + 'static,
    {
        let step = sum.step();
        self.then(Map(|record| (record, 1)), step)
            .aggregate_with(sum)
    }
}

/// How counts are joined.
pub(crate) fn add(a: u64, b: u64) -> u64 {
    a + b
}
