//! The log of a context.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{self, Block, Record};
use super::{Again, RestoredBlock, RestoredStream, StreamBlocks};
use crate::disk::{Content, Disk, attempt};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::kill_point;
use crate::sync::engine::{Mutex, MutexGuard, lock};
use crate::time::{BatchTime, Clock, Duration};
use crate::wal::{OnCorruption, RecordPlace, SyncMode, WalOptions, WriteAheadLog};

/// Notes of what batches need, at the most.
const NOTES: usize = 1 << 16;

/// The write-ahead log of a context's receivers.
pub(crate) struct ReceiverLog {
    wal: WriteAheadLog,
    dir: PathBuf,
    on_corruption: OnCorruption,
    /// Batches so long before a checkpoint are read again behind it.
    history: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Blocks on their way from the log to their ring, by a number of their own: none
    /// has a lower number in the log than the one given.
    under_way: BTreeMap<u64, u64>,
    next: u64,
    /// The first record that a batch behind this one may need.
    needed: BTreeMap<BatchTime, u64>,
    /// The first one that is needed behind any earlier batch.
    first_needed: u64,
}

/// Where in the log a block is.
#[derive(Debug)]
pub(crate) struct BlockPlace {
    record: RecordPlace,
    /// Bytes of the body before the records.
    head: usize,
}

/// A block that is in the log and on its way to its ring, until this is dropped.
#[derive(Debug)]
pub(crate) struct Flight {
    log: Arc<ReceiverLog>,
    number: u64,
    pub(crate) sequence: u64,
}

impl ReceiverLog {
    /// Opens the log in `dir`. What the disk refuses is tried again.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        again: Again,
        (sync, on_corruption): (SyncMode, OnCorruption),
        history: Duration,
        clock: &Arc<dyn Clock>,
    ) -> Result<Arc<Self>> {
        let superseded = match again {
            Again::Behind(_, from) => from.unwrap_or(0),
            Again::Nothing | Again::Never => 0,
        };
        let options = WalOptions::new().sync(sync).on_corruption(on_corruption);
        let wal = attempt(|| {
            let (disk, clock) = (Arc::clone(disk), Arc::clone(clock));
            WriteAheadLog::open(disk, dir, superseded, options.clone(), clock)
        })?;
        Ok(Arc::new(Self {
            wal,
            dir: dir.to_owned(),
            on_corruption,
            history,
            state: Mutex::default(),
        }))
    }

    /// What there is of each stream that comes again, for a program that begins behind
    /// the batch `last`. Called once, before anything is logged. What the disk refuses is
    /// tried again.
    pub(crate) fn restore(
        &self,
        last: BatchTime,
        again: Again,
    ) -> Result<BTreeMap<String, RestoredStream>> {
        attempt(|| self.restore_once(last, again))
    }

    fn restore_once(
        &self,
        last: BatchTime,
        again: Again,
    ) -> Result<BTreeMap<String, RestoredStream>> {
        let (from, behind) = match again {
            Again::Behind(time, from) => (from.unwrap_or(self.wal.first()), time),
            Again::Nothing => (self.wal.end(), last),
            Again::Never if self.wal.end() == 0 => (0, last),
            Again::Never => {
                return Err(Error::illegal_state(format!(
                    "the write-ahead log in {} has data, but the checkpoints that belong to it \
                     are gone: if it is not needed, remove it, too",
                    self.dir.display()
                )));
            }
        };
        self.state().first_needed = from;
        let oldest = behind - self.history;
        let mut restoring = Restoring::default();
        let mut reader = self.wal.read(from)?;
        while let Some((sequence, body)) = reader.next_record()? {
            match record::read(sequence, body)? {
                Record::Block(stream, block) => {
                    restoring.blocks.extend(
                        reader
                            .place()
                            .map(|place| (sequence, (stream, restored(place, block)))),
                    );
                }
                Record::Batch(time, streams) if time > oldest => {
                    for (stream, numbers) in streams {
                        restoring.assign(stream, time, numbers);
                    }
                }
                // The checkpoint has all that is needed of it.
                Record::Batch(_, streams) => {
                    for number in streams.iter().flat_map(|(_, numbers)| numbers) {
                        restoring.blocks.remove(number);
                    }
                }
            }
        }
        let mut streams = restoring.finish(from, behind, self.on_corruption)?;
        for stream in streams.values_mut() {
            let behind = behind + Duration::from_millis(1);
            let batches = stream.batches.split_off(&behind);
            stream.before = std::mem::replace(&mut stream.batches, batches);
        }
        Ok(streams)
    }

    /// Reads a block of an earlier process: gives what `use_records` makes of the bytes of
    /// its records.
    ///
    /// # Errors
    /// Those of `use_records` and of the disk, and of kind [`ErrorKind::Corrupt`] if it is
    /// not there any more.
    pub(crate) fn read_block<R>(
        &self,
        block: &RestoredBlock,
        use_records: impl FnOnce(&[u8]) -> Result<R>,
    ) -> Result<R> {
        let BlockPlace { record, head } = &block.place;
        self.wal.read_again(record, |body| {
            use_records(body.get(*head..).unwrap_or_default())
        })
    }

    /// Whether blocks that are damaged are left out, and not an error.
    pub(crate) fn skips_damage(&self) -> bool {
        self.on_corruption == OnCorruption::Skip
    }

    /// Begins the body of a block; the bytes of its records come behind that.
    #[expect(clippy::unused_self, reason = "without a log there are no blocks")]
    pub(crate) fn begin_block(
        &self,
        stream: &str,
        metadata: Option<&str>,
        records: u64,
    ) -> Result<Vec<u8>> {
        record::block(stream, metadata, records)
    }

    /// Logs a block of a receiver's own, which is put into the ring before the flight
    /// is dropped.
    pub(crate) fn append_block(self: &Arc<Self>, body: Vec<u8>) -> Result<Flight> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.under_way.insert(number, self.wal.end());
        drop(state);
        // Dropped as well if this fails.
        let mut flight = Flight {
            log: Arc::clone(self),
            number,
            sequence: 0,
        };
        flight.sequence = self.wal.append(body)?;
        kill_point!("receiver.block.logged");
        Ok(flight)
    }

    /// Logs blocks that were cut, but for no batch yet.
    pub(crate) fn append_blocks(&self, bodies: Vec<Content>) -> Result<Range<u64>> {
        self.wal.append_contents(bodies)
    }

    /// Logs a batch, and with it blocks that are not yet in the log. Gives the numbers
    /// of these.
    pub(crate) fn append_batch(
        &self,
        time: BatchTime,
        streams: &[StreamBlocks],
        mut new: Vec<Content>,
    ) -> Result<Range<u64>> {
        let batch = record::batch(time, streams, new.len())?;
        new.push(batch.into());
        let appended = self.wal.append_contents(new)?;
        kill_point!("receiver.batch.logged");
        Ok(appended.start..appended.end - 1)
    }

    /// The first record that may not be in a ring yet.
    pub(crate) fn first_under_way(&self) -> u64 {
        let state = self.state();
        let under_way = state.under_way.values().copied();
        under_way.fold(self.wal.end(), u64::min)
    }

    /// Notes the first record that batches behind `time` may need.
    pub(crate) fn mark(&self, time: BatchTime, needed: u64) {
        let notes = &mut self.state().needed;
        let last = notes.last_key_value().map(|(_, last)| *last);
        if last == Some(needed) {
            return;
        }
        notes.insert(time, needed);
        // As long as no checkpoint can be written. In place of a note that is gone the one
        // before it serves: then more is kept than is needed.
        if notes.len() > NOTES {
            let mut is_kept = false;
            notes.retain(|_, _| {
                is_kept = !is_kept;
                is_kept
            });
        }
    }

    /// The first record that is needed behind a checkpoint of `time`.
    pub(crate) fn needed_behind(&self, time: BatchTime) -> u64 {
        let state = self.state();
        let mut before = state.needed.range(..=time - self.history);
        before
            .next_back()
            .map_or(state.first_needed, |(_, needed)| *needed)
    }

    /// No checkpoint before that of `time` is kept any more: removes what none needs.
    pub(crate) fn checkpointed(&self, time: BatchTime) -> Result<()> {
        let needed = self.needed_behind(time);
        let mut state = self.state();
        state.needed = state.needed.split_off(&(time - self.history));
        state.first_needed = needed;
        drop(state);
        self.wal.remove_below(needed)
    }

    /// Takes nothing more; another process may have the directory.
    pub(crate) fn close(&self) {
        self.wal.close();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.log.state().under_way.remove(&self.number);
    }
}

