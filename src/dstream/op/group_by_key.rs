//! `group_by_key`: all values of each key, per batch.

use std::hash::Hash;
use std::panic::Location;
use std::sync::Arc;

use crate::dstream::DStream;
use crate::rdd::Aggregate;
use crate::rdd::op::group_by_key::Grouper;
use crate::rdd::pipe::{Data, Pipe, Step};

/// # Operations on pairs
impl<K, V, P> DStream<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// The values of each key as a list, in no defined order.
    ///
    /// Guide: Transformations on DStreams. One shuffle of all values; no state.
    /// To reduce them at once use [`reduce_by_key`](Self::reduce_by_key).
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<Str>::new();
    /// ssc.queue_stream(&queue)?.map(|word| (word.len(), word)).group_by_key().print();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[doc(alias = "groupByKey")]
    #[track_caller]
    pub fn group_by_key(&self) -> DStream<(K, Vec<V>)> {
        self.group_by_key_into(self.default_parallelism())
    }

    /// As [`group_by_key`](Self::group_by_key), into `partitions` partitions.
    ///
    /// # Panics
    /// If the context was started.
    #[track_caller]
    pub fn group_by_key_into(&self, partitions: usize) -> DStream<(K, Vec<V>)> {
        let site = Location::caller();
        let step = Step::new("group_by_key", site);
        let aggregate = Arc::new(Aggregate::new(Grouper, partitions, step));
        self.lift("group_by_key", site, move |rdd, _| {
            Ok(rdd.aggregate_with(Arc::clone(&aggregate)))
        })
    }
}
