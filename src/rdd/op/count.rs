//! `count`: how many records there are.

use crate::error::Result;
use crate::rdd::Rdd;
use crate::rdd::pipe::{Data, Pipe, Sink};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// The number of records. Free if no step stands between the records at
    /// rest and the count.
    ///
    /// # Errors
    /// If a step fails or panics.
    pub fn count(&self) -> Result<u64> {
        if self.pipe.keeps_count() {
            let known: Option<Vec<_>> = self.partitions()?.iter().map(|part| part.count()).collect();
            if let Some(counts) = known {
                return Ok(counts.iter().map(|&count| count as u64).sum());
            }
        }
        Ok(self.fold(Counter::default)?.iter().map(|counter| counter.0).sum())
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
