//! `top`: the greatest records.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::panic::Location;

use crate::error::Result;
use crate::rdd::pipe::{Data, Pipe, Sink, Step};
use crate::rdd::{Rdd, blame};

impl<T: Data + Ord, P: Pipe<Out = T>> Rdd<T, P> {
    /// The `n` greatest records, the greatest first; all of them if there are
    /// fewer. Each worker keeps its own `n` greatest, so nothing is sorted as a
    /// whole. For the least ones [`map`](Self::map) to [`Reverse`].
    ///
    /// # Errors
    /// If a step or a comparison panics.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let counts = ssc.parallelize([("to", 5), ("be", 9), ("or", 7)], 2);
    /// let most = counts.map(|(word, n)| (n, word)).top(2)?;
    /// assert_eq!(most, [(9, "be"), (7, "or")]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "takeOrdered")]
    #[doc(alias = "max")]
    #[track_caller]
    pub fn top(&self, n: usize) -> Result<Vec<T>> {
        let step = Step::new("top", Location::caller());
        self.executor.stage(|| {
            let partial = self.fold(Some(step), || Greatest::new(n))?;
            let merge = || {
                let mut all = Greatest::new(n);
                for Reverse(record) in partial.into_iter().flat_map(|worker| worker.heap) {
                    all.push(record);
                }
                let sorted = all.heap.into_sorted_vec().into_iter();
                sorted.map(|Reverse(record)| record).collect()
            };
            self.executor
                .once(merge)
                .map_err(|error| blame(&[step], error))
        })
    }
}

/// The greatest records so far, the least of them on top.
struct Greatest<T> {
    heap: BinaryHeap<Reverse<T>>,
    limit: usize,
}

impl<T: Ord> Greatest<T> {
    fn new(limit: usize) -> Self {
        Self {
            heap: BinaryHeap::new(),
            limit,
        }
    }
}

impl<T: Ord> Sink<T> for Greatest<T> {
    #[inline]
    fn push(&mut self, record: T) {
        if self.heap.len() < self.limit {
            self.heap.push(Reverse(record));
        } else if let Some(mut least) = self.heap.peek_mut()
            && record > least.0
        {
            *least = Reverse(record);
        }
    }
}
