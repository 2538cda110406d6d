//! `partition_by`: pairs in partitions that the program chooses.

use std::panic::Location;
use std::sync::Arc;

use crate::dstream::DStream;
use crate::rdd::pipe::{Data, Pipe, Step};

/// # Operations on pairs
impl<K: Data, V: Data, P: Pipe<Out = (K, V)>> DStream<(K, V), P> {
    /// Moves each pair to the partition `f(key)` modulo `partitions` (at least
    /// one).
    ///
    /// Guide: Transformations on DStreams. A shuffle of all pairs; no state.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<(u64, Str)>::new();
    /// // Users of one region in one file.
    /// let by_region = ssc.queue_stream(&queue)?.partition_by(|id| (id >> 32) as usize, 4);
    /// by_region.save_as_text_files("/tmp/users", "");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[doc(alias = "partitionBy")]
    #[track_caller]
    pub fn partition_by<F>(&self, f: F, partitions: usize) -> DStream<(K, V)>
    where
        F: Fn(&K) -> usize + Send + Sync + 'static,
    {
        let site = Location::caller();
        let step = Step::new("partition_by", site);
        let f = Arc::new(f);
        self.lift("partition_by", site, move |rdd, _| {
            Ok(rdd.partition_as(step, Arc::clone(&f), partitions))
        })
    }
}
