//! `reduce_by_key`: the values of each key to one.

use std::hash::Hash;
use std::mem;
use std::panic::Location;
use std::sync::Arc;

use crate::rdd::pipe::{Data, Pipe, Step};
use crate::rdd::{Aggregate, Combine, Rdd};

impl<K, V, P> Rdd<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// Joins the values of each key by `f`, which must be associative and
    /// commutative. One shuffle, after reducing on each worker.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let bytes = ssc.parallelize([("a", 3), ("b", 1), ("a", 4)], 2).reduce_by_key(|a, b| a + b);
    /// assert_eq!(bytes.sort().collect()?, [("a", 7), ("b", 1)]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "reduceByKey")]
    #[track_caller]
    pub fn reduce_by_key<F>(self, f: F) -> Rdd<(K, V)>
    where
        F: Fn(V, V) -> V + Send + Sync + 'static,
    {
        let partitions = self.default_parallelism();
        self.reduce_by_key_into(f, partitions)
    }

    /// As [`reduce_by_key`](Self::reduce_by_key), into `partitions` partitions (at
    /// least one).
    #[track_caller]
    pub fn reduce_by_key_into<F>(self, f: F, partitions: usize) -> Rdd<(K, V)>
    where
        F: Fn(V, V) -> V + Send + Sync + 'static,
    {
        let step = Step::new("reduce_by_key", Location::caller());
        self.aggregate_with(Arc::new(Aggregate::new(Reducer(f), partitions, step)))
    }
}

/// The closure of `reduce_by_key`.
pub(crate) struct Reducer<F>(pub(crate) F);

impl<V: Data, F: Fn(V, V) -> V + Send + Sync + 'static> Combine<V> for Reducer<F> {
    type Combined = V;

    #[inline(always)]
    fn first(&self, value: V) -> V {
        value
    }

    #[inline(always)]
    fn value(&self, combined: &mut V, value: V) {
        // `f` takes both by value. The copy of the new value stands in while it
        // runs, so that a panic in it leaves a value behind; for plain numbers
        // the compiler drops it.
        let so_far = mem::replace(combined, value.clone());
        *combined = (self.0)(so_far, value);
    }

    fn combined(&self, combined: &mut V, other: V) {
        self.value(combined, other);
    }
}
