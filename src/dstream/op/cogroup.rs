//! `cogroup`: all values that two streams have for a key.

use std::hash::Hash;
use std::panic::Location;

use crate::dstream::DStream;
use crate::error::Result;
use crate::rdd::pipe::{Data, Pipe, Step};

/// # Operations on pairs
impl<K, V, P> DStream<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// For each key that either stream has in a batch, all its values in `self` and
    /// all in `other`; the order within the lists is not defined.
    ///
    /// Guide: Transformations on DStreams. One shuffle of both streams; no state. To join with
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
    /// let users = clicks.cogroup(&cities)?;
    /// users.map(|(user, (pages, cities))| (user, pages.len(), cities.len())).print();
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "groupWith")]
    #[track_caller]
    pub fn cogroup<W, Q>(
        &self,
        other: &DStream<(K, W), Q>,
    ) -> Result<DStream<(K, (Vec<V>, Vec<W>))>>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        self.cogroup_into(other, self.default_parallelism())
    }

    /// As [`cogroup`](Self::cogroup), into `partitions` partitions.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn cogroup_into<W, Q>(
        &self,
        other: &DStream<(K, W), Q>,
        partitions: usize,
    ) -> Result<DStream<(K, (Vec<V>, Vec<W>))>>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        let step = Step::new("cogroup", Location::caller());
        self.lift_with(other, step, move |one, two, _| {
            Ok(one.cogroup_as(two, partitions, step))
        })
    }
}
