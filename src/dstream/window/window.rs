//! `window`: the last batches of a stream as one.

use std::panic::Location;
use std::sync::Arc;

use super::Extent;
use crate::dstream::{DStream, Meta, Node, Operator};
use crate::error::Result;
use crate::rdd::pipe::{Data, Pipe};
use crate::rdd::{Rdd, Union};
use crate::time::{BatchTime, Duration};

/// # Window operations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// The records of all batches in the last `length`, once per `slide`. At the
    /// time `t` these are the batches of the times in `(t - length, t]`; the
    /// first windows are partial. A `slide` longer than `length` leaves out the
    /// batches in between.
    ///
    /// Guide: Window Operations. No shuffle: the partitions of all batches, in
    /// the order of time. Each batch is computed once and kept for `length`
    /// ([`cache`](Self::cache)). What is done with the window is done to all its
    /// records at every slide: a reduction by key costs less as
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
    /// # let queue = RddQueue::<Str>::new();
    /// let lines = ssc.queue_stream(&queue)?;
    /// let recent = lines.window(Duration::from_secs(30), Duration::from_secs(10))?;
    /// recent.count().print();
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn window(&self, length: Duration, slide: Duration) -> Result<DStream<T>> {
        let site = Location::caller();
        let graph = Arc::clone(self.graph());
        let extent = Extent::check(self, "window", length, slide, site)?;
        let parent = self.cache();
        let meta = Meta::new(&graph, "window", site, slide, vec![parent.control()]);
        let node = Node::declare(&graph, meta, Windowed { parent, extent });
        Ok(DStream::from_node(graph, node))
    }
}

/// Concatenates batches of its parent.
struct Windowed<T: Data> {
    parent: DStream<T>,
    extent: Extent,
}

impl<T: Data> Operator for Windowed<T> {
    type Item = T;

    fn reach(&self) -> Duration {
        self.extent.reach(self.parent.slide_interval())
    }

    fn compute(&self, time: BatchTime) -> Result<Option<Rdd<T>>> {
        let batches = self.parent.batches_until(time, self.extent.length)?;
        let sets = batches.into_iter().map(Rdd::into_dataset).collect();
        let executor = Arc::clone(self.parent.graph().executor());
        Ok(Some(Rdd::new(Arc::new(Union(sets)), executor)))
    }
}
