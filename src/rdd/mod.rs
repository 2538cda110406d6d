//! One batch's data: partitioned, immutable, computed when an action asks.
//!
//! An [`Rdd`] is a data set behind a boundary and a chain of narrow steps over
//! it ([`pipe`]). Transformations only lengthen the chain or add a boundary;
//! actions (`collect`, `count`, `for_each_partition`, ...) run it, one loop per
//! partition, on the workers. Every stream operation is the operation here,
//! lifted over time.
//!
//! Deliberately not here: time, streams, receivers.

mod aggregate;
mod by_key;
mod dataset;
pub(crate) mod file;
pub mod format;
mod join;
mod kept;
mod level;
mod lines;
pub(crate) mod op;
mod parallelize;
mod partition;
pub mod pipe;
mod shuffle;
mod table;
mod text;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

pub(crate) use aggregate::{Aggregate, Combine};
pub(crate) use by_key::{Arrivals, Arrived};
pub(crate) use dataset::{Dataset, Ready, Union};
use dataset::{Lazy, Piped};
pub use file::{FileReader, InputFile};
pub use level::StorageLevel;
pub(crate) use lines::{Lines, Reading};
pub use op::filter::Filter;
pub use op::flat_map::FlatMap;
pub use op::flat_map_values::FlatMapValues;
pub use op::for_each_partition::Records;
pub use op::keys::Keys;
pub use op::map::Map;
pub use op::map_values::MapValues;
pub use op::values::Values;
pub(crate) use partition::{AtRest, CHUNK, Partition, Partitions, at_rest};
pub use pipe::Data;
pub(crate) use pipe::Step;
use pipe::{Chain, Chunk, Narrow, Pipe, Sink, Source};
pub(crate) use shuffle::{HashPartitioner, Scatter};
pub use text::{Shown, Text};

use crate::block::{Memory, SpillStore};
use crate::error::{Error, ErrorKind, Result};
use crate::executor::{Executor, Pieces};

/// The immutable, partitioned, lazily computed data of one batch, or a static
/// data set made with [`parallelize`](crate::StreamingContext::parallelize).
///
/// Transformations take the Rdd by value; cloning one is cheap, as its data is
/// shared. The second parameter is the chain of steps since the last boundary;
/// [`boxed`](Self::boxed) hides it, so that an `Rdd<T>` can be stored and named.
///
/// # Examples
/// ```
/// use millstream::prelude::*;
///
/// # fn main() -> millstream::Result<()> {
/// let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
/// let squares: Rdd<u64> = ssc.parallelize(1..=4, 2).map(|x| x * x).boxed();
/// assert_eq!(squares.collect()?, [1, 4, 9, 16]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "RDD")]
#[must_use = "an Rdd computes nothing until an action asks"]
pub struct Rdd<T, P: Pipe<Out = T> = Source<T>> {
    data: Arc<dyn Dataset<P::In>>,
    pipe: Arc<P>,
    executor: Arc<Executor>,
}

impl<T: Data> Rdd<T> {
    /// The data set as it is.
    pub(crate) fn new(data: Arc<dyn Dataset<T>>, executor: Arc<Executor>) -> Self {
        Self {
            data,
            pipe: Source::new(),
            executor,
        }
    }

    /// No records, and no partitions.
    pub(crate) fn empty(executor: Arc<Executor>) -> Self {
        Self::ready(Vec::new().into(), executor)
    }

    /// Partitions that are there.
    pub(crate) fn ready(partitions: Partitions<T>, executor: Arc<Executor>) -> Self {
        Self::new(Arc::new(Ready(partitions)), executor)
    }

    /// `n` partitions that are computed when they are asked for.
    pub(crate) fn lazy(
        n: usize,
        executor: Arc<Executor>,
        compute: impl Fn(&Executor) -> Result<Partitions<T>> + Send + 'static,
    ) -> Self {
        Self::new(Arc::new(Lazy::new(n, compute)), executor)
    }

    /// The same data with a chain over it.
    pub(crate) fn with_pipe<U, P: Pipe<In = T, Out = U>>(self, pipe: Arc<P>) -> Rdd<U, P> {
        Rdd {
            data: self.data,
            pipe,
            executor: self.executor,
        }
    }

    /// The batch is done, and this is the input's handle to it. If a window or the
    /// program holds another, what the batch takes of a ring is counted in
    /// `memory` from now on.
    pub(crate) fn keep_if_shared(&self, memory: &Arc<Memory>) {
        if Arc::strong_count(&self.data) > 1 {
            self.data.keep(memory);
        }
    }

    /// As above, for a batch that the input itself has to remember.
    pub(crate) fn keep(&self, memory: &Arc<Memory>) {
        self.data.keep(memory);
    }

    /// Lines that were found not to be UTF-8 while it was read.
    pub(crate) fn invalid_lines(&self) -> u64 {
        self.data.invalid_lines()
    }

    /// See [`Dataset::spill`].
    pub(crate) fn spill(&self, store: &Arc<SpillStore>) -> Result<u64> {
        self.data.spill(store)
    }

