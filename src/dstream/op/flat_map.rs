//! `flat_map`: any number of records out for each record in.

use std::panic::Location;

use crate::dstream::DStream;
use crate::rdd::FlatMap;
use crate::rdd::pipe::{Chain, Data, Pipe, Step};

/// # Transformations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Applies `f` to each record and gives all records of what it returns.
    ///
    /// Guide: Transformations on DStreams. No shuffle, no state; costs what `f`
    /// and its iterator cost, in the loop of its chain.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<Str>::new();
    /// let words = ssc.queue_stream(&queue)?.flat_map(|line| line.split(' '));
    /// words.print();
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "flatMap")]
    #[track_caller]
    pub fn flat_map<I, F>(&self, f: F) -> DStream<I::Item, Chain<P, FlatMap<F>>>
    where
        I: IntoIterator<Item: Data, IntoIter: 'static>,
        F: Fn(T) -> I + Send + Sync + 'static,
    {
        self.then(FlatMap(f), Step::new("flat_map", Location::caller()))
    }
}
