//! `persist`: records that are computed once and kept at a storage level.

use std::sync::Arc;

use crate::codec::Codec;
use crate::rdd::dataset::PipedPartition;
use crate::rdd::kept::keep;
use crate::rdd::pipe::{Data, Pipe};
use crate::rdd::{Partition, Rdd, StorageLevel, homes, weight};

impl<T: Data + Codec, P: Pipe<Out = T>> Rdd<T, P> {
    /// The same records, kept as `level` says from the first action on, so that
    /// its chain runs once however often they are read. For records in memory as
    /// they are, [`cache`](Self::cache) needs no bytes of them.
    ///
    /// What is kept in memory counts against `memory_max`; files are made in
    /// `spill_dir` and are gone with the data set.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// use millstream::StorageLevel;
    ///
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let squares = ssc
    ///     .parallelize(1..=4, 2)
    ///     .map(|x: u64| x * x)
    ///     .persist(StorageLevel::DISK_ONLY);
    /// assert_eq!(squares.collect()?, [1, 4, 9, 16]); // runs the chain, writes files
    /// assert_eq!(squares.collect()?, [1, 4, 9, 16]); // reads them
    /// # Ok::<(), millstream::Error>(())
    /// ```
    pub fn persist(self, level: StorageLevel) -> Rdd<T> {
        let as_they_are = level.uses_memory() && !level.is_serialized();
        if level == StorageLevel::NONE || as_they_are && self.is_at_rest() {
            return self.boxed();
        }
        let executor = Arc::clone(&self.executor);
        Rdd::lazy(self.num_partitions(), executor, move |executor| {
            let base = self.partitions()?;
            let parts = executor
                .map_at(homes(&base), weight(&base), |i| {
                    let kept = match executor.memory().is_full() && !level.uses_disk() {
                        true => None,
                        false => {
                            let mut records =
                                Vec::with_capacity(base[i].count().unwrap_or_default());
                            self.feed(&*base[i], &mut records)?;
                            keep(records, level, executor.memory())?
                        }
                    };
                    Ok(kept.unwrap_or_else(|| {
                        let (base, pipe) = (Arc::clone(&base[i]), Arc::clone(&self.pipe));
                        Arc::new(PipedPartition::new(base, pipe)) as Arc<dyn Partition<T>>
                    }))
                })
                .map_err(|error| self.blame(None, error))?;
            Ok(parts.into())
        })
    }
}