    /// The data set under an Rdd without a chain.
    pub(crate) fn into_dataset(self) -> Arc<dyn Dataset<T>> {
        self.data
    }
}

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// How many partitions there are.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// assert_eq!(ssc.parallelize(0..10, 3).num_partitions(), 3);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "getNumPartitions")]
    #[must_use]
    pub fn num_partitions(&self) -> usize {
        self.data.num_partitions()
    }

    /// The same data behind the plain type `Rdd<T>`.
    ///
    /// The chain so far runs as one loop and hands its records over in chunks;
    /// what follows is another loop. Without a chain nothing changes.
    pub fn boxed(self) -> Rdd<T> {
        let data = match pipe::as_source::<P, Arc<dyn Dataset<T>>>(&self.data) {
            Some(data) => Arc::clone(data),
            None => Arc::new(Piped::new(self.data, self.pipe)),
        };
        Rdd::new(data, self.executor)
    }

    /// Whether no step runs when the records are read.
    fn is_at_rest(&self) -> bool {
        let mut steps = Vec::new();
        self.data.steps(&mut steps);
        self.pipe.steps(&mut steps);
        steps.is_empty()
    }

    /// One narrow step more.
    pub(crate) fn then<O: Narrow<T>>(self, operation: O, step: Step) -> Rdd<O::Out, Chain<P, O>> {
        Rdd {
            data: self.data,
            pipe: Arc::new(Chain::new(self.pipe, operation, step)),
            executor: self.executor,
        }
    }

    /// How many partitions a shuffle makes unless told otherwise.
    fn default_parallelism(&self) -> usize {
        self.executor.default_parallelism()
    }

    pub(crate) fn executor(&self) -> &Arc<Executor> {
        &self.executor
    }

    /// The partitions at the boundary before the chain: where every action begins.
    fn partitions(&self) -> Result<Partitions<P::In>> {
        // Before anything is computed: a task that waited for a shuffle would
        // hold up the workers that the shuffle needs.
        self.executor.check_outside()?;
        self.data.partitions(&self.executor)
    }

    /// Runs the chain over one partition.
    #[inline]
    fn feed<S: Sink<T>>(&self, part: &dyn Partition<P::In>, sink: &mut S) -> Result<()> {
        part.chunks(&mut |chunk| self.feed_chunk(chunk, sink))
    }

    #[inline]
    fn feed_chunk<S: Sink<T>>(&self, chunk: Chunk<'_, P::In>, sink: &mut S) -> ControlFlow<()> {
        self.pipe.feed(chunk, sink);
        if sink.is_full() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Runs the chain over all partitions, folding each worker's records in no
    /// particular order.
    fn fold<S: Sink<T> + Send>(
        &self,
        last: Option<Step>,
        init: impl Fn() -> S + Sync,
    ) -> Result<Vec<S>> {
        let parts = self.partitions()?;
        self.executor
            .fold(pieces(&parts), weight(&parts), init, |sink, part, piece| {
                parts[part].piece(piece, &mut |chunk| self.feed_chunk(chunk, sink))
            })
            .map_err(|error| self.blame(last, error))
    }

    /// Runs `task` over each partition; the results are in their order.
    fn each_partition<R: Send>(
        &self,
        last: Option<Step>,
        weight: impl FnOnce(&[Arc<dyn Partition<P::In>>]) -> usize,
        task: impl Fn(usize, &dyn Partition<P::In>) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let parts = self.partitions()?;
        self.executor
            .map_at(homes(&parts), weight(&parts), |i| task(i, &*parts[i]))
            .map_err(|error| self.blame(last, error))
    }

    /// An error with the steps that were running, and `last` behind them: in one
    /// loop nobody can tell at no cost which of them it was.
    fn blame(&self, last: Option<Step>, error: Error) -> Error {
        let mut steps = Vec::new();
        self.data.steps(&mut steps);
        self.pipe.steps(&mut steps);
        steps.extend(last);
        // An operation may be made of several steps.
        steps.dedup();
        blame(&steps, error)
    }
}

/// Names the steps in which a panic happened. All other errors have a message of
/// their own: steps do not return errors.
pub(crate) fn blame(steps: &[Step], error: Error) -> Error {
    if steps.is_empty() || error.kind() != ErrorKind::Panic {
        return error;
    }
    let steps: Vec<_> = steps.iter().map(ToString::to_string).collect();
    Error::new(error.kind(), format!("in {}", steps.join(", "))).with_source(error)
}

/// The records of all lists, moved.
fn concat<T>(lists: Vec<Vec<T>>) -> Vec<T> {
    let len = lists.iter().map(Vec::len).sum();
    let mut all = Vec::with_capacity(len);
    for mut list in lists {
        all.append(&mut list);
    }
    all
}

/// The pieces of each partition, for [`Executor::fold`].
fn pieces<T>(parts: &Partitions<T>) -> impl Iterator<Item = Pieces> {
    let pieces = |part: &Arc<dyn Partition<T>>| Pieces {
        count: part.pieces(),
        home: part.home(),
    };
    parts.iter().map(pieces)
}

/// The node of each partition, for [`Executor::map_at`].
fn homes<T>(parts: &Partitions<T>) -> impl Iterator<Item = Option<usize>> {
    parts.iter().map(|part| part.home())
}

/// The expected work of reading partitions.
fn weight<T>(parts: &[Arc<dyn Partition<T>>]) -> usize {
    let add = |sum: usize, part: &Arc<dyn Partition<T>>| sum.saturating_add(part.weight());
    parts.iter().fold(0, add)
}

impl<T, P: Pipe<Out = T>> Clone for Rdd<T, P> {
    fn clone(&self) -> Self {
        Self {
            data: Arc::clone(&self.data),
            pipe: Arc::clone(&self.pipe),
            executor: Arc::clone(&self.executor),
        }
    }
}

impl<T, P: Pipe<Out = T>> fmt::Debug for Rdd<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = Vec::new();
        self.pipe.steps(&mut steps);
        f.debug_struct("Rdd")
            .field("num_partitions", &self.data.num_partitions())
            .field("steps", &steps)
            .finish_non_exhaustive()
    }
}
