//! `partition_by`: pairs in partitions that the program chooses.

use std::panic::Location;
use std::sync::Arc;

use crate::rdd::pipe::{Data, Pipe, Step};
use crate::rdd::shuffle::{exchange, records};
use crate::rdd::{Rdd, at_rest, concat};

impl<K: Data, V: Data, P: Pipe<Out = (K, V)>> Rdd<(K, V), P> {
    /// Moves each pair to the partition `f(key)` modulo `partitions` (at least
    /// one). A shuffle of all pairs.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let by_size = ssc
    ///     .parallelize([(7, "g"), (1, "a"), (900, "z")], 2)
    ///     .partition_by(|&key| if key < 100 { 0 } else { 1 }, 2);
    /// assert_eq!(by_size.collect_partitions()?[1], [(900, "z")]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "partitionBy")]
    #[track_caller]
    pub fn partition_by<F>(self, f: F, partitions: usize) -> Rdd<(K, V)>
    where
        F: Fn(&K) -> usize + Send + Sync + 'static,
    {
        let step = Step::new("partition_by", Location::caller());
        self.partition_as(step, Arc::new(f), partitions)
    }

    pub(crate) fn partition_as<F>(self, step: Step, f: Arc<F>, partitions: usize) -> Rdd<(K, V)>
    where
        F: Fn(&K) -> usize + Send + Sync + 'static,
    {
        let n = partitions.max(1);
        let executor = Arc::clone(&self.executor);
        Rdd::lazy(n, executor, move |executor| {
            let buckets = self.scatter(n, Some(step), || |(key, _): &(K, V)| f(key) % n)?;
            let weight = records(&buckets);
            let merged = exchange(executor, n, buckets, weight, concat)?;
            Ok(at_rest(merged))
        })
    }
}
