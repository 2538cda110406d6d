//! `count`: how many records a batch has.

use std::panic::Location;

use crate::dstream::DStream;
use crate::dstream::lift::Gap;
use crate::rdd::pipe::{Data, Pipe, Step};

/// # Transformations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// The number of records of each batch: always one element, 0 for an empty
    /// batch.
    ///
    /// Guide: Transformations on DStreams. No state. Free if no step stands
    /// between an input and the count. A time without data of this stream is an
    /// error.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<Str>::new();
    /// ssc.queue_stream(&queue)?.count().print();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[track_caller]
    pub fn count(&self) -> DStream<u64> {
        let step = Step::new("count", Location::caller());
        self.lift_as(step, Gap::Refused, |rdd, _| Ok(rdd.counted()))
    }
}
