//! `count`: how many records there are.

use std::sync::Arc;

use crate::error::Result;
use crate::rdd::pipe::{Data, Pipe, Sink};
use crate::rdd::{Rdd, at_rest};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// The number of records. Free if no step stands between the records at
    /// rest and the count.
    ///
    /// # Errors
    /// If a step fails or panics.
    pub fn count(&self) -> Result<u64> {
        if self.pipe.keeps_count() {
            let known: Option<Vec<_>> =
                self.partitions()?.iter().map(|part| part.count()).collect();
            if let Some(counts) = known {
                return Ok(counts.iter().map(|&count| count as u64).sum());
            }
        }
        Ok(self
            .fold(None, Counter::default)?
            .iter()
            .map(|counter| counter.0)
            .sum())
    }

    /// The number of records as a data set of one element.
    pub(crate) fn counted(self) -> Rdd<u64> {
        let executor = Arc::clone(&self.executor);
        Rdd::lazy(1, executor, move |_| Ok(at_rest([vec![self.count()?]])))
    }

    /// The number of records if all partitions are there and know it, else 0.
    pub(crate) fn known_count(&self) -> u64 {
        if self.pipe.keeps_count() {
            self.data.known_count().unwrap_or(0)
        } else {
            0
        }
    }
}

#[derive(Default)]
struct Counter(u64);

impl<T> Sink<T> for Counter {
    #[inline(always)]
    fn push(&mut self, _: T) {
        self.0 += 1;
    }
}
