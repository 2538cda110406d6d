//! `filter`: keeps the records that satisfy a predicate.

use std::panic::Location;

use crate::dstream::DStream;
use crate::rdd::Filter;
use crate::rdd::pipe::{Chain, Data, Pipe, Step};

/// # Transformations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Keeps the records for which `f` is true.
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
    /// # let queue = RddQueue::<Str>::new();
    /// let errors = ssc.queue_stream(&queue)?.filter(|line| line.contains("error"));
    /// errors.count().print();
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn filter<F>(&self, f: F) -> DStream<T, Chain<P, Filter<F>>>
    where
        F: Fn(&T) -> bool + Send + Sync + 'static,
    {
        self.then(Filter(f), Step::new("filter", Location::caller()))
    }
}
