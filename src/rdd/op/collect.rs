//! `collect` and `take`: records out of the data set.

use crate::error::Result;
use crate::rdd::pipe::{Data, First, Pipe};
use crate::rdd::{Rdd, concat, weight};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// All records, in the order of their partitions.
    ///
    /// # Errors
    /// If a step fails or panics.
    pub fn collect(&self) -> Result<Vec<T>> {
        Ok(concat(self.collect_partitions()?))
    }

    /// All records, partition by partition.
    ///
    /// # Errors
    /// If a step fails or panics.
    pub fn collect_partitions(&self) -> Result<Vec<Vec<T>>> {
        self.each_partition(None, weight, |_, part| {
            let mut records = Vec::with_capacity(part.count().unwrap_or_default());
            self.feed(part, &mut records)?;
            Ok(records)
        })
    }

    /// The first record, in the order of the partitions; `None` if there are none.
    ///
    /// # Errors
    /// If a step fails or panics.
    pub fn first(&self) -> Result<Option<T>> {
        Ok(self.take(1)?.pop())
    }

    /// The first `n` records, in the order of the partitions. Reads no more
    /// than it must, at most `n` records of each further partition.
    ///
    /// # Errors
    /// If a step fails or panics.
    pub fn take(&self, n: usize) -> Result<Vec<T>> {
        let parts = self.partitions()?;
        let first_of = |i: usize| {
            let mut first = First {
                records: Vec::new(),
                limit: n,
            };
            self.feed(&*parts[i], &mut first)?;
            Ok(first.records)
        };
        let run = |from: usize, to: usize| {
            let weight = weight(&parts[from..to]);
            self.executor
                .map(to - from, weight, |i| first_of(from + i))
                .map_err(|error| self.blame(None, error))
        };
        // Most often the first partition has enough.
        let mut taken = concat(run(0, parts.len().min(1))?);
        if taken.len() < n && parts.len() > 1 {
            taken.extend(run(1, parts.len())?.into_iter().flatten());
            taken.truncate(n);
        }
        Ok(taken)
    }
}
