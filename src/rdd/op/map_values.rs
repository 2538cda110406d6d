//! `map_values`: another value for each key.

use std::panic::Location;

use crate::rdd::Rdd;
use crate::rdd::pipe::{Chain, Data, Narrow, Pipe, Sink, Step};

impl<K: Data, V: Data, P: Pipe<Out = (K, V)>> Rdd<(K, V), P> {
    /// Applies `f` to the value of each pair; the key stays, and so does the
    /// partition. Narrow: runs in the loop of its chain.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let lengths = ssc.parallelize([(1, "one"), (3, "three")], 2).map_values(|name| name.len());
    /// assert_eq!(lengths.collect()?, [(1, 3), (3, 5)]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "mapValues")]
    #[track_caller]
    pub fn map_values<U: Data, F>(self, f: F) -> Rdd<(K, U), Chain<P, MapValues<F>>>
    where
        F: Fn(V) -> U + Send + Sync + 'static,
    {
        self.then(MapValues(f), Step::new("map_values", Location::caller()))
    }
}

/// The operation `map_values`.
#[derive(Debug)]
pub struct MapValues<F>(pub(crate) F);

impl<K, V, U, F> Narrow<(K, V)> for MapValues<F>
where
    F: Fn(V) -> U + Send + Sync + 'static,
{
    type Out = (K, U);

    #[inline(always)]
    fn apply<S: Sink<(K, U)>>(&self, (key, value): (K, V), next: &mut S) {
        next.push((key, (self.0)(value)));
    }

    #[inline(always)]
    fn apply_all<S: Sink<(K, U)>>(&self, records: impl Iterator<Item = (K, V)>, next: &mut S) {
        next.push_all(records.map(|(key, value)| (key, (self.0)(value))));
    }
}
