//! `count_by_window`: how many records a window has.

use std::panic::Location;
use std::sync::Arc;

use super::Extent;
use crate::dstream::DStream;
use crate::error::Result;
use crate::rdd::pipe::{Data, Pipe};
use crate::rdd::{Rdd, at_rest};
use crate::time::Duration;

/// # Window operations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// The number of records in the last `length`, once per `slide`: always one
    /// element, 0 for an empty window.
    ///
    /// Guide: Window Operations. State: one number per batch in the window. A
    /// slide costs the counting of the batches that enter.
    ///
    /// # Errors
    /// If `length` or `slide` is not a multiple of the stream's slide interval, or
    /// the context was started.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<Str>::new();
    /// let (minute, second) = (Duration::from_secs(60), Duration::from_secs(1));
    /// ssc.queue_stream(&queue)?.count_by_window(minute, second)?.print();
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "countByWindow")]
    #[track_caller]
    pub fn count_by_window(&self, length: Duration, slide: Duration) -> Result<DStream<u64>> {
        let (site, name) = (Location::caller(), "count_by_window");
        let extent = Extent::check(self, name, length, slide, site)?;
        // Batches for which the stream gives no Rdd are passed over.
        let counts = self.lift("count", site, |rdd, _| Ok(rdd.counted()));
        let counts = counts.map(|count| ((), count)).joined_with_inverse(
            |a, b| a + b,
            |a, b| a - b,
            extent,
            1,
            name,
            site,
        );
        Ok(counts.shown(name, site, |rdd, _| {
            // A window in which the stream had no batch at all is empty too.
            let count = rdd.take(1)?.first().map_or(0, |&((), count)| count);
            Ok(Rdd::ready(
                at_rest([vec![count]]),
                Arc::clone(rdd.executor()),
            ))
        }))
    }
}
