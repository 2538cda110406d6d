//! `count_by_value`: how often each record occurs in a batch.

use std::hash::Hash;
use std::panic::Location;
use std::sync::Arc;

use crate::dstream::DStream;
use crate::rdd::Aggregate;
use crate::rdd::op::count_by_value::add;
use crate::rdd::op::reduce_by_key::Reducer;
use crate::rdd::pipe::{Data, Pipe, Step};

/// # Transformations
impl<T: Data + Hash + Eq, P: Pipe<Out = T>> DStream<T, P> {
    /// Each distinct record of a batch with the number of times it occurs.
    ///
    /// Guide: Transformations on DStreams. One shuffle, of one entry per
    /// distinct record and worker; no state.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<Str>::new();
    /// ssc.queue_stream(&queue)?.count_by_value().print();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[doc(alias = "countByValue")]
    #[track_caller]
    pub fn count_by_value(&self) -> DStream<(T, u64)> {
        self.count_by_value_into(self.default_parallelism())
    }

    /// As [`count_by_value`](Self::count_by_value), into `partitions` partitions.
    ///
    /// # Panics
    /// If the context was started.
    #[track_caller]
    pub fn count_by_value_into(&self, partitions: usize) -> DStream<(T, u64)> {
        let site = Location::caller();
        let step = Step::new("count_by_value", site);
        let aggregate = Arc::new(Aggregate::new(Reducer(add), partitions, step));
        self.lift("count_by_value", site, move |rdd, _| {
            Ok(rdd.count_with(Arc::clone(&aggregate)))
        })
    }
}
