//! What inputs gave to batches, noted before anybody gets it.
//!
//! A batch that comes again in another process has to have what it had, or an output that
//! is done would be passed over with records that it never got. An input that chooses,
//! such as a directory, notes its choice here, durably, when it has made it; a batch that
//! had nothing of it is not noted. So a time without a note, up to the start of the process
//! that goes on, has nothing.
//!
//! The log is a [`WriteAheadLog`] in the directory `batches`. Each checkpoint has the
//! number of the first record that may be needed behind it. A record is, in postcard's
//! format, the name of the input, the batch time (ms), and the bytes of the input.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::codec::Codec;
use crate::disk::{Disk, attempt};
use crate::dstream::durable::{Noted, Notes};
use crate::error::Result;
use crate::sync::engine::{Mutex, MutexGuard, lock};
use crate::time::{BatchTime, Clock};
use crate::wal::{OnCorruption, WalOptions, WriteAheadLog};

/// A note is short, and what is not needed is removed segment by segment.
const SEGMENT: u64 = 1 << 20;

/// The log of one directory of checkpoints.
pub(crate) struct BatchLog {
    log: WriteAheadLog,
    /// The records that a kept checkpoint may need.
    records: Mutex<VecDeque<(BatchTime, u64)>>,
}

impl BatchLog {
    /// Opens the log, and gives what it has of batches behind a checkpoint, which has that
    /// number of the first record; without one nothing of it is needed. What the disk
    /// refuses is tried again.
    pub(super) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        checkpoint: Option<(BatchTime, u64)>,
        clock: &Arc<dyn Clock>,
    ) -> Result<(Self, BTreeMap<String, Noted>)> {
        attempt(|| Self::open_once(Arc::clone(disk), dir, checkpoint, Arc::clone(clock)))
    }

    fn open_once(
        disk: Arc<dyn Disk>,
        dir: &Path,
        checkpoint: Option<(BatchTime, u64)>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, BTreeMap<String, Noted>)> {
        let options = WalOptions::new().segment_bytes(SEGMENT);
        let options = match checkpoint {
            Some(_) => options,
            None => options.on_corruption(OnCorruption::Skip),
        };
        let first = checkpoint.map_or(0, |(_, first)| first);
        let log = WriteAheadLog::open(disk, dir.join("batches"), first, options, clock)?;
        let mut records = VecDeque::new();
        let mut noted = BTreeMap::<_, Noted>::new();
        match checkpoint {
            None => log.remove_below(log.end())?,
            Some((behind, first)) => {
                let mut reader = log.read(first)?;
                while let Some((number, mut body)) = reader.next_record()? {
                    let (uid, time, bytes) = <(String, i64, Vec<u8>)>::decode(&mut body)?;
                    let time = BatchTime::from_millis(time);
                    if time > behind {
                        records.push_back((time, number));
                        noted.entry(uid).or_default().insert(time, bytes);
                    }
                }
            }
        }
        let records = Mutex::new(records);
        Ok((Self { log, records }, noted))
    }

    /// The first record that may be needed behind the batch `time`.
    pub(super) fn needed_behind(&self, time: BatchTime) -> u64 {
        let records = self.records();
        let needed = records.iter().filter(|(noted, _)| *noted > time);
        let first = needed.map(|&(_, number)| number).min();
        first.unwrap_or_else(|| self.log.end())
    }

    /// No checkpoint before that of `oldest` is needed any more.
    pub(super) fn forget(&self, oldest: BatchTime) -> Result<()> {
        let needed = self.needed_behind(oldest);
        self.records().retain(|&(_, number)| number >= needed);
        self.log.remove_below(needed)
    }

    /// Takes nothing more; another process may have the directory.
    pub(super) fn close(&self) {
        self.log.close();
    }

    fn records(&self) -> MutexGuard<'_, VecDeque<(BatchTime, u64)>> {
        lock(&self.records)
    }
}

impl Notes for BatchLog {
    fn note(&self, uid: &str, batches: &[(BatchTime, Vec<u8>)]) -> Result<()> {
        if batches.is_empty() {
            return Ok(());
        }
        let mut bodies = Vec::with_capacity(batches.len());
        let mut times = Vec::with_capacity(batches.len());
        for (time, bytes) in batches {
            let mut body = Vec::new();
            (uid.to_owned(), time.as_millis(), bytes.clone()).encode(&mut body)?;
            bodies.push(body);
            times.push(*time);
        }
        // Held meanwhile: a checkpoint has to see all that is in the log.
        let mut records = self.records();
        let numbers = self.log.append_all(bodies)?;
        records.extend(times.into_iter().zip(numbers));
        Ok(())
    }
}

impl fmt::Debug for BatchLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchLog").finish_non_exhaustive()
    }
}
