//! Data sets: partitions that exist, or that can be computed when asked for.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock};

use super::partition::{Partition, Partitions};
use super::pipe::{Chunk, Data, Pipe, Step};
use crate::block::{Memory, SpillStore};
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::sync::lock;

/// What an Rdd reads: immutable partitions behind a boundary.
pub(crate) trait Dataset<T>: Send + Sync {
    /// How many partitions there are or will be.
    fn num_partitions(&self) -> usize;

    /// The partitions; computes what is not there yet. Called by the thread
    /// that drives an action, never inside a task.
    fn partitions(&self, executor: &Executor) -> Result<Partitions<T>>;

    /// The number of records, if it is known without computing anything.
    fn known_count(&self) -> Option<u64> {
        None
    }

    /// See [`Partition::keep`].
    fn keep(&self, _: &Arc<Memory>) {}

    /// See [`Partition::invalid_lines`].
    fn invalid_lines(&self) -> u64 {
        0
    }

    /// Writes what it holds of a receiver's ring to a file, and gives that memory back;
    /// who reads it already has it until then. Says how many bytes of memory that were.
    fn spill(&self, _: &Arc<SpillStore>) -> Result<u64> {
        Ok(0)
    }

    /// Appends the steps that run when a partition is read.
    fn steps(&self, _: &mut Vec<Step>) {}
}

/// Partitions that are there.
pub(crate) struct Ready<T>(pub(crate) Partitions<T>);

impl<T: Data> Dataset<T> for Ready<T> {
    fn num_partitions(&self) -> usize {
        self.0.len()
    }

    fn partitions(&self, _: &Executor) -> Result<Partitions<T>> {
        Ok(Arc::clone(&self.0))
    }

    fn invalid_lines(&self) -> u64 {
        self.0.iter().map(|part| part.invalid_lines()).sum()
    }

    fn known_count(&self) -> Option<u64> {
        self.0
            .iter()
            .map(|part| part.count().map(|count| count as u64))
            .sum()
    }
}

/// Partitions that are computed by the first who asks, as a [`stage`](Executor::stage),
/// and then kept: the far side of a shuffle.
pub(crate) struct Lazy<T, F> {
    num_partitions: usize,
    /// Until it has run: it holds the data that the result is made of, which a
    /// kept result must not keep too.
    compute: Mutex<Option<F>>,
    // An error is kept too: computing again would fail again.
    result: OnceLock<Result<Partitions<T>>>,
}

impl<T, F> Lazy<T, F> {
    pub(crate) fn new(num_partitions: usize, compute: F) -> Self {
        Self {
            num_partitions,
            compute: Mutex::new(Some(compute)),
            result: OnceLock::new(),
        }
    }
}

impl<T, F> Dataset<T> for Lazy<T, F>
where
    T: Data,
    F: Fn(&Executor) -> Result<Partitions<T>> + Send,
{
    fn num_partitions(&self) -> usize {
        self.num_partitions
    }

    fn partitions(&self, executor: &Executor) -> Result<Partitions<T>> {
        let compute = || {
            let compute = lock(&self.compute).take();
            match compute {
                Some(compute) => executor.stage(|| compute(executor)),
                None => Err(Error::illegal_state(
                    "an Rdd was asked for again whose computation had panicked",
                )),
            }
        };
        self.result.get_or_init(compute).clone()
    }
}

/// A chain behind a pointer: a data set of what comes out of it.
pub(crate) struct Piped<P: Pipe> {
    base: Arc<dyn Dataset<P::In>>,
    pipe: Arc<P>,
}

impl<P: Pipe> Piped<P> {
    pub(crate) fn new(base: Arc<dyn Dataset<P::In>>, pipe: Arc<P>) -> Self {
        Self { base, pipe }
    }
}

impl<P: Pipe<Out: Data>> Dataset<P::Out> for Piped<P> {
    fn num_partitions(&self) -> usize {
        self.base.num_partitions()
    }

    fn partitions(&self, executor: &Executor) -> Result<Partitions<P::Out>> {
        let base = self.base.partitions(executor)?;
        Ok(base
            .iter()
            .map(|base| {
                let part = PipedPartition::new(Arc::clone(base), Arc::clone(&self.pipe));
                Arc::new(part) as Arc<dyn Partition<P::Out>>
            })
            .collect())
    }

    fn known_count(&self) -> Option<u64> {
        self.pipe
            .keeps_count()
            .then(|| self.base.known_count())
            .flatten()
    }

    fn steps(&self, steps: &mut Vec<Step>) {
        self.base.steps(steps);
        self.pipe.steps(steps);
    }
}

/// A partition behind a chain, which runs whenever it is read.
pub(super) struct PipedPartition<P: Pipe> {
    base: Arc<dyn Partition<P::In>>,
    pipe: Arc<P>,
}

impl<P: Pipe> PipedPartition<P> {
    pub(super) fn new(base: Arc<dyn Partition<P::In>>, pipe: Arc<P>) -> Self {
        Self { base, pipe }
    }
}

impl<P: Pipe<Out: Data>> PipedPartition<P> {
    /// Hands over what the chain makes of each chunk.
    fn make(
        &self,
        each: &mut dyn FnMut(Chunk<'_, P::Out>) -> ControlFlow<()>,
    ) -> impl FnMut(Chunk<'_, P::In>) -> ControlFlow<()> {
        let mut made = Vec::new();
        move |chunk| {
            self.pipe.feed(chunk, &mut made);
            let flow = if made.is_empty() {
                ControlFlow::Continue(())
            } else {
                each(Chunk::Owned(&mut made))
            };
            made.clear();
            flow
        }
    }
}

impl<P: Pipe<Out: Data>> Partition<P::Out> for PipedPartition<P> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, P::Out>) -> ControlFlow<()>) -> Result<()> {
        self.base.chunks(&mut self.make(each))
    }

    fn pieces(&self) -> usize {
        self.base.pieces()
    }

    fn piece(
        &self,
        index: usize,
        each: &mut dyn FnMut(Chunk<'_, P::Out>) -> ControlFlow<()>,
    ) -> Result<()> {
        self.base.piece(index, &mut self.make(each))
    }

    fn count(&self) -> Option<usize> {
        if self.pipe.keeps_count() {
            self.base.count()
        } else {
            None
        }
    }

    fn weight(&self) -> usize {
        self.base.weight()
    }

    fn home(&self) -> Option<usize> {
        self.base.home()
    }
}

/// The partitions of any number of data sets, one after the other.
pub(crate) struct Union<T>(pub(crate) Vec<Arc<dyn Dataset<T>>>);

impl<T: Data> Dataset<T> for Union<T> {
    fn num_partitions(&self) -> usize {
        self.0.iter().map(|set| set.num_partitions()).sum()
    }

    fn partitions(&self, executor: &Executor) -> Result<Partitions<T>> {
        let mut all = Vec::with_capacity(self.num_partitions());
        for set in &self.0 {
            all.extend(set.partitions(executor)?.iter().cloned());
        }
        Ok(all.into())
    }

    fn known_count(&self) -> Option<u64> {
        self.0.iter().map(|set| set.known_count()).sum()
    }

    fn steps(&self, steps: &mut Vec<Step>) {
        for set in &self.0 {
            set.steps(steps);
        }
    }
}
