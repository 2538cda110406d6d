//! `left_outer_join`: every value of the first stream, with what the second has for its key.

use std::hash::Hash;
use std::panic::Location;

use crate::dstream::DStream;
use crate::error::Result;
use crate::rdd::op::left_outer_join::LeftOuter;
use crate::rdd::pipe::{Data, Pipe, Step};

/// # Operations on pairs
impl<K, V, P> DStream<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// For each value of `self` in a batch: a pair with every value that `other` has
    /// for its key, or with `None` if it has none.
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
    /// let known = clicks.left_outer_join(&cities)?.filter(|(_, (_, city))| city.is_some());
    /// known.count().print();
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "leftOuterJoin")]
    #[track_caller]
    pub fn left_outer_join<W, Q>(
        &self,
        other: &DStream<(K, W), Q>,
    ) -> Result<DStream<(K, (V, Option<W>))>>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        self.left_outer_join_into(other, self.default_parallelism())
    }

    /// As [`left_outer_join`](Self::left_outer_join), into `partitions` partitions.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn left_outer_join_into<W, Q>(
        &self,
        other: &DStream<(K, W), Q>,
        partitions: usize,
    ) -> Result<DStream<(K, (V, Option<W>))>>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        let step = Step::new("left_outer_join", Location::caller());
        self.lift_with(other, step, move |one, two, _| {
            Ok(one.pair::<LeftOuter, _, _>(two, partitions, step))
        })
    }
}
