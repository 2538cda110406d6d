//! Records that are kept once they were computed: as they are, as bytes, or in a
//! file.

#[cfg(feature = "checkpoint")]
mod encoded;

use std::any::Any;
use std::ops::ControlFlow;
use std::sync::Arc;

#[cfg(feature = "checkpoint")]
pub(super) use encoded::keep;

use super::dataset::PipedPartition;
use super::partition::{AtRest, Partition};
use super::pipe::{Chunk, Data, Pipe};
use super::{Rdd, homes, weight};
use crate::block::{Memory, Str};
use crate::error::Result;

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// The same records, of which the first action gives each partition to `keep`. One that is
    /// not kept is computed each time that it is read. When memory is full, `keep` is asked
    /// only if it `uses_disk`.
    pub(super) fn kept_by<F>(self, uses_disk: bool, keep: F) -> Rdd<T>
    where
        F: Fn(Vec<T>, &Arc<Memory>) -> Result<Option<Arc<dyn Partition<T>>>>
            + Send
            + Sync
            + 'static,
    {
        let executor = Arc::clone(&self.executor);
        Rdd::lazy(self.num_partitions(), executor, move |executor| {
            let (base, memory) = (self.partitions()?, executor.memory());
            let parts = executor
                .map_at(homes(&base), weight(&base), |i| {
                    let kept = match memory.is_full() && !uses_disk {
                        true => None,
                        false => {
                            let mut records =
                                Vec::with_capacity(base[i].count().unwrap_or_default());
                            self.feed(&*base[i], &mut records)?;
                            keep(records, memory)?
                        }
                    };
                    Ok(kept.unwrap_or_else(|| {
                        let (base, pipe) = (Arc::clone(&base[i]), Arc::clone(&self.pipe));
                        Arc::new(PipedPartition::new(base, pipe))
                    }))
                })
                .map_err(|error| self.blame(None, error))?;
            Ok(parts.into())
        })
    }
}

/// A number of bytes that are counted, until it is dropped.
struct Counted {
    bytes: usize,
    memory: Arc<Memory>,
}

impl Counted {
    fn try_new(bytes: usize, memory: &Arc<Memory>) -> Option<Self> {
        memory.try_take(bytes).then(|| Self {
            bytes,
            memory: Arc::clone(memory),
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.memory.give(self.bytes);
    }
}

/// Records as they are.
pub(super) struct Kept<T> {
    records: AtRest<T>,
    _counted: Counted,
}

impl<T: Data> Kept<T> {
    /// Keeps the records, or gives them back if they do not fit. Lines among which
    /// others were left out do not keep the blocks that they were received in.
    pub(super) fn new(mut records: Vec<T>, memory: &Arc<Memory>) -> Result<Self, Vec<T>> {
        records.shrink_to_fit();
        let lines = (&mut records as &mut dyn Any).downcast_mut::<Vec<Str>>();
        let text = lines.map_or(0, |lines| Str::keep_small(lines));
        let own = records.capacity().saturating_mul(size_of::<T>());
        let bytes = own.saturating_add(text);
        match Counted::try_new(bytes, memory) {
            Some(counted) => Ok(Self {
                records: AtRest::new(records),
                _counted: counted,
            }),
            None => Err(records),
        }
    }
}

impl<T: Data> Partition<T> for Kept<T> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>) -> Result<()> {
        self.records.chunks(each)
    }

    fn count(&self) -> Option<usize> {
        self.records.count()
    }

    fn weight(&self) -> usize {
        self.records.weight()
    }
}
