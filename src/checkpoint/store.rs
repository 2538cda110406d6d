//! The directory of checkpoints.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::batch_log::BatchLog;
use super::file::{self, Contents, Partitioning, Place};
use crate::disk::{DirLock, Disk, attempt, create_all};
use crate::dstream::Graph;
use crate::dstream::durable::{Noted, Piece};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::kill_point;
use crate::hash::KeyHash;
use crate::shared::SavedAccumulator;
use crate::time::{BatchTime, Clock, Duration};

const PREFIX: &str = "checkpoint-";
const TEMPORARY: &str = ".tmp";

/// A directory of checkpoints that this process has for itself.
#[derive(Debug)]
pub(crate) struct Store {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Files that were begun, for names that nobody has.
    begun: AtomicU64,
    _lock: DirLock,
}

/// What the newest checkpoint has.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) zero: BatchTime,
    pub(crate) time: BatchTime,
    pub(crate) interval: Duration,
    /// How long it took to read it, and those that could not be read, if somebody looked.
    pub(crate) took: Duration,
    pub(crate) streams: BTreeMap<String, RecoveredStream>,
    pub(super) contents: Contents,
}

/// What it has of one stream.
#[derive(Debug)]
pub(crate) struct RecoveredStream {
    pub(crate) kind: String,
    pub(crate) pieces: Vec<Piece>,
}

impl Recovered {
    /// The batch behind which it goes on, and the first record of the log of batches that
    /// is needed then.
    pub(super) fn noted_behind(&self) -> (BatchTime, u64) {
        (self.time, self.contents.first_record)
    }

    /// Whether a batch of `graph` that comes again has the partitions that it had: if not,
    /// why, and what helps.
    ///
    /// # Errors
    /// If it has others.
    pub(crate) fn check_partitions(&self, graph: &Graph) -> Result<()> {
        let (now, before) = (Partitioning::of(graph), self.contents.partitioning);
        let why = if now.parallelism != before.parallelism {
            format!(
                "a shuffle made {} partitions, and makes {} now: set default_parallelism to {}",
                before.parallelism, now.parallelism, before.parallelism
            )
        } else if now.seeds != before.seeds {
            "this process has hashed keys, or recovered another context, before: call \
             get_or_create first, and one context that writes its batches once in a process"
                .to_owned()
        } else {
            return Ok(());
        };
        Err(Error::illegal_state(format!(
            "batches behind the checkpoint of {} would come again with other partitions: {why}",
            self.time
        )))
    }

    /// Lets go of what there is of an accumulator.
    pub(crate) fn discard_accumulator(&mut self, name: &str) {
        self.contents.accumulators.remove(name);
    }

    pub(super) fn take_accumulators(&mut self) -> BTreeMap<String, SavedAccumulator> {
        std::mem::take(&mut self.contents.accumulators)
    }

    /// Lets go of what there is of a stream.
    pub(crate) fn discard(&mut self, uid: &str) {
        self.streams.remove(uid);
        self.contents.streams.retain(|stream| stream.uid != uid);
    }
}

impl Store {
    /// Takes a directory, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made or is no directory, or another process has it.
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Self> {
        attempt(|| Self::open_once(disk, dir))
    }

