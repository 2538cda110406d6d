//! `persist`: records that are computed once and kept at a storage level.

use crate::codec::Codec;
use crate::rdd::kept::keep;
use crate::rdd::pipe::{Data, Pipe};
use crate::rdd::{Rdd, StorageLevel};

impl<T: Data + Codec, P: Pipe<Out = T>> Rdd<T, P> {
    /// The same records, kept as `level` says from the first action on, so that
    /// its chain runs once however often they are read. For records in memory as
    /// they are, [`cache`](Self::cache) needs no bytes of them.
    ///
    /// What is kept in memory counts against `memory_max`; files are made in
    /// `spill_dir` and are gone with the data set. An action fails if records are to be kept
    /// as bytes that could not be read back, as those of a type with serde's `tag` or
    /// `untagged`.
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
        self.kept_by(level.uses_disk(), move |records, memory| {
            keep(records, level, memory)
        })
    }
}
