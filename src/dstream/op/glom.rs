//! `glom`: the partitions of a batch as records.

use std::panic::Location;

use crate::dstream::DStream;
use crate::rdd::pipe::{Data, Pipe, Step};

/// # Transformations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// The records of each partition as one list; that of an empty one is empty.
    ///
    /// Guide: Transformations on DStreams. No shuffle, no state.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<u64>::new();
    /// ssc.queue_stream(&queue)?.glom().map(|partition| partition.len()).print();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[track_caller]
    pub fn glom(&self) -> DStream<Vec<T>> {
        let site = Location::caller();
        let step = Step::new("glom", site);
        self.lift("glom", site, move |rdd, _| Ok(rdd.glom_as(step)))
    }
}
