//! `sort` and `sort_by`: all records in order.

use std::cmp::Ordering;
use std::panic::Location;
use std::sync::Arc;

use crate::rdd::pipe::{Data, Pipe, Step};
use crate::rdd::shuffle::exchange;
use crate::rdd::{Map, Rdd, at_rest, blame, concat, weight};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// The records in ascending order: that of the partitions, and within each.
    /// Equal ones keep their order. Each partition is sorted, cut where its
    /// records go to another one, and merged with what comes: a shuffle of all
    /// records.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// assert_eq!(ssc.parallelize([3, 1, 2], 2).sort().collect()?, [1, 2, 3]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "sortByKey")]
    #[track_caller]
    pub fn sort(self) -> Rdd<T>
    where
        T: Ord,
    {
        let step = Step::new("sort", Location::caller());
        self.sorted(step, Ord::cmp, |record| record)
    }

    /// As [`sort`](Self::sort), in the order of a key, which is made once for each
    /// record. [`Reverse`](std::cmp::Reverse) around it gives the descending order.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// use std::cmp::Reverse;
    ///
    /// let counts = ssc.parallelize([("to", 5), ("be", 9), ("or", 7)], 2);
    /// let most_first = counts.sort_by(|&(_, n)| Reverse(n));
    /// assert_eq!(most_first.collect()?, [("be", 9), ("or", 7), ("to", 5)]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "sortBy")]
    #[track_caller]
    pub fn sort_by<K, F>(self, key: F) -> Rdd<T>
    where
        K: Data + Ord,
        F: Fn(&T) -> K + Send + Sync + 'static,
    {
        let step = Step::new("sort_by", Location::caller());
        self.then(Map(move |record| (key(&record), record)), step)
            .sorted(step, |a, b| a.0.cmp(&b.0), |(_, record)| record)
    }

    /// The records in the order of `compare`, and then what `finish` makes of them.
    fn sorted<U: Data>(
        self,
        step: Step,
        compare: impl Fn(&T, &T) -> Ordering + Send + Sync + 'static,
        finish: impl Fn(T) -> U + Send + Sync + 'static,
    ) -> Rdd<U> {
        let n = self.default_parallelism().max(1);
        let executor = Arc::clone(&self.executor);
        Rdd::lazy(n, executor, move |executor| {
            let runs = self.each_partition(Some(step), weight, |_, part| {
                let mut run = Vec::with_capacity(part.count().unwrap_or_default());
                self.feed(part, &mut run)?;
                run.sort_by(&compare);
                Ok(run)
            })?;
            let blamed = |error| blame(&[step], error);
            let weight = runs.iter().map(Vec::len).sum();
            let pieces = executor
                .once(|| {
                    let cuts = cuts(&runs, n, &compare);
                    runs.into_iter().zip(cuts).map(pieces).collect()
                })
                .map_err(blamed)?;
            let merged = exchange(executor, n, pieces, weight, |pieces| {
                let mut all = concat(pieces);
                // Finds the sorted runs and merges them.
                all.sort_by(&compare);
                all.into_iter().map(&finish).collect()
            });
            Ok(at_rest(merged.map_err(blamed)?))
        })
    }
}

/// How many records of a partition are looked at to find where it should end.
const SAMPLES: usize = 64;

/// Where to cut each sorted run so that `n` partitions become about even.
fn cuts<T>(runs: &[Vec<T>], n: usize, compare: impl Fn(&T, &T) -> Ordering) -> Vec<Vec<usize>> {
    let total: usize = runs.iter().map(Vec::len).sum();
    let every = (total / (n * SAMPLES)).max(1);
    let mut samples: Vec<&T> = runs
        .iter()
        .flat_map(|run| run.iter().step_by(every))
        .collect();
    samples.sort_by(|a, b| compare(a, b));
    let bounds: Vec<&T> = (1..n)
        .filter_map(|i| samples.get(samples.len() * i / n).copied())
        .collect();
    let cuts = |run: &Vec<T>| {
        let before = |bound: &&T| run.partition_point(|record| compare(record, bound).is_lt());
        bounds.iter().map(before).collect()
    };
    runs.iter().map(cuts).collect()
}

/// A run, cut.
fn pieces<T>((mut run, cuts): (Vec<T>, Vec<usize>)) -> Vec<Vec<T>> {
    let mut pieces: Vec<_> = cuts
        .into_iter()
        .rev()
        .map(|cut| run.split_off(cut))
        .collect();
    pieces.push(run);
    pieces.reverse();
    pieces
}
