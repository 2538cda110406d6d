//! `reduce_by_key`: the values of each key to one, per batch.

use std::hash::Hash;
use std::panic::Location;
use std::sync::Arc;

use crate::dstream::DStream;
use crate::rdd::Aggregate;
use crate::rdd::op::reduce_by_key::Reducer;
use crate::rdd::pipe::{Data, Pipe, Step};

/// # Operations on pairs
impl<K, V, P> DStream<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// Joins the values of each key by `f`, which must be associative and
    /// commutative.
    ///
    /// Guide: Transformations on DStreams. One shuffle, of one entry per key and
    /// worker; no state. The tables are kept from batch to batch, so a batch in
    /// a steady stream allocates its result only. For a value that owns memory
    /// `f` costs one clone of the value that is taken in.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<Str>::new();
    /// let counts = ssc
    ///     .queue_stream(&queue)?
    ///     .flat_map(|line| line.split(' '))
    ///     .map(|word| (word, 1u64))
    ///     .reduce_by_key(|a, b| a + b);
    /// counts.print();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[doc(alias = "reduceByKey")]
    #[track_caller]
    pub fn reduce_by_key<F>(&self, f: F) -> DStream<(K, V)>
    where
        F: Fn(V, V) -> V + Send + Sync + 'static,
    {
        self.reduce_by_key_into(f, self.default_parallelism())
    }

    /// As [`reduce_by_key`](Self::reduce_by_key), into `partitions` partitions.
    ///
    /// # Panics
    /// If the context was started.
    #[track_caller]
    pub fn reduce_by_key_into<F>(&self, f: F, partitions: usize) -> DStream<(K, V)>
    where
        F: Fn(V, V) -> V + Send + Sync + 'static,
    {
        let site = Location::caller();
        let step = Step::new("reduce_by_key", site);
        let aggregate = Arc::new(Aggregate::new(Reducer(f), partitions, step));
        self.lift("reduce_by_key", site, move |rdd, _| {
            Ok(rdd.aggregate_with(Arc::clone(&aggregate)))
        })
    }
}
