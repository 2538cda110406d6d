//! Streams: the operations on batches, lifted over time.
//!
//! A [`DStream`] is a light handle: a node of the graph (a boundary over time)
//! and a chain of narrow steps over it. At a batch time it gives the node's
//! [`Rdd`] of that time with the same chain. Narrow operations lengthen the
//! chain; all others add a node. A node keeps one Rdd per time (its memo) until
//! no later batch can need it.
//!
//! Deliberately not here: clocks, threads, receivers; the scheduler drives the
//! graph, the context owns it.

pub(crate) mod durable;
mod graph;
pub(crate) mod input;
mod lift;
pub(crate) mod node;
mod op;
pub(crate) mod output;
mod stateful;
mod window;

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

pub(crate) use graph::Graph;
pub use graph::StreamingContextState;
pub use input::file::Directory;
pub use input::queue::RddQueue;
pub use input::source::{InputBatch, InputSource};
use node::may_ask;
pub(crate) use node::{Control, Meta, Node, Operator, Stream};
pub use op::map_with_state::{MapWithStateDStream, StateSpec};
pub(crate) use op::transform::transform_of;
pub(crate) use op::union::{check_like, union_of};
pub use op::update_state_by_key::UpdateOptions;
pub use output::for_each_partition_once::{PartitionId, TransactionalSink};

use crate::error::{Error, ErrorKind, Result};
use crate::rdd::pipe::{Chain, Data, Narrow, Pipe, Source, as_source};
use crate::rdd::{Rdd, Step};
use crate::task::in_task;
use crate::time::{BatchTime, Duration};

/// A continuous series of batches of records.
///
/// Operations declare what will be done to every batch; nothing runs before the
/// context starts. A handle is cheap to clone and does not keep the context
/// running. The second parameter is the chain of steps since the last boundary:
/// leave it out and use [`boxed`](Self::boxed) where a stream is stored or named
/// in a signature. A function that shall not end the loop takes, or returns,
/// `DStream<T, impl Pipe<Out = T>>` (see [`Pipe`]).
///
/// # Examples
/// ```
/// use millstream::prelude::*;
///
/// struct Job {
///     words: DStream<Str>,
/// }
///
/// # fn main() -> millstream::Result<()> {
/// let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
/// let queue = RddQueue::new();
/// let lines: DStream<Str> = ssc.queue_stream(&queue)?;
/// let job = Job { words: lines.flat_map(|line| line.split(' ')).boxed() };
/// job.words.count_by_value().print();
/// # Ok(())
/// # }
/// ```
#[must_use = "a stream does nothing until an output operation uses it"]
pub struct DStream<T, P: Pipe<Out = T> = Source<T>> {
    graph: Arc<Graph>,
    node: Arc<dyn Stream<P::In>>,
    pipe: Arc<P>,
}

impl<T: Data> DStream<T> {
    pub(crate) fn from_node(graph: Arc<Graph>, node: Arc<dyn Stream<T>>) -> Self {
        Self {
            graph,
            node,
            pipe: Source::new(),
        }
    }
}

impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// How often this stream gives a batch.
    #[doc(alias = "slideDuration")]
    #[must_use]
    pub fn slide_interval(&self) -> Duration {
        self.node.meta().slide
    }

    /// The same stream behind the plain type `DStream<T>`.
    ///
    /// The chain so far runs as one loop and hands its records over in chunks
    /// of some hundred; what follows is another loop. Without a chain nothing
    /// changes.
    #[track_caller]
    pub fn boxed(&self) -> DStream<T> {
        match as_source::<P, Arc<dyn Stream<T>>>(&self.node) {
            Some(node) => DStream::from_node(Arc::clone(&self.graph), Arc::clone(node)),
            None => self.shown("boxed", Location::caller(), |rdd, _| Ok(rdd.boxed())),
        }
    }

    /// The batches at the times `from`, `from + slide`, ... `to`, both included.
    ///
    /// Ends that are off the grid of this stream are moved down to it; times
    /// before the first batch give nothing. Batches that were not cut yet, or are
    /// older than what the context [remembers](crate::StreamingContext::remember),
    /// have no records.
    ///
    /// # Errors
    /// If the context was not started, a batch cannot be computed, or when called
    /// inside a task. Inside the closure of [`transform`](Self::transform) only
    /// streams of the same context that were declared before it can be sliced.
    pub fn slice(&self, from: BatchTime, to: BatchTime) -> Result<Vec<Rdd<T, P>>> {
        if self.graph.phase() == StreamingContextState::Initialized {
            return Err(Error::illegal_state("slice: the context was not started"));
        }
        if in_task() {
            return Err(Error::illegal_state(
                "slice was called inside a task, which must not wait for a batch: slice before",
            ));
        }
        if !may_ask(&self.graph, self.node.meta().id) {
            return Err(Error::illegal_state(format!(
                "slice of {self:?} was called inside of a transform that does not come after it: \
                 there, only streams that were declared before can be sliced"
            )));
        }
        let (zero, slide) = (self.graph.zero(), self.slide_interval());
        if [from, to].iter().any(|end| !end.is_on_grid(zero, slide)) {
            tracing::warn!(%from, %to, ?slide, "slice: a time off the grid of the stream is moved down to it");
        }
        let from = from.max(zero).floor_from(zero, slide);
        if to < from {
            return Ok(Vec::new());
        }
        let times = from.through(to.floor_from(zero, slide), slide);
        times.filter_map(|time| self.at(time).transpose()).collect()
    }

    /// The data of one batch time.
    pub(crate) fn at(&self, time: BatchTime) -> Result<Option<Rdd<T, P>>> {
        Ok(self
            .node
            .rdd(time)?
            .map(|rdd| rdd.with_pipe(Arc::clone(&self.pipe))))
    }

    /// As [`at`](Self::at), for an operation that needs every parent's data.
    fn at_or_error(&self, operation: &str, time: BatchTime) -> Result<Rdd<T, P>> {
        self.at(time)?.ok_or_else(|| {
            let message = format!("{operation}: the parent {self:?} gave no Rdd at {time}");
            Error::new(ErrorKind::Job, message)
        })
    }

    pub(crate) fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    pub(crate) fn control(&self) -> Arc<dyn Control> {
        Arc::clone(&self.node) as Arc<dyn Control>
    }

    /// One narrow step more.
    fn then<O: Narrow<T>>(&self, operation: O, step: Step) -> DStream<O::Out, Chain<P, O>> {
        DStream {
            graph: Arc::clone(&self.graph),
            node: Arc::clone(&self.node),
            pipe: Arc::new(Chain::new(Arc::clone(&self.pipe), operation, step)),
        }
    }

    /// How many partitions a shuffle makes unless told otherwise.
    fn default_parallelism(&self) -> usize {
        self.graph.executor().default_parallelism()
    }
}

impl<T, P: Pipe<Out = T>> Clone for DStream<T, P> {
    fn clone(&self) -> Self {
        Self {
            graph: Arc::clone(&self.graph),
            node: Arc::clone(&self.node),
            pipe: Arc::clone(&self.pipe),
        }
    }
}

impl<T, P: Pipe<Out = T>> fmt::Debug for DStream<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meta = self.node.meta();
        let mut steps = Vec::new();
        self.pipe.steps(&mut steps);
        f.debug_struct("DStream")
            .field("id", &meta.id)
            .field("node", &Step::new(meta.name, meta.site).to_string())
            .field("steps", &steps)
            .finish_non_exhaustive()
    }
}
