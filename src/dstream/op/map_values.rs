//! `map_values`: another value for each key.

use std::panic::Location;

use crate::dstream::DStream;
use crate::rdd::MapValues;
use crate::rdd::pipe::{Chain, Data, Pipe, Step};

/// # Operations on pairs
impl<K: Data, V: Data, P: Pipe<Out = (K, V)>> DStream<(K, V), P> {
    /// Applies `f` to the value of each pair; the key stays, and so does the
    /// partition.
    ///
    /// Guide: Transformations on DStreams. No shuffle, no state; costs what `f`
    /// costs, in the loop of its chain.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<(Str, u64)>::new();
    /// let bytes = ssc.queue_stream(&queue)?.reduce_by_key(|a, b| a + b);
    /// bytes.map_values(|bytes| bytes as f64 / 1024.0).print(); // in KiB
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "mapValues")]
    #[track_caller]
    pub fn map_values<U, F>(&self, f: F) -> DStream<(K, U), Chain<P, MapValues<F>>>
    where
        U: Data,
        F: Fn(V) -> U + Send + Sync + 'static,
    {
        self.then(MapValues(f), Step::new("map_values", Location::caller()))
    }
}
