//! `map_partitions`: whole partitions in, any number of records out.

use std::ops::ControlFlow;
use std::panic::Location;
use std::sync::Arc;

use crate::error::Result;
use crate::executor::{Executor, UNKNOWN};
use crate::rdd::pipe::{Chunk, Data, Pipe, Step};
use crate::rdd::{CHUNK, Dataset, Partition, Partitions, Rdd, Records};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Calls `f` with all records of each partition, also of an empty one, and
    /// gives all records of what it returns. This is the place for what is to be
    /// made once per partition. No shuffle; the records of a partition are brought
    /// together before `f` sees them. [`Records::partition_index`] tells which
    /// partition it is.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let sums = ssc
    ///     .parallelize(1..=4_u64, 2)
    ///     .map_partitions(|records| [(records.partition_index(), records.sum::<u64>())]);
    /// assert_eq!(sums.collect()?, [(0, 3), (1, 7)]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "mapPartitions")]
    #[doc(alias = "mapPartitionsWithIndex")]
    #[track_caller]
    pub fn map_partitions<I, F>(self, f: F) -> Rdd<I::Item>
    where
        I: IntoIterator<Item: Data>,
        F: Fn(Records<T>) -> I + Send + Sync + 'static,
    {
        let step = Step::new("map_partitions", Location::caller());
        self.map_partitions_as(step, Arc::new(f))
    }

    pub(crate) fn map_partitions_as<I, F>(self, step: Step, f: Arc<F>) -> Rdd<I::Item>
    where
        I: IntoIterator<Item: Data>,
        F: Fn(Records<T>) -> I + Send + Sync + 'static,
    {
        let executor = Arc::clone(&self.executor);
        let mapped = MappedPartitions {
            base: self,
            step,
            f,
        };
        Rdd::new(Arc::new(mapped), executor)
    }
}

/// Partitions that are mapped when they are read.
struct MappedPartitions<T, P: Pipe<Out = T>, F> {
    base: Rdd<T, P>,
    step: Step,
    f: Arc<F>,
}

impl<T, P, I, F> Dataset<I::Item> for MappedPartitions<T, P, F>
where
    T: Data,
    P: Pipe<Out = T>,
    I: IntoIterator<Item: Data>,
    F: Fn(Records<T>) -> I + Send + Sync + 'static,
{
    fn num_partitions(&self) -> usize {
        self.base.num_partitions()
    }

    fn partitions(&self, executor: &Executor) -> Result<Partitions<I::Item>> {
        let parts = self.base.data.partitions(executor)?;
        let mapped = parts.iter().enumerate().map(|(index, part)| {
            let mapped = MappedPartition {
                base: self.base.clone(),
                part: Arc::clone(part),
                index,
                f: Arc::clone(&self.f),
            };
            Arc::new(mapped) as Arc<dyn Partition<I::Item>>
        });
        Ok(mapped.collect())
    }

    fn steps(&self, steps: &mut Vec<Step>) {
        self.base.data.steps(steps);
        self.base.pipe.steps(steps);
        steps.push(self.step);
    }
}

struct MappedPartition<T, P: Pipe<Out = T>, F> {
    base: Rdd<T, P>,
    part: Arc<dyn Partition<P::In>>,
    index: usize,
    f: Arc<F>,
}

impl<T, P, I, F> Partition<I::Item> for MappedPartition<T, P, F>
where
    T: Data,
    P: Pipe<Out = T>,
    I: IntoIterator<Item: Data>,
    F: Fn(Records<T>) -> I + Send + Sync,
{
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, I::Item>) -> ControlFlow<()>) -> Result<()> {
        let records = self.base.records(self.index, &*self.part)?;
        let mut mapped = (self.f)(records).into_iter();
        let mut made = Vec::new();
        loop {
            made.clear();
            made.extend(mapped.by_ref().take(CHUNK));
            if made.is_empty() || each(Chunk::Owned(&mut made)).is_break() {
                return Ok(());
            }
        }
    }

    fn count(&self) -> Option<usize> {
        None
    }

    fn weight(&self) -> usize {
        self.part.weight().max(UNKNOWN)
    }

    fn home(&self) -> Option<usize> {
        self.part.home()
    }
}
