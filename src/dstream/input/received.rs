//! The blocks of a receiver in a batch, which may wait for it in a file.
//!
//! Whoever reads a batch gets the partitions as they are at that moment, and holds them
//! until it has read them. So blocks can be put elsewhere at any time: those who have
//! them already read them where they were, and their memory goes when they are done.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::receiver::IntoPartition;
use crate::block::{Memory, SpillFile, SpillStore, Taken};
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::rdd::pipe::Chunk;
use crate::rdd::{Dataset, Partition, Partitions};
use crate::receiver::log::Logging;

/// The partitions of a batch of a receiver.
pub(super) struct ReceivedBlocks<B: IntoPartition> {
    how: How<B>,
    state: Mutex<State<B>>,
}

/// How the records of blocks are read, and written.
pub(super) struct How<B: IntoPartition> {
    pub(super) logging: Arc<Logging<B::Record>>,
    pub(super) reading: B::Reading,
}

impl<B: IntoPartition> Clone for How<B> {
    fn clone(&self) -> Self {
        Self {
            logging: Arc::clone(&self.logging),
            reading: self.reading.clone(),
        }
    }
}

struct State<B: IntoPartition> {
    parts: Partitions<B::Record>,
    /// The blocks that are in the ring's memory, which are the last of the partitions.
    taken: Vec<Taken<B>>,
}

impl<B: IntoPartition> ReceivedBlocks<B> {
    /// What an earlier process had received, and what was taken from the ring.
    pub(super) fn new(
        how: How<B>,
        restored: impl Iterator<Item = Arc<dyn Partition<B::Record>>>,
        taken: Vec<Taken<B>>,
    ) -> Self {
        let new = taken
            .iter()
            .map(|taken| B::into_partition(taken.clone(), &how.reading));
        let parts = restored.chain(new).collect();
        let state = Mutex::new(State { parts, taken });
        Self { how, state }
    }

    fn state(&self) -> MutexGuard<'_, State<B>> {
        self.state
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }

    fn parts(&self) -> Partitions<B::Record> {
        Arc::clone(&self.state().parts)
    }
}

impl<B: IntoPartition> Dataset<B::Record> for ReceivedBlocks<B> {
    fn num_partitions(&self) -> usize {
        self.parts().len()
    }

    fn partitions(&self, _: &Executor) -> Result<Partitions<B::Record>> {
        Ok(self.parts())
    }

    fn known_count(&self) -> Option<u64> {
        let parts = self.parts();
        parts
            .iter()
            .map(|part| part.count().map(|count| count as u64))
            .sum()
    }

    fn keep(&self, memory: &Arc<Memory>) {
        for part in &*self.parts() {
            part.keep(memory);
        }
    }

    fn invalid_lines(&self) -> u64 {
        self.parts().iter().map(|part| part.invalid_lines()).sum()
    }

    fn spill(&self, store: &Arc<SpillStore>) -> Result<u64> {
        let (parts, taken) = {
            let state = self.state();
            (Arc::clone(&state.parts), state.taken.clone())
        };
        if taken.is_empty() || !self.how.logging.can_write() {
            return Ok(0);
        }
        let refused = |cause| {
            let what = format!("received records cannot be spilled to {:?}", store.parent());
            Error::io(what, cause)
        };
        let mut out = store.create().map_err(refused)?;
        let (mut bytes, mut places) = (Vec::new(), Vec::with_capacity(taken.len()));
        for block in &taken {
            bytes.clear();
            B::encode(block, &self.how.logging, &mut bytes)?;
            places.push((out.position(), bytes.len()));
            out.write_all(&bytes).map_err(refused)?;
        }
        let file = Arc::new(out.finish().map_err(refused)?);
        let (restored, in_memory) = parts.split_at(parts.len() - taken.len());
        let spilled = in_memory.iter().zip(&taken).zip(places);
        let spilled = spilled.map(|((part, taken), (at, len))| {
            let spilled = Spilled::<B> {
                how: self.how.clone(),
                file: Arc::clone(&file),
                at,
                len,
                records: taken.records() as u64,
                count: part.count(),
                weight: part.weight(),
                invalid: AtomicU64::new(part.invalid_lines()),
            };
            Arc::new(spilled) as Arc<dyn Partition<B::Record>>
        });
        let parts = restored.iter().cloned().chain(spilled).collect();
        // Dropped behind the lock: that wakes the receiver.
        let old = std::mem::replace(
            &mut *self.state(),
            State {
                parts,
                taken: Vec::new(),
            },
        );
        drop(old);
        Ok(taken.iter().map(|taken| taken.weight() as u64).sum())
    }
}

/// A block in a file, read anew by each action.
struct Spilled<B: IntoPartition> {
    how: How<B>,
    file: Arc<SpillFile>,
    at: u64,
    len: usize,
    records: u64,
    count: Option<usize>,
    weight: usize,
    /// The most that anybody has found, as all find the same lines in the same order.
    invalid: AtomicU64,
}

impl<B: IntoPartition> Partition<B::Record> for Spilled<B> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, B::Record>) -> ControlFlow<()>) -> Result<()> {
        let bytes = self.file.read(self.at, self.len).map_err(|cause| {
            let path = self.file.path();
            Error::io(
                format!("received records cannot be read again from {path:?}"),
                cause,
            )
        })?;
        let part = B::decode(&bytes, self.records, &self.how.logging, &self.how.reading)?;
        let done = part.chunks(each);
        self.invalid
            .fetch_max(part.invalid_lines(), Ordering::Relaxed);
        done
    }

    fn count(&self) -> Option<usize> {
        self.count
    }

    fn weight(&self) -> usize {
        self.weight
    }

    fn invalid_lines(&self) -> u64 {
        self.invalid.load(Ordering::Relaxed)
    }
}
