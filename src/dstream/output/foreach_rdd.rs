//! `foreach_rdd`: any code on each batch.

use std::panic::Location;

use crate::dstream::DStream;
use crate::error::Result;
use crate::rdd::Rdd;
use crate::rdd::pipe::{Data, Pipe};
use crate::time::BatchTime;

/// # Output operations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Calls `f` with the data and the time of each batch, in the order of the
    /// batches. What `f` asks of the Rdd (`collect`, `for_each_partition`, ...)
    /// runs on the workers; if it asks nothing, nothing is computed.
    ///
    /// An error or a panic fails this operation of this batch; other operations
    /// and batches go on, and
    /// [`await_termination`](crate::StreamingContext::await_termination) reports
    /// the first. Of other libraries' errors `?` takes those of `std::io` and boxed
    /// ones as they are, all others by `.map_err(Error::other)?` (see
    /// [`Error::other`](crate::Error::other)).
    ///
    /// # Panics
    /// If the context was started.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<(Str, u64)>::new();
    /// let counts = ssc.queue_stream(&queue)?;
    /// counts.foreach_rdd(|rdd, time| {
    ///     rdd.for_each_partition(|records| {
    ///         let id = (time, records.partition_index()); // the id to deduplicate with
    ///         // one connection per partition; send the records
    ///         let _ = (id, records.count());
    ///         Ok(())
    ///     })
    /// });
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "foreachRDD")]
    #[track_caller]
    pub fn foreach_rdd<F>(&self, f: F)
    where
        F: Fn(Rdd<T, P>, BatchTime) -> Result<()> + Send + Sync + 'static,
    {
        self.output("foreach_rdd", Location::caller(), f);
    }
}
