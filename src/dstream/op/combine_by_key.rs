//! `combine_by_key`: keyed aggregation into another type, per batch.

use std::hash::Hash;
use std::panic::Location;
use std::sync::Arc;

use crate::dstream::DStream;
use crate::rdd::Aggregate;
use crate::rdd::op::combine_by_key::Combiner;
use crate::rdd::pipe::{Data, Pipe, Step};

/// # Operations on pairs
impl<K, V, P> DStream<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// Combines the values of each key: `create` makes the result of a first
    /// value, `merge_value` takes in a further one, `merge_combiners` joins the
    /// results of two workers.
    ///
    /// Guide: Transformations on DStreams. One shuffle, of one entry per key and
    /// worker; no state.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<(Str, u64)>::new();
    /// let means = ssc
    ///     .queue_stream(&queue)?
    ///     .combine_by_key(
    ///         |value| (value, 1),
    ///         |(sum, n), value| {
    ///             *sum += value;
    ///             *n += 1;
    ///         },
    ///         |(sum, n), (other_sum, other_n)| {
    ///             *sum += other_sum;
    ///             *n += other_n;
    ///         },
    ///     )
    ///     .map(|(key, (sum, n))| (key, sum / n));
    /// means.print();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[doc(alias = "combineByKey")]
    #[track_caller]
    pub fn combine_by_key<C: Data>(
        &self,
        create: impl Fn(V) -> C + Send + Sync + 'static,
        merge_value: impl Fn(&mut C, V) + Send + Sync + 'static,
        merge_combiners: impl Fn(&mut C, C) + Send + Sync + 'static,
    ) -> DStream<(K, C)> {
        self.combine_by_key_into(
            create,
            merge_value,
            merge_combiners,
            self.default_parallelism(),
        )
    }

    /// As [`combine_by_key`](Self::combine_by_key), into `partitions` partitions.
    ///
    /// # Panics
    /// If the context was started.
    #[track_caller]
    pub fn combine_by_key_into<C: Data>(
        &self,
        create: impl Fn(V) -> C + Send + Sync + 'static,
        merge_value: impl Fn(&mut C, V) + Send + Sync + 'static,
        merge_combiners: impl Fn(&mut C, C) + Send + Sync + 'static,
        partitions: usize,
    ) -> DStream<(K, C)> {
        let combine = Combiner {
            create,
            merge_value,
            merge_combiners,
        };
        let site = Location::caller();
        let step = Step::new("combine_by_key", site);
        let aggregate = Arc::new(Aggregate::new(combine, partitions, step));
        self.lift("combine_by_key", site, move |rdd, _| {
            Ok(rdd.aggregate_with(Arc::clone(&aggregate)))
        })
    }
}
