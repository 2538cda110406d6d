//! `aggregate`: all records into one result of another type.

use std::panic::Location;

use crate::error::Result;
use crate::rdd::pipe::{Data, Pipe, Sink, Step};
use crate::rdd::{Rdd, blame};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Takes all records in by `take`, on each worker into a copy of `zero`, and
    /// joins the results of the workers by `join`. `zero` must be neutral to
    /// `join`: how many copies of it there are depends on the workers.
    ///
    /// # Errors
    /// If a step, `take` or `join` panics.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let words = ssc.parallelize(["to", "be", "or", "not"], 2);
    /// let (bytes, n) = words.aggregate(
    ///     (0, 0),
    ///     |(bytes, n), word| {
    ///         *bytes += word.len();
    ///         *n += 1;
    ///     },
    ///     |(bytes, n), (other_bytes, other_n)| {
    ///         *bytes += other_bytes;
    ///         *n += other_n;
    ///     },
    /// )?;
    /// assert_eq!((bytes, n), (9, 4));
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "fold")]
    #[doc(alias = "treeAggregate")]
    #[track_caller]
    pub fn aggregate<A: Data>(
        &self,
        zero: A,
        take: impl Fn(&mut A, T) + Send + Sync,
        join: impl Fn(&mut A, A) + Send + Sync,
    ) -> Result<A> {
        let step = Step::new("aggregate", Location::caller());
        self.executor.stage(|| {
            let partial = self.fold(Some(step), || Aggregated {
                so_far: zero.clone(),
                take: &take,
            })?;
            let join_all = || {
                let mut all = zero.clone();
                for worker in partial {
                    join(&mut all, worker.so_far);
                }
                all
            };
            self.executor
                .once(join_all)
                .map_err(|error| blame(&[step], error))
        })
    }
}

struct Aggregated<'f, A, F> {
    so_far: A,
    take: &'f F,
}

impl<T, A, F: Fn(&mut A, T)> Sink<T> for Aggregated<'_, A, F> {
    #[inline(always)]
    fn push(&mut self, record: T) {
        (self.take)(&mut self.so_far, record);
    }
}
