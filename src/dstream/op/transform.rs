//! `transform`: any operation of the batch engine on each batch.

use std::panic::Location;

use crate::dstream::DStream;
use crate::error::Result;
use crate::rdd::Rdd;
use crate::rdd::pipe::{Data, Pipe};
use crate::time::BatchTime;

/// # Transformations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Calls `f` once per batch with its data and time, and goes on with the Rdd
    /// that it returns. `f` may use whatever is current then: another data set,
    /// another number of partitions.
    ///
    /// Guide: Transform Operation. Runs when the batch is processed, so slow
    /// code here never delays the cut of a later batch.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<Str>::new();
    /// let stamped = ssc.queue_stream(&queue)?.transform(|rdd, time| {
    ///     Ok(rdd.map(move |line| (time.as_millis(), line)))
    /// });
    /// stamped.print();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[track_caller]
    pub fn transform<U, Q, F>(&self, f: F) -> DStream<U>
    where
        U: Data,
        Q: Pipe<Out = U>,
        F: Fn(Rdd<T, P>, BatchTime) -> Result<Rdd<U, Q>> + Send + Sync + 'static,
    {
        self.lift("transform", Location::caller(), move |rdd, time| {
            Ok(f(rdd, time)?.boxed())
        })
    }
}
