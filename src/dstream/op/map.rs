//! `map`: one record out for each record in.

use std::panic::Location;

use crate::dstream::DStream;
use crate::rdd::Map;
use crate::rdd::pipe::{Chain, Data, Pipe, Step};

/// # Transformations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Applies `f` to each record.
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
    /// let lengths = ssc.queue_stream(&queue)?.map(|line| line.len());
    /// lengths.print();
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn map<U, F>(&self, f: F) -> DStream<U, Chain<P, Map<F>>>
    where
        U: Data,
        F: Fn(T) -> U + Send + Sync + 'static,
    {
        self.then(Map(f), Step::new("map", Location::caller()))
    }
}