impl fmt::Debug for ReceiverLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiverLog")
            .field("wal", &self.wal)
            .finish_non_exhaustive()
    }
}

fn restored(place: RecordPlace, block: Block) -> RestoredBlock {
    RestoredBlock {
        sequence: place.sequence(),
        records: block.records,
        metadata: block.metadata,
        place: BlockPlace {
            record: place,
            head: block.head,
        },
    }
}

/// Puts together what the log has.
#[derive(Default)]
struct Restoring {
    blocks: BTreeMap<u64, (String, RestoredBlock)>,
    /// The batch of each block. A later word counts.
    batch_of: BTreeMap<u64, BatchTime>,
    batches: BTreeMap<(String, BatchTime), Vec<u64>>,
}

impl Restoring {
    fn assign(&mut self, stream: String, time: BatchTime, numbers: Vec<u64>) {
        for &number in &numbers {
            if let Some(before) = self.batch_of.insert(number, time)
                && before != time
                && let Some(numbers) = self.batches.get_mut(&(stream.clone(), before))
            {
                numbers.retain(|&other| other != number);
            }
        }
        self.batches.insert((stream, time), numbers);
    }

    /// `from` is the first record that was read, `behind` the time of the checkpoint.
    fn finish(
        mut self,
        from: u64,
        behind: BatchTime,
        policy: OnCorruption,
    ) -> Result<BTreeMap<String, RestoredStream>> {
        let mut streams: BTreeMap<String, RestoredStream> = BTreeMap::new();
        for ((stream, time), numbers) in self.batches {
            let mut blocks = Vec::with_capacity(numbers.len());
            for number in numbers {
                match self.blocks.remove(&number) {
                    Some((_, block)) => blocks.push(block),
                    // A window has become longer than it was.
                    None if number < from && time <= behind => {}
                    None => missing(&stream, time, number, policy)?,
                }
            }
            let batches = &mut streams.entry(stream).or_default().batches;
            batches.insert(time, blocks);
        }
        for (stream, block) in self.blocks.into_values() {
            streams.entry(stream).or_default().rest.push(block);
        }
        Ok(streams)
    }
}

fn missing(stream: &str, time: BatchTime, number: u64, policy: OnCorruption) -> Result<()> {
    let what = format!("the write-ahead log has no record {number}, a block of the batch {time}");
    let error = Error::new(ErrorKind::Corrupt, what).with_stream(stream);
    match policy {
        OnCorruption::Fail => Err(error),
        OnCorruption::Skip => {
            tracing::error!(%error, "a block is skipped");
            Ok(())
        }
    }
}
