//! `transform`: any operation of the batch engine on each batch.

use std::panic::Location;
use std::sync::Arc;

use crate::dstream::lift::{Gap, guarded};
use crate::dstream::{DStream, Meta, Node, Operator};
use crate::error::{Error, Result};
use crate::rdd::Rdd;
use crate::rdd::pipe::{Data, Pipe, Step};
use crate::time::BatchTime;

/// # Transformations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Calls `f` once per batch with its data and time, and goes on with the Rdd
    /// that it returns. `f` may use whatever is current then: another data set,
    /// another number of partitions. The operations of an [`Rdd`] take it by value,
    /// so a data set that every batch uses is cloned, which is cheap.
    ///
    /// Guide: Transform Operation. Runs when the batch is processed, so slow
    /// code here never delays the cut of a later batch. A time without data of this
    /// stream is an error (an input of the program's own may have none).
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<Str>::new();
    /// let lines = ssc.queue_stream(&queue)?;
    /// let stamped = lines.transform(|rdd, time| {
    ///     Ok(rdd.map(move |line| (time.as_millis(), line)))
    /// });
    /// stamped.print();
    ///
    /// // A join of the stream with a static data set.
    /// let prices = ssc.parallelize([("apple", 3), ("pear", 4)], 1);
    /// let prices = prices.map(|(name, price)| (Str::from(name), price)).boxed();
    /// let sold = lines
    ///     .map(|name| (name, 1))
    ///     .transform(move |rdd, _| Ok(rdd.join(prices.clone())));
    /// sold.map_values(|(number, price)| number * price).print();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[track_caller]
    pub fn transform<U, Q, F>(&self, f: F) -> DStream<U>
    where
        U: Data,
        Q: Pipe<Out = U>,
        F: Fn(Rdd<T, P>, BatchTime) -> Result<Rdd<U, Q>> + Send + Sync + 'static,
    {
        let step = Step::new("transform", Location::caller());
        self.lift_as(step, Gap::Refused, move |rdd, time| {
            Ok(f(rdd, time)?.boxed())
        })
    }
}

/// The stream of what `f` makes of the batches of several streams, which were
/// [checked](super::union::check_like).
pub(crate) fn transform_of<T, U, Q, F>(
    streams: Vec<DStream<T>>,
    f: F,
    site: &'static Location<'static>,
) -> Result<DStream<U>>
where
    T: Data,
    U: Data,
    Q: Pipe<Out = U>,
    F: Fn(Vec<Rdd<T>>, BatchTime) -> Result<Rdd<U, Q>> + Send + Sync + 'static,
{
    let Some(first) = streams.first() else {
        return Err(Error::invalid_argument("transform: the list of streams is empty").at(site));
    };
    let (graph, slide) = (Arc::clone(first.graph()), first.slide_interval());
    let parents = streams.iter().map(DStream::control).collect();
    let meta = Meta::new(&graph, "transform", site, slide, parents);
    let node = Node::declare(
        &graph,
        meta,
        Transformed {
            parents: streams,
            step: Step::new("transform", site),
            f,
        },
    );
    Ok(DStream::from_node(graph, node))
}

/// Calls `f` with the batches of its parents.
struct Transformed<T: Data, F> {
    parents: Vec<DStream<T>>,
    step: Step,
    f: F,
}

impl<T, U, Q, F> Operator for Transformed<T, F>
where
    T: Data,
    U: Data,
    Q: Pipe<Out = U>,
    F: Fn(Vec<Rdd<T>>, BatchTime) -> Result<Rdd<U, Q>> + Send + Sync + 'static,
{
    type Item = U;

    fn compute(&self, time: BatchTime) -> Result<Option<Rdd<U>>> {
        let parents = self
            .parents
            .iter()
            .map(|parent| parent.at_or_error(self.step.name, time))
            .collect::<Result<_>>()?;
        guarded(self.step, time, || {
            Ok(Some((self.f)(parents, time)?.boxed()))
        })
    }
}
