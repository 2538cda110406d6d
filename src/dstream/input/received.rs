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
use crate::sync::lock;

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
        lock(&self.state)
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

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;
    use crate::block::{Budget, RingOptions, TextBlock, text_ring};
    use crate::conf::InvalidUtf8;
    use crate::disk::sim::SimDisk;
    use crate::dstream::Graph;
    use crate::dstream::input::queue::{QueueIngest, RddQueue};
    use crate::rdd::{Rdd, Reading};
    use crate::state::StateBound;
    use crate::time::{BatchTime, Duration};

    /// Lines as a receiver stores them and a cut takes them, and what is counted in the ring.
    fn received(text: &[u8]) -> (ReceivedBlocks<TextBlock>, Arc<Budget>) {
        let options = RingOptions {
            block: 1 << 10,
            bound: 1 << 20,
            queue: 8,
            lossy: false,
        };
        let (mut writer, mut cutter, budget) = text_ring(options, 100);
        writer.spare(text.len()).unwrap().copy_from_slice(text);
        writer.filled(text.len());
        writer.publish(usize::MAX);
        let mut taken = Vec::new();
        cutter.cut(&mut taken);
        let how = How {
            logging: Arc::new(Logging::of_bytes(false)),
            reading: Arc::new(Reading {
                invalid: InvalidUtf8::Skip,
                stream: String::new(),
            }),
        };
        (ReceivedBlocks::new(how, std::iter::empty(), taken), budget)
    }

    fn read(blocks: &ReceivedBlocks<TextBlock>) -> usize {
        let mut lines = 0;
        for part in &*blocks.parts() {
            let count = &mut |chunk: Chunk<'_, _>| {
                lines += chunk.len();
                ControlFlow::Continue(())
            };
            part.chunks(count).unwrap();
        }
        lines
    }

    /// A batch may be read before it is put into a file, and not again behind that.
    #[test]
    fn invalid_lines_that_were_found_before_it_was_spilled_are_counted() {
        let text = b"good\nbad \xff\nbad \xfe\n";
        for (before, behind) in [(0, 1), (1, 0), (1, 1), (0, 2), (2, 2)] {
            let (blocks, budget) = received(text);
            let store = SpillStore::new(Arc::new(SimDisk::new()), "/".into(), u64::MAX);
            assert_eq!(blocks.invalid_lines(), 0);
            for _ in 0..before {
                assert_eq!(read(&blocks), 1);
            }
            let found = if before > 0 { 2 } else { 0 };
            assert_eq!(blocks.invalid_lines(), found);
            assert_eq!(blocks.spill(&store).unwrap(), text.len() as u64);
            assert_eq!(budget.used(), 0);
            assert_eq!(blocks.invalid_lines(), found);
            for _ in 0..behind {
                assert_eq!(read(&blocks), 1);
            }
            assert_eq!(blocks.invalid_lines(), 2);
        }
    }

    /// A receiver need not wait for who holds a batch that is done: a window, or the program.
    #[test]
    fn what_is_done_counts_as_memory_and_not_in_the_ring_as_long_as_somebody_holds_it() {
        const SECOND: Duration = Duration::from_secs(1);
        let at = |seconds: i64| BatchTime::from_millis(1000 * seconds);
        let text = b"one line\n";
        for (remembered, is_held) in [
            (SECOND, false),
            (Duration::ZERO, true),
            (Duration::ZERO, false),
        ] {
            let executor = Arc::new(Executor::of(1));
            let bound = StateBound::default();
            let graph = Graph::new("test", SECOND, Arc::clone(&executor), bound);
            let queue = RddQueue::new();
            let none = Rdd::empty(Arc::clone(&executor));
            let stream = QueueIngest::declare(&graph, Location::caller(), &queue, true, none);
            assert!(stream.is_ok());
            graph.initialize(at(0), Some(remembered));
            let (blocks, budget) = received(text);
            let rdd = Rdd::new(Arc::new(blocks), Arc::clone(&executor));
            let held = is_held.then(|| rdd.clone());
            queue.push(rdd);
            let counted = || (budget.used(), executor.memory().used());
            for input in &*graph.inputs() {
                input.cut(at(1));
            }
            assert_eq!(counted(), (text.len(), 0));
            graph.clear(at(1));
            let is_there = is_held || !remembered.is_zero();
            let kept = if is_there { text.len() as u64 } else { 0 };
            assert_eq!(counted(), (0, kept));
            graph.clear(at(2));
            assert_eq!(counted(), (0, if is_held { kept } else { 0 }));
            drop(held);
            assert_eq!(counted(), (0, 0));
        }
    }
}
