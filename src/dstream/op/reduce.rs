//! `reduce`: all records of a batch to one.

use std::panic::Location;

use crate::dstream::DStream;
use crate::rdd::pipe::{Data, Pipe, Step};

/// # Transformations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Joins the records of each batch by `f`, which must be associative and
    /// commutative. One element, none for an empty batch.
    ///
    /// Guide: Transformations on DStreams. No state; each worker reduces what it
    /// sees, then their results are joined.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<u64>::new();
    /// ssc.queue_stream(&queue)?.reduce(u64::max).print();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[track_caller]
    pub fn reduce<F>(&self, f: F) -> DStream<T>
    where
        F: Fn(T, T) -> T + Send + Sync + 'static,
    {
        let f = std::sync::Arc::new(f);
        let site = Location::caller();
        let step = Step::new("reduce", site);
        self.lift("reduce", site, move |rdd, _| {
            Ok(rdd.reduced(step, std::sync::Arc::clone(&f)))
        })
    }
}
