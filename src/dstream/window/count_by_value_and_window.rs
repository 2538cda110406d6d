//! `count_by_value_and_window`: how often each record occurs in a window.

use std::hash::Hash;
use std::panic::Location;

use super::Extent;
use crate::dstream::DStream;
use crate::error::Result;
use crate::rdd::pipe::{Data, Pipe};
use crate::time::Duration;

/// # Window operations
impl<T: Data + Hash + Eq, P: Pipe<Out = T>> DStream<T, P> {
    /// Each distinct record of the last `length` with the number of times it
    /// occurs there, once per `slide`.
    ///
    /// Guide: Window Operations. As
    /// [`reduce_by_key_and_window_inverse`](DStream::reduce_by_key_and_window_inverse):
    /// a slide costs what enters and leaves.
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
    /// let words = ssc.queue_stream(&queue)?.flat_map(|line| line.split(' '));
    /// let (minute, second) = (Duration::from_secs(60), Duration::from_secs(1));
    /// words.count_by_value_and_window(minute, second)?.print();
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "countByValueAndWindow")]
    #[track_caller]
    pub fn count_by_value_and_window(
        &self,
        length: Duration,
        slide: Duration,
    ) -> Result<DStream<(T, u64)>> {
        self.count_by_value_and_window_into(length, slide, self.default_parallelism())
    }

    /// As [`count_by_value_and_window`](Self::count_by_value_and_window), into
    /// `partitions` partitions.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn count_by_value_and_window_into(
        &self,
        length: Duration,
        slide: Duration,
        partitions: usize,
    ) -> Result<DStream<(T, u64)>> {
        let (site, name) = (Location::caller(), "count_by_value_and_window");
        let extent = Extent::check(self, name, length, slide, site)?;
        Ok(self.map(|record| (record, 1)).joined_with_inverse(
            |a, b| a + b,
            |a, b| a - b,
            extent,
            partitions,
            name,
            site,
        ))
    }
}
