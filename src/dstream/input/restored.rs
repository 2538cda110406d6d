//! What the write-ahead log has of a receiver's stream: the batches that come again.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::logged::Part;
use super::received::How;
use super::receiver::IntoPartition;
use crate::disk::{Content, attempt};
use crate::error::{ErrorKind, Result};
use crate::executor::UNKNOWN;
use crate::rdd::Partition;
use crate::rdd::pipe::{Chunk, Data};
use crate::receiver::log::{ReceiverLog, RestoredBlock, RestoredStream, Resume};
use crate::time::{BatchTime, Duration};

/// A block of an earlier process.
pub(super) struct RestoredPart<T> {
    sequence: u64,
    pub(super) records: u64,
    pub(super) metadata: Option<Arc<str>>,
    pub(super) partition: Arc<dyn Partition<T>>,
    /// Records that the log does not have any more.
    pub(super) lost: Arc<AtomicU64>,
}

impl<T: Data> RestoredPart<T> {
    pub(super) fn new<B: IntoPartition<Record = T>>(
        block: RestoredBlock,
        log: &Arc<ReceiverLog>,
        how: &How<B>,
    ) -> Self {
        let lost = Arc::<AtomicU64>::default();
        Self {
            sequence: block.sequence,
            records: block.records,
            metadata: block.metadata.clone(),
            lost: Arc::clone(&lost),
            partition: Arc::new(InLog::<B> {
                log: Arc::clone(log),
                how: how.clone(),
                block,
                read: OnceLock::new(),
                lost,
            }),
        }
    }
}

impl<T: Data> Part for RestoredPart<T> {
    fn sequence(&self) -> Option<u64> {
        Some(self.sequence)
    }

    fn set_sequence(&self, _: u64) {}

    fn body(&self) -> Result<Content> {
        Ok(Vec::new().into())
    }
}

/// A block in the log, which is read when somebody asks for its records, and then stays
/// in memory as long as its batch does.
struct InLog<B: IntoPartition> {
    log: Arc<ReceiverLog>,
    how: How<B>,
    block: RestoredBlock,
    /// None if it was damaged and is left out.
    read: OnceLock<Option<Arc<dyn Partition<B::Record>>>>,
    lost: Arc<AtomicU64>,
}

impl<B: IntoPartition> InLog<B> {
    fn partition(&self) -> Result<Option<&dyn Partition<B::Record>>> {
        let read = match self.read.get() {
            Some(read) => read,
            None => {
                let read = self.read()?;
                // Somebody else may have read it meanwhile.
                self.read.get_or_init(|| read)
            }
        };
        Ok(read.as_deref())
    }

    fn read(&self) -> Result<Option<Arc<dyn Partition<B::Record>>>> {
        let records = self.block.records;
        let decode = |bytes: &[u8]| B::decode(bytes, records, &self.how.logging, &self.how.reading);
        match self.log.read_block(&self.block, decode) {
            Err(error) if error.kind() == ErrorKind::Corrupt && self.log.skips_damage() => {
                tracing::error!(%error, records, "a block is skipped");
                // Relaxed: read behind the jobs of the batch.
                self.lost.store(records, Ordering::Relaxed);
                Ok(None)
            }
            read => read.map(Some),
        }
    }
}

impl<B: IntoPartition> Partition<B::Record> for InLog<B> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, B::Record>) -> ControlFlow<()>) -> Result<()> {
        match self.partition()? {
            Some(partition) => partition.chunks(each),
            None => Ok(()),
        }
    }

    fn count(&self) -> Option<usize> {
        match self.read.get() {
            Some(read) => read.as_ref().map_or(Some(0), |read| read.count()),
            // It may turn out that there are fewer.
            None if self.log.skips_damage() => None,
            None => usize::try_from(self.block.records).ok(),
        }
    }

    fn weight(&self) -> usize {
        self.count().unwrap_or_default().max(UNKNOWN)
    }

    fn invalid_lines(&self) -> u64 {
        let read = self.read.get().and_then(Option::as_ref);
        read.map_or(0, |read| read.invalid_lines())
    }
}

/// The blocks of earlier processes that come again.
pub(super) struct Restored<T> {
    /// Batches before this time have what they had, and nothing else.
    fresh_from: BatchTime,
    /// Whether the batches to come have what is new.
    is_over: bool,
    batches: BTreeMap<BatchTime, Vec<Arc<RestoredPart<T>>>>,
    /// For the first new batch.
    rest: Vec<Arc<RestoredPart<T>>>,
}

impl<T: Data> Default for Restored<T> {
    fn default() -> Self {
        Self {
            fresh_from: BatchTime::from_millis(i64::MIN),
            is_over: true,
            batches: BTreeMap::new(),
            rest: Vec::new(),
        }
    }
}

