//! `map_partitions`: whole partitions in, any number of records out.

use std::panic::Location;
use std::sync::Arc;

use crate::dstream::DStream;
use crate::rdd::Records;
use crate::rdd::pipe::{Data, Pipe, Step};

/// # Transformations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Calls `f` with all records of each partition, also of an empty one, and
    /// gives all records of what it returns: the place for what is to be made once
    /// per partition. [`Records::partition_index`] tells which one it is.
    ///
    /// Guide: Transformations on DStreams. No shuffle, no state; the records of a
    /// partition are brought together before `f` sees them.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<Str>::new();
    /// let words = ssc.queue_stream(&queue)?.map_partitions(|lines| {
    ///     let mut buffer = String::new(); // one for all lines of a partition
    ///     lines.map(move |line| {
    ///         buffer.clear();
    ///         buffer.extend(line.chars().rev());
    ///         Str::from(buffer.as_str())
    ///     })
    /// });
    /// words.print();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[doc(alias = "mapPartitions")]
    #[doc(alias = "mapPartitionsWithIndex")]
    #[track_caller]
    pub fn map_partitions<I, F>(&self, f: F) -> DStream<I::Item>
    where
        I: IntoIterator<Item: Data>,
        F: Fn(Records<T>) -> I + Send + Sync + 'static,
    {
        let site = Location::caller();
        let step = Step::new("map_partitions", site);
        let f = Arc::new(f);
        self.lift("map_partitions", site, move |rdd, _| {
            Ok(rdd.map_partitions_as(step, Arc::clone(&f)))
        })
    }
}
