//! `flat_map_values`: any number of values for each key.

use std::panic::Location;

use crate::rdd::Rdd;
use crate::rdd::pipe::{Chain, Data, Narrow, Pipe, Sink, Step};

impl<K: Data, V: Data, P: Pipe<Out = (K, V)>> Rdd<(K, V), P> {
    /// Applies `f` to the value of each pair and pairs the key with each value
    /// that it returns; the key is cloned for each of them, the partition stays.
    /// Narrow: runs in the loop of its chain.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let below = ssc.parallelize([("b", 2), ("a", 0), ("c", 1)], 2).flat_map_values(|n| 0..n);
    /// assert_eq!(below.collect()?, [("b", 0), ("b", 1), ("c", 0)]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "flatMapValues")]
    #[track_caller]
    pub fn flat_map_values<I, F>(self, f: F) -> Rdd<(K, I::Item), Chain<P, FlatMapValues<F>>>
    where
        I: IntoIterator<Item: Data>,
        F: Fn(V) -> I + Send + Sync + 'static,
    {
        let step = Step::new("flat_map_values", Location::caller());
        self.then(FlatMapValues(f), step)
    }
}

/// The operation `flat_map_values`.
#[derive(Debug)]
pub struct FlatMapValues<F>(pub(crate) F);

impl<K, V, I, F> Narrow<(K, V)> for FlatMapValues<F>
where
    K: Clone,
    I: IntoIterator,
    F: Fn(V) -> I + Send + Sync + 'static,
{
    type Out = (K, I::Item);

    #[inline(always)]
    fn apply<S: Sink<(K, I::Item)>>(&self, (key, value): (K, V), next: &mut S) {
        let values = (self.0)(value).into_iter();
        next.push_all(values.map(|value| (key.clone(), value)));
    }
}