impl<T: Data> Restored<T> {
    /// Batches come once per `interval`.
    pub(super) fn new(
        stream: RestoredStream,
        resume: Resume,
        interval: Duration,
        part: impl Fn(RestoredBlock) -> RestoredPart<T>,
    ) -> Self {
        let parts = |blocks: Vec<RestoredBlock>| -> Vec<_> {
            let parts = blocks.into_iter().map(|block| Arc::new(part(block)));
            parts.collect()
        };
        let batches = stream.batches.into_iter();
        let batches = batches.map(|(time, blocks)| (time, parts(blocks)));
        let batches: BTreeMap<_, _> = batches.collect();
        let is_first_new = resume.last + interval >= resume.fresh_from;
        // Also if the clock was set back.
        let last = batches.last_key_value().map(|(time, _)| *time + interval);
        Self {
            fresh_from: last.unwrap_or(resume.fresh_from).max(resume.fresh_from),
            is_over: is_first_new && batches.is_empty(),
            batches,
            rest: parts(stream.rest),
        }
    }

    /// Reads the first block. What the disk refuses is tried again.
    ///
    /// # Errors
    /// If it cannot be read, or is none of this type.
    pub(super) fn read_first(&self) -> Result<()> {
        let mut parts = self.batches.values().flatten().chain(&self.rest);
        parts.next().map_or(Ok(()), |part| {
            attempt(|| part.partition.chunks(&mut |_| ControlFlow::Break(())))
        })
    }

    /// What comes again in the batch `time`, and whether new data may be in it.
    pub(super) fn take(&mut self, time: BatchTime) -> (Vec<Arc<RestoredPart<T>>>, bool) {
        let mut parts = Vec::new();
        // Those before were passed over.
        while let Some(entry) = self
            .batches
            .first_entry()
            .filter(|entry| *entry.key() <= time)
        {
            parts.extend(entry.remove());
        }
        self.is_over = self.takes_new(time);
        if self.is_over {
            parts.append(&mut self.rest);
        }
        (parts, self.is_over)
    }

    /// Whether new data will be in the batch `time`, if that is the next one.
    pub(super) fn takes_new(&self, time: BatchTime) -> bool {
        self.is_over || time >= self.fresh_from
    }

    /// Whether new data will be in whatever batch is next.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.rest.is_empty()
    }

    /// The time of the next batch that comes again.
    pub(super) fn next_time(&self) -> Option<BatchTime> {
        self.batches.first_key_value().map(|(time, _)| *time)
    }

    /// The first record of the log that a batch behind `time` has.
    pub(super) fn needed_behind(&self, time: BatchTime) -> Option<u64> {
        let later = self.batches.iter().filter(|(at, _)| **at > time);
        // The rest may be in this one, or not.
        let parts = later.flat_map(|(_, parts)| parts).chain(&self.rest);
        parts.map(|part| part.sequence).min()
    }
}

impl<T> fmt::Debug for Restored<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restored")
            .field("batches", &self.batches.len())
            .field("rest", &self.rest.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdd::AtRest;

    fn at(seconds: i64) -> BatchTime {
        BatchTime::from_millis(1000 * seconds)
    }

    fn part(sequence: u64) -> Arc<RestoredPart<u64>> {
        Arc::new(RestoredPart {
            sequence,
            records: 1,
            metadata: None,
            partition: Arc::new(AtRest::new(vec![sequence])),
            lost: Arc::default(),
        })
    }

    #[test]
    fn blocks_come_again_in_their_batches_and_the_rest_in_the_first_new_one() {
        let batches = [
            (at(4), vec![part(1), part(2)]),
            (at(6), vec![part(3)]),
            (at(7), vec![part(4)]),
        ];
        let mut restored = Restored {
            fresh_from: at(9),
            is_over: false,
            batches: batches.into(),
            rest: vec![part(5)],
        };
        let taken = |restored: &mut Restored<u64>, time| {
            let (parts, is_new) = restored.take(at(time));
            let parts: Vec<_> = parts.iter().map(|part| part.sequence).collect();
            (parts, is_new)
        };
        assert_eq!(restored.needed_behind(at(3)), Some(1));
        assert_eq!(restored.needed_behind(at(4)), Some(3));
        assert_eq!(taken(&mut restored, 4), (vec![1, 2], false));
        assert_eq!(taken(&mut restored, 5), (vec![], false));
        // Batches whose times were passed over.
        assert_eq!(taken(&mut restored, 8), (vec![3, 4], false));
        assert_eq!(restored.needed_behind(at(8)), Some(5));
        assert!(!restored.is_over() && !restored.is_empty());
        assert_eq!(taken(&mut restored, 9), (vec![5], true));
        assert!(restored.is_over() && restored.is_empty());
        assert_eq!(taken(&mut restored, 10), (vec![], true));
    }

    #[test]
    fn times_that_an_earlier_process_may_have_had_get_nothing_new() {
        let restored = |last, fresh_from| {
            let stream = RestoredStream {
                batches: BTreeMap::new(),
                before: BTreeMap::new(),
                rest: Vec::new(),
            };
            let (last, fresh_from) = (at(last), at(fresh_from));
            let none = |_: RestoredBlock| unreachable!("there are no blocks");
            let resume = Resume { last, fresh_from };
            Restored::<u64>::new(stream, resume, Duration::from_secs(1), none)
        };
        assert!(restored(3, 4).is_over());
        let later = restored(3, 9);
        assert!(!later.is_over());
        let takes_new = [4, 8, 9, 10].map(|time| later.takes_new(at(time)));
        assert_eq!(takes_new, [false, false, true, true]);
    }
}
