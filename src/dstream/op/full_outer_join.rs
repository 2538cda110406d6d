//! `full_outer_join`: every value of two streams, paired by key where it can be.

use std::hash::Hash;
use std::panic::Location;

use crate::dstream::DStream;
use crate::error::Result;
use crate::rdd::op::full_outer_join::FullOuter;
use crate::rdd::pipe::{Data, Pipe, Step};

/// # Operations on pairs
impl<K, V, P> DStream<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// For each key in a batch every pair of a value of `self` and one of `other`;
    /// where one of them has none, `None` stands for it.
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
    /// clicks.full_outer_join(&cities)?.print(); // (ann,(Some(7),None))
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "fullOuterJoin")]
    #[track_caller]
    pub fn full_outer_join<W, Q>(
        &self,
        other: &DStream<(K, W), Q>,
    ) -> Result<DStream<(K, (Option<V>, Option<W>))>>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        self.full_outer_join_into(other, self.default_parallelism())
    }

    /// As [`full_outer_join`](Self::full_outer_join), into `partitions` partitions.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn full_outer_join_into<W, Q>(
        &self,
        other: &DStream<(K, W), Q>,
        partitions: usize,
    ) -> Result<DStream<(K, (Option<V>, Option<W>))>>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        let step = Step::new("full_outer_join", Location::caller());
        self.lift_with(other, step, move |one, two, _| {
            Ok(one.pair::<FullOuter, _, _>(two, partitions, step))
        })
    }
}
