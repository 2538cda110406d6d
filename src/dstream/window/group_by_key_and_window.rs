//! `group_by_key_and_window`: all values of each key in a window.

use std::hash::Hash;
use std::panic::Location;
use std::sync::Arc;

use super::Extent;
use crate::dstream::DStream;
use crate::error::Result;
use crate::rdd::Aggregate;
use crate::rdd::op::combine_by_key::Combiner;
use crate::rdd::pipe::{Data, Pipe, Step};
use crate::time::Duration;

/// # Window operations
impl<K, V, P> DStream<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// The values of each key in the last `length` as a list, once per `slide`;
    /// the order within it is not defined.
    ///
    /// Guide: Window Operations. Each batch is grouped once, with one shuffle; a
    /// slide then costs a copy of every value in the window, as that is what it
    /// gives. To reduce them use
    /// [`reduce_by_key_and_window`](Self::reduce_by_key_and_window).
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
    /// # let queue = RddQueue::<(Str, u64)>::new();
    /// let visits = ssc.queue_stream(&queue)?;
    /// let (minute, second) = (Duration::from_secs(60), Duration::from_secs(1));
    /// visits.group_by_key_and_window(minute, second)?.print();
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "groupByKeyAndWindow")]
    #[track_caller]
    pub fn group_by_key_and_window(
        &self,
        length: Duration,
        slide: Duration,
    ) -> Result<DStream<(K, Vec<V>)>> {
        self.group_by_key_and_window_into(length, slide, self.default_parallelism())
    }

    /// As [`group_by_key_and_window`](Self::group_by_key_and_window), into
    /// `partitions` partitions.
    ///
    /// # Errors
    /// As there.
    #[track_caller]
    pub fn group_by_key_and_window_into(
        &self,
        length: Duration,
        slide: Duration,
        partitions: usize,
    ) -> Result<DStream<(K, Vec<V>)>> {
        let (site, name) = (Location::caller(), "group_by_key_and_window");
        Extent::check(self, name, length, slide, site)?;
        let append = |all: &mut Vec<V>, mut more: Vec<V>| all.append(&mut more);
        let merge = Combiner {
            create: |values| values,
            merge_value: append,
            merge_combiners: append,
        };
        let aggregate = Arc::new(Aggregate::new(merge, partitions, Step::new(name, site)));
        let batches = self.group_by_key_into(partitions);
        let window = batches.window(length, slide)?;
        Ok(window.lift(name, site, move |rdd, _| {
            Ok(rdd.aggregate_with(Arc::clone(&aggregate)))
        }))
    }
}
