//! `persist`: batches that are computed once and kept at a storage level.

use std::panic::Location;

use crate::codec::Codec;
use crate::dstream::DStream;
use crate::rdd::StorageLevel;
use crate::rdd::pipe::{Data, Pipe};

/// # Persistence
impl<T: Data + Codec, P: Pipe<Out = T>> DStream<T, P> {
    /// The same stream, of which each batch is computed once, however many
    /// operations use it, and kept as `level` says as long as any of them may need
    /// it.
    ///
    /// Guide: Caching / Persistence. No shuffle; costs the writing of each record,
    /// and for levels that keep bytes its reading at each use. For records in
    /// memory as they are, [`cache`](Self::cache) needs no bytes of them. What is
    /// kept in memory counts against `memory_max`; what does not fit is computed
    /// again, or goes to files in `spill_dir`, as the level says. A batch fails if records
    /// are to be kept as bytes that could not be read back, as those of a type with serde's
    /// `tag` or `untagged`.
    ///
    /// # Examples
    /// ```
    /// use millstream::StorageLevel;
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<Str>::new();
    /// let words = ssc
    ///     .queue_stream(&queue)?
    ///     .flat_map(|line| line.split(' '))
    ///     .persist(StorageLevel::MEMORY_AND_DISK);
    /// let (hour, minute) = (Duration::from_secs(3600), Duration::from_secs(60));
    /// words.window(hour, minute)?.count().print(); // an hour of words, mostly on disk
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the context was started.
    #[track_caller]
    pub fn persist(&self, level: StorageLevel) -> DStream<T> {
        self.lift("persist", Location::caller(), move |rdd, _| {
            Ok(rdd.persist(level))
        })
    }
}
