//! `transform_with`: any operation of the batch engine on the batches of two
//! streams.

use std::panic::Location;

use crate::dstream::DStream;
use crate::error::Result;
use crate::rdd::Rdd;
use crate::rdd::pipe::{Data, Pipe, Step};
use crate::time::BatchTime;

/// # Transformations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Calls `f` once per batch time with the data of both streams and the time,
    /// and goes on with the Rdd that it returns. For more streams of one type see
    /// [`StreamingContext::transform`](crate::StreamingContext::transform).
    ///
    /// Guide: Transform Operation. Runs when the batch is processed, so slow code
    /// here never delays the cut of a later batch.
    ///
    /// # Errors
    /// If the streams belong to different contexts or slide differently, or the
    /// context was started.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let (queue, spam_queue) = (RddQueue::<Str>::new(), RddQueue::<Str>::new());
    /// let (words, spam) = (ssc.queue_stream(&queue)?, ssc.queue_stream(&spam_queue)?);
    /// let clean = words.transform_with(&spam, |words, spam, _time| Ok(words.subtract(spam)))?;
    /// clean.print();
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "transformWith")]
    #[track_caller]
    pub fn transform_with<U, Q, V, R, F>(&self, other: &DStream<U, Q>, f: F) -> Result<DStream<V>>
    where
        U: Data,
        Q: Pipe<Out = U>,
        V: Data,
        R: Pipe<Out = V>,
        F: Fn(Rdd<T, P>, Rdd<U, Q>, BatchTime) -> Result<Rdd<V, R>> + Send + Sync + 'static,
    {
        let step = Step::new("transform_with", Location::caller());
        self.lift_with(other, step, move |one, two, time| {
            Ok(f(one, two, time)?.boxed())
        })
    }
}
