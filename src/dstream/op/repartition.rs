//! `repartition`: the same records in another number of partitions.

use std::panic::Location;

use crate::dstream::DStream;
use crate::dstream::lift::Gap;
use crate::rdd::pipe::{Data, Pipe, Step};

/// # Transformations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Spreads the records of each batch evenly over `partitions` partitions (at
    /// least one).
    ///
    /// Guide: Level of Parallelism in Data Receiving. A shuffle of all records,
    /// whose order is not kept; no state. A time without data of this stream is an
    /// error.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<Str>::new();
    /// ssc.queue_stream(&queue)?.repartition(8).print();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[track_caller]
    pub fn repartition(&self, partitions: usize) -> DStream<T> {
        let step = Step::new("repartition", Location::caller());
        self.lift_as(step, Gap::Refused, move |rdd, _| {
            Ok(rdd.repartition(partitions))
        })
    }
}
