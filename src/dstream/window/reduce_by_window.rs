//! `reduce_by_window`: all records in a window to one.

use std::panic::Location;
use std::sync::Arc;

use super::Extent;
use crate::dstream::DStream;
use crate::error::Result;
use crate::rdd::pipe::{Data, Pipe};
use crate::time::Duration;

/// # Window operations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Joins all records of the last `length` by `f`, once per `slide`: one record,
    /// none for an empty window. `f` must be associative; batches are joined in
    /// the order of time, the records of one batch in any order.
    ///
    /// Guide: Window Operations. State: one value per batch in the window. A
    /// slide costs the reduction of the batches that enter, and a few calls of
    /// `f`.
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
    /// # let queue = RddQueue::<u64>::new();
    /// let highest = ssc.queue_stream(&queue)?.reduce_by_window(
    ///     |a, b| a.max(b),
    ///     Duration::from_secs(60),
    ///     Duration::from_secs(1),
    /// )?;
    /// highest.print();
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "reduceByWindow")]
    #[track_caller]
    pub fn reduce_by_window<F>(&self, f: F, length: Duration, slide: Duration) -> Result<DStream<T>>
    where
        F: Fn(T, T) -> T + Send + Sync + 'static,
    {
        let (site, name) = (Location::caller(), "reduce_by_window");
        let extent = Extent::check(self, name, length, slide, site)?;
        let f = Arc::new(f);
        let batches = self.reduce({
            let f = Arc::clone(&f);
            move |a, b| f(a, b)
        });
        let window =
            batches
                .map(|record| ((), record))
                .joined(move |a, b| f(a, b), extent, 1, name, site);
        Ok(window.map(|((), record)| record).boxed())
    }

    /// As [`reduce_by_window`](Self::reduce_by_window), with an inverse of `f`:
    /// `inverse(f(a, b), b)` is `a`. `f` must be commutative too.
    ///
    /// As the plain form costs little, this one is for programs that have the
    /// inverse at hand. It is used for integers; see
    /// [`reduce_by_key_and_window_inverse`](DStream::reduce_by_key_and_window_inverse).
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "reduceByWindow")]
    #[track_caller]
    pub fn reduce_by_window_inverse<F, I>(
        &self,
        f: F,
        inverse: I,
        length: Duration,
        slide: Duration,
    ) -> Result<DStream<T>>
    where
        F: Fn(T, T) -> T + Send + Sync + 'static,
        I: Fn(T, T) -> T + Send + Sync + 'static,
    {
        let (site, name) = (Location::caller(), "reduce_by_window_inverse");
        let extent = Extent::check(self, name, length, slide, site)?;
        let f = Arc::new(f);
        let batches = self.reduce({
            let f = Arc::clone(&f);
            move |a, b| f(a, b)
        });
        let window = batches.map(|record| ((), record)).joined_with_inverse(
            move |a, b| f(a, b),
            inverse,
            extent,
            1,
            name,
            site,
        );
        Ok(window.map(|((), record)| record).boxed())
    }
}
