//! `zip_with_index`: records with their place in the data set.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::error::Result;
use crate::rdd::pipe::{Chunk, Data, Pipe};
use crate::rdd::{CHUNK, Partition, Rdd};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Each record with its index, counted from 0 through the partitions in their
    /// order. No shuffle, but an index takes knowing how many records the earlier
    /// partitions have, so the chain before runs once, when an action asks, and
    /// its records are kept.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let ranked = ssc.parallelize(["c", "a", "b"], 2).sort().zip_with_index();
    /// assert_eq!(ranked.collect()?, [("a", 0), ("b", 1), ("c", 2)]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "zipWithIndex")]
    pub fn zip_with_index(self) -> Rdd<(T, u64)> {
        let executor = Arc::clone(&self.executor);
        Rdd::lazy(self.num_partitions(), executor, move |_| {
            let mut next = 0;
            let parts = self.collect_partitions()?.into_iter().map(|records| {
                let first = next;
                next += records.len() as u64;
                Arc::new(Indexed { records, first }) as Arc<dyn Partition<_>>
            });
            Ok(parts.collect())
        })
    }
}

/// Records at rest, and the index of the first.
struct Indexed<T> {
    records: Vec<T>,
    first: u64,
}

impl<T: Data> Partition<(T, u64)> for Indexed<T> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, (T, u64)>) -> ControlFlow<()>) -> Result<()> {
        let mut indices = self.first..;
        let mut made = Vec::with_capacity(self.records.len().min(CHUNK));
        for chunk in self.records.chunks(CHUNK) {
            made.clear();
            made.extend(chunk.iter().cloned().zip(&mut indices));
            if each(Chunk::Owned(&mut made)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn count(&self) -> Option<usize> {
        Some(self.records.len())
    }

    fn weight(&self) -> usize {
        self.records.len()
    }
}
