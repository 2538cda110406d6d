//! `join`: pairs of the values that two streams have for a key.

use std::hash::Hash;
use std::panic::Location;

use crate::dstream::DStream;
use crate::error::Result;
use crate::rdd::op::join::Inner;
use crate::rdd::pipe::{Data, Pipe, Step};

/// # Operations on pairs
impl<K, V, P> DStream<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// For each key that both streams have in a batch, every pair of a value of
    /// `self` and one of `other`.
    ///
    /// Guide: Join Operations. One shuffle of both streams; no state. To join with
    /// earlier batches too, join windows.
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
    /// # let (queue, other_queue) = (RddQueue::<(Str, u64)>::new(), RddQueue::<(Str, Str)>::new());
    /// let clicks = ssc.queue_stream(&queue)?; // user, page
    /// let cities = ssc.queue_stream(&other_queue)?; // user, city
    /// clicks.join(&cities)?.map(|(_user, (page, city))| (city, page)).print();
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn join<W, Q>(&self, other: &DStream<(K, W), Q>) -> Result<DStream<(K, (V, W))>>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        self.join_into(other, self.default_parallelism())
    }

    /// As [`join`](Self::join), into `partitions` partitions.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn join_into<W, Q>(
        &self,
        other: &DStream<(K, W), Q>,
        partitions: usize,
    ) -> Result<DStream<(K, (V, W))>>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        let step = Step::new("join", Location::caller());
        self.lift_with(other, step, move |one, two, _| {
            Ok(one.pair::<Inner, _, _>(two, partitions, step))
        })
    }
}
