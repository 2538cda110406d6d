//! `cartesian`: every record of one data set with every one of another.

use std::ops::ControlFlow;
use std::panic::Location;
use std::sync::Arc;

use crate::error::Result;
use crate::executor::Executor;
use crate::rdd::pipe::{Chunk, Data, Pipe, Sink, Step};
use crate::rdd::{CHUNK, Dataset, Partition, Partitions, Rdd};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Each record of `self` with each one of `other`, in the partitions of `self`.
    /// No shuffle: all records of `other` are brought together, and the pairs are
    /// made when they are read.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let moves = ssc.parallelize(["a", "b"], 2).cartesian(ssc.parallelize([1, 2], 1));
    /// assert_eq!(moves.collect()?, [("a", 1), ("a", 2), ("b", 1), ("b", 2)]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[track_caller]
    pub fn cartesian<U: Data, Q: Pipe<Out = U>>(self, other: Rdd<U, Q>) -> Rdd<(T, U)> {
        let executor = Arc::clone(&self.executor);
        let product = Product {
            step: Step::new("cartesian", Location::caller()),
            left: self,
            right: other,
        };
        Rdd::new(Arc::new(product), executor)
    }
}

struct Product<T, P: Pipe<Out = T>, U, Q: Pipe<Out = U>> {
    left: Rdd<T, P>,
    right: Rdd<U, Q>,
    step: Step,
}

impl<T, P, U, Q> Dataset<(T, U)> for Product<T, P, U, Q>
where
    T: Data,
    P: Pipe<Out = T>,
    U: Data,
    Q: Pipe<Out = U>,
{
    fn num_partitions(&self) -> usize {
        self.left.num_partitions()
    }

    fn partitions(&self, executor: &Executor) -> Result<Partitions<(T, U)>> {
        let right: Arc<[U]> = self.right.collect()?.into();
        let parts = self.left.data.partitions(executor)?;
        let products = parts.iter().map(|part| {
            let product = ProductPartition {
                left: self.left.clone(),
                part: Arc::clone(part),
                right: Arc::clone(&right),
            };
            Arc::new(product) as Arc<dyn Partition<(T, U)>>
        });
        Ok(products.collect())
    }

    fn steps(&self, steps: &mut Vec<Step>) {
        self.left.data.steps(steps);
        self.left.pipe.steps(steps);
        steps.push(self.step);
    }
}

struct ProductPartition<T, P: Pipe<Out = T>, U> {
    left: Rdd<T, P>,
    part: Arc<dyn Partition<P::In>>,
    right: Arc<[U]>,
}

impl<T: Data, P: Pipe<Out = T>, U: Data> Partition<(T, U)> for ProductPartition<T, P, U> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, (T, U)>) -> ControlFlow<()>) -> Result<()> {
        let mut pairs = Pairs {
            right: &self.right,
            made: Vec::with_capacity(CHUNK),
            flow: ControlFlow::Continue(()),
            each,
        };
        self.left.feed(&*self.part, &mut pairs)?;
        pairs.hand_over();
        Ok(())
    }

    fn count(&self) -> Option<usize> {
        if self.left.pipe.keeps_count() {
            self.part.count()?.checked_mul(self.right.len())
        } else {
            None
        }
    }

    fn weight(&self) -> usize {
        self.part.weight().saturating_mul(self.right.len())
    }

    fn home(&self) -> Option<usize> {
        self.part.home()
    }
}

/// Pairs each record with all of the other side.
struct Pairs<'c, T, U> {
    right: &'c [U],
    made: Vec<(T, U)>,
    flow: ControlFlow<()>,
    each: &'c mut dyn FnMut(Chunk<'_, (T, U)>) -> ControlFlow<()>,
}

impl<T, U> Pairs<'_, T, U> {
    fn hand_over(&mut self) {
        if self.flow.is_continue() && !self.made.is_empty() {
            self.flow = (self.each)(Chunk::Owned(&mut self.made));
        }
        self.made.clear();
    }
}

impl<T: Data, U: Data> Sink<T> for Pairs<'_, T, U> {
    const BOUNDED: bool = true;

    fn push(&mut self, left: T) {
        for right in self.right {
            self.made.push((left.clone(), right.clone()));
            if self.made.len() == CHUNK {
                self.hand_over();
                if self.flow.is_break() {
                    return;
                }
            }
        }
    }

    fn is_full(&self) -> bool {
        self.flow.is_break()
    }
}
