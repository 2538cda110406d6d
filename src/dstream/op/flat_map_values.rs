//! `flat_map_values`: any number of values for each key.

use std::panic::Location;

use crate::dstream::DStream;
use crate::rdd::FlatMapValues;
use crate::rdd::pipe::{Chain, Data, Pipe, Step};

/// # Operations on pairs
impl<K: Data, V: Data, P: Pipe<Out = (K, V)>> DStream<(K, V), P> {
    /// Applies `f` to the value of each pair and pairs the key with each value
    /// that it returns; the partition stays.
    ///
    /// Guide: Transformations on DStreams. No shuffle, no state; costs what `f`
    /// and its iterator cost, and a clone of the key for each value, in the loop
    /// of its chain.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<(u64, Str)>::new();
    /// let lines = ssc.queue_stream(&queue)?; // with the id of their sender
    /// lines.flat_map_values(|line| line.split(' ')).count_by_value().print();
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "flatMapValues")]
    #[track_caller]
    pub fn flat_map_values<I, F>(&self, f: F) -> DStream<(K, I::Item), Chain<P, FlatMapValues<F>>>
    where
        I: IntoIterator<Item: Data>,
        F: Fn(V) -> I + Send + Sync + 'static,
    {
        let step = Step::new("flat_map_values", Location::caller());
        self.then(FlatMapValues(f), step)
    }
}
