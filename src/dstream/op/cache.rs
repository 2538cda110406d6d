//! `cache`: batches that are computed once.

use std::panic::Location;

use crate::dstream::DStream;
use crate::rdd::pipe::{Data, Pipe};

/// # Persistence
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// The same stream, of which each batch is computed once, however many
    /// operations use it, and kept in memory as long as any of them may need it.
    ///
    /// Guide: Caching / Persistence. No shuffle; costs a copy of each record.
    /// Batches that rest already (those of an input, of a keyed operation, of a
    /// window) stay where they are. Windows do this by themselves to the stream
    /// that they look at.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<Str>::new();
    /// let words = ssc.queue_stream(&queue)?.flat_map(|line| line.split(' ')).cache();
    /// words.count().print();
    /// words.count_by_value().print(); // the lines are not split again
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[track_caller]
    pub fn cache(&self) -> DStream<T> {
        self.lift("cache", Location::caller(), |rdd, _| Ok(rdd.cache()))
    }
}