    fn open_once(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Self> {
        let fail = |cause| {
            let what = format!("the checkpoint directory {} cannot be used", dir.display());
            Error::io(what, cause)
        };
        let dir = std::path::absolute(dir).map_err(fail)?;
        create_all(&**disk, &dir).map_err(fail)?;
        let lock = disk.lock(&dir).map_err(fail)?;
        let store = Self {
            disk: Arc::clone(disk),
            dir,
            begun: AtomicU64::new(0),
            _lock: lock,
        };
        store.clean(|_| false).map_err(fail)?;
        Ok(store)
    }

    /// The disk, and a directory in this one for another part of the engine.
    pub(crate) fn subdirectory(&self, name: &str) -> (Arc<dyn Disk>, PathBuf) {
        (Arc::clone(&self.disk), self.dir.join(name))
    }

    /// Whether there are checkpoints, whole or not.
    pub(crate) fn has_any(&self) -> Result<bool> {
        Ok(!attempt(|| self.times())?.is_empty())
    }

    /// Opens the log of batches beside the checkpoints.
    pub(super) fn batch_log(
        &self,
        checkpoint: Option<(BatchTime, u64)>,
        clock: &Arc<dyn Clock>,
    ) -> Result<(BatchLog, BTreeMap<String, Noted>)> {
        BatchLog::open(&self.disk, &self.dir, checkpoint, clock)
    }

    /// The times of the checkpoints that are there, whole or not.
    fn times(&self) -> Result<Vec<BatchTime>> {
        times(&*self.disk, &self.dir).map_err(|cause| self.blame(cause))
    }

    fn blame(&self, cause: io::Error) -> Error {
        let what = format!("the checkpoint directory {}", self.dir.display());
        Error::io(what, cause)
    }

    fn path(&self, time: BatchTime) -> PathBuf {
        self.dir.join(file_name(time))
    }

    /// The newest checkpoint of which everything can be read; nothing if there is
    /// none at all. What the disk refuses is tried again, before an older one is taken.
    ///
    /// # Errors
    /// If there are some, and none can be read: the reason for each.
    pub(crate) fn recover(&self) -> Result<Option<Recovered>> {
        let mut reasons = Vec::new();
        for time in attempt(|| self.times())?.into_iter().rev() {
            match self.read(time) {
                Ok(recovered) => {
                    // If it was not used yet.
                    KeyHash::adopt(recovered.contents.partitioning.seeds);
                    return Ok(Some(recovered));
                }
                Err(error) => {
                    let path = self.path(time);
                    tracing::warn!(?path, %error, "a checkpoint cannot be read");
                    reasons.push(format!("{}: {error}", path.display()));
                }
            }
        }
        if reasons.is_empty() {
            return Ok(None);
        }
        let what = format!("no checkpoint can be read: {}", reasons.join("; "));
        Err(Error::new(ErrorKind::Corrupt, what))
    }

    fn read(&self, time: BatchTime) -> Result<Recovered> {
        let mut files = BTreeMap::new();
        let (frames, contents) = self.read_file(time)?;
        contents.check_time(time)?;
        files.insert(time, frames);
        let mut streams = BTreeMap::new();
        for stream in &contents.streams {
            let mut pieces = Vec::with_capacity(stream.pieces.len());
            for place in &stream.pieces {
                let frames = match files.entry(place.file) {
                    Entry::Occupied(read) => read.into_mut(),
                    Entry::Vacant(entry) => entry.insert(self.frames_of(place.file)?),
                };
                pieces.push(piece(frames, place)?);
            }
            let kind = stream.kind.clone();
            streams.insert(stream.uid.clone(), RecoveredStream { kind, pieces });
        }
        Ok(Recovered {
            zero: contents.zero,
            time,
            interval: Duration::from_millis(contents.interval_ms),
            took: Duration::ZERO,
            streams,
            contents,
        })
    }

    fn frames_of(&self, time: BatchTime) -> Result<Vec<Vec<u8>>> {
        let read = self.read_file(time).map_err(|error| {
            let what = format!("it needs {}", self.path(time).display());
            Error::new(error.kind(), what).with_source(error)
        });
        read.map(|(frames, _)| frames)
    }

    fn read_file(&self, time: BatchTime) -> Result<(Vec<Vec<u8>>, Contents)> {
        attempt(|| file::read(&*self.disk, &self.path(time)))
    }

    /// Writes the file of a checkpoint: when this returns without an error, it is
    /// there after a crash.
    pub(super) fn write(&self, time: BatchTime, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(time);
        // Relaxed: only the number counts.
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let temporary = format!("{PREFIX}{}-{number}{TEMPORARY}", time.as_millis());
        let temporary = self.dir.join(temporary);
        let written = (|| {
            let mut file = self.disk.create(&temporary)?;
            kill_point!("checkpoint.created");
            file.append(bytes)?;
            kill_point!("checkpoint.written");
            file.sync()?;
            drop(file);
            kill_point!("checkpoint.synced");
            self.disk.rename(&temporary, &path)?;
            kill_point!("checkpoint.renamed");
            self.disk.sync_dir(&self.dir)?;
            kill_point!("checkpoint.directory_synced");
            Ok(())
        })();
        if written.is_err() {
            // Perhaps it was not even made.
            let _ = self.disk.remove(&temporary);
        }
        written
    }

    /// Removes the checkpoints behind `time`, durably. They could not be read, or are another
    /// program's: beside files of the same names that are written now, they would be taken for
    /// what they are not.
    pub(super) fn remove_behind(&self, time: BatchTime) -> Result<()> {
        // Also if there are none: an attempt before may have failed at the last call.
        let removed = self.clean(|file| file > time);
        let removed = removed.and_then(|()| self.disk.sync_dir(&self.dir));
        removed.map_err(|cause| self.blame(cause))
    }

    /// Removes the checkpoints that are `old`, and files that were never finished.
    pub(super) fn clean(&self, old: impl Fn(BatchTime) -> bool) -> io::Result<()> {
        for entry in self.disk.list(&self.dir)? {
            let Some(name) = entry.file_name() else {
                continue;
            };
            let Some(rest) = name.strip_prefix(PREFIX) else {
                continue;
            };
            let goes = match rest.parse() {
                Ok(millis) => old(BatchTime::from_millis(millis)),
                Err(_) => rest.ends_with(TEMPORARY),
            };
            if goes {
                match self.disk.remove(&self.dir.join(name)) {
                    // Somebody else cleans up, too.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    removed => removed?,
                }
                kill_point!("checkpoint.removed");
            }
        }
        Ok(())
    }
}

fn piece(frames: &[Vec<u8>], place: &Place) -> Result<Piece> {
    Ok(Piece {
        time: place.time,
        bytes: file::frames_of(frames, place)?.concat(),
    })
}

/// The times of the checkpoints that are in a directory, whole or not, in order.
pub(crate) fn times(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<BatchTime>> {
    let entries = disk.list(dir)?;
    let times = entries.iter().filter_map(|entry| {
        let millis = entry.file_name()?.strip_prefix(PREFIX)?.parse().ok()?;
        Some(BatchTime::from_millis(millis))
    });
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    Ok(times)
}

/// The name of the file of a checkpoint.
pub(crate) fn file_name(time: BatchTime) -> String {
    format!("{PREFIX}{}", time.as_millis())
}
