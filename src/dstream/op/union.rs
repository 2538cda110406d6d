//! `union`: the records of several streams.

use std::panic::Location;
use std::sync::Arc;

use crate::dstream::{DStream, Graph, Meta, Node, Operator};
use crate::error::{Error, ErrorKind, Result};
use crate::rdd::pipe::{Data, Pipe};
use crate::rdd::{Rdd, Union};
use crate::time::{BatchTime, Duration, DurationExt};

/// # Transformations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// The records of both streams: in each batch the partitions of `self`, then
    /// those of `other`.
    ///
    /// Guide: Transformations on DStreams. No shuffle, no state. For more than
    /// two streams see [`StreamingContext::union`](crate::StreamingContext::union).
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
    /// # let queue = RddQueue::<Str>::new();
    /// let one = ssc.queue_stream(&queue)?;
    /// let two = one.map(|line| Str::from(line.to_uppercase()));
    /// one.union(&two)?.print();
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn union<Q: Pipe<Out = T>>(&self, other: &DStream<T, Q>) -> Result<DStream<T>> {
        // The checks come first: boxing adds to the graphs.
        let site = Location::caller();
        self.graph().check_open(site)?;
        check_like(self.graph(), self.slide_interval(), other, site)?;
        union_of(vec![self.boxed(), other.boxed()], site)
    }
}

/// The union of any number of streams, which were [checked](check_like).
pub(crate) fn union_of<T: Data>(
    streams: Vec<DStream<T>>,
    site: &'static Location<'static>,
) -> Result<DStream<T>> {
    let Some(first) = streams.first() else {
        return Err(Error::invalid_argument("union: the list of streams is empty").at(site));
    };
    let (graph, slide) = (Arc::clone(first.graph()), first.slide_interval());
    let parents = streams.iter().map(DStream::control).collect();
    let meta = Meta::new(&graph, "union", site, slide, parents);
    let node = Node::declare(&graph, meta, United { parents: streams });
    Ok(DStream::from_node(graph, node))
}

/// An error unless a stream can be united with others of `graph` that slide by
/// `slide`.
pub(crate) fn check_like<T: Data, P: Pipe<Out = T>>(
    graph: &Arc<Graph>,
    slide: Duration,
    stream: &DStream<T, P>,
    site: &'static Location<'static>,
) -> Result<()> {
    if !Arc::ptr_eq(stream.graph(), graph) {
        return Err(
            Error::invalid_argument("union: the streams belong to different contexts").at(site),
        );
    }
    if stream.slide_interval() != slide {
        return Err(Error::invalid_argument(format!(
            "union: the streams slide by {} and by {}; they must slide alike",
            slide.to_millis_text(),
            stream.slide_interval().to_millis_text(),
        ))
        .at(site));
    }
    Ok(())
}

/// Concatenates the batches of its parents.
struct United<T: Data> {
    parents: Vec<DStream<T>>,
}

impl<T: Data> Operator for United<T> {
    type Item = T;

    fn compute(&self, time: BatchTime) -> Result<Option<Rdd<T>>> {
        let mut sets = Vec::with_capacity(self.parents.len());
        for parent in &self.parents {
            let rdd = parent.at(time)?.ok_or_else(|| {
                Error::new(
                    ErrorKind::Job,
                    format!("union: the parent {parent:?} gave no Rdd at {time}"),
                )
            })?;
            sets.push(rdd.into_dataset());
        }
        let executor = Arc::clone(self.parents[0].graph().executor());
        Ok(Some(Rdd::new(Arc::new(Union(sets)), executor)))
    }
}
