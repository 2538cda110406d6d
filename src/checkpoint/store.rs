//! The directory of checkpoints.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::file::{self, Contents, Place};
use crate::disk::{DirLock, Disk};
use crate::dstream::durable::Piece;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::kill_point;
use crate::shared::SavedAccumulator;
use crate::time::{BatchTime, Duration};

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
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self> {
        let fail = |cause| {
            let what = format!("the checkpoint directory {} cannot be used", dir.display());
            Error::io(what, cause)
        };
        let dir = std::path::absolute(dir).map_err(fail)?;
        create_all(&*disk, &dir).map_err(fail)?;
        let lock = disk.lock(&dir).map_err(fail)?;
        let store = Self {
            disk,
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
        Ok(!self.times()?.is_empty())
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
    /// none at all.
    ///
    /// # Errors
    /// If there are some, and none can be read: the reason for each.
    pub(crate) fn recover(&self) -> Result<Option<Recovered>> {
        let mut reasons = Vec::new();
        for time in self.times()?.into_iter().rev() {
            match self.read(time) {
                Ok(recovered) => return Ok(Some(recovered)),
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
        let (frames, contents) = file::read(&*self.disk, &self.path(time))?;
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
            streams,
            contents,
        })
    }

    fn frames_of(&self, time: BatchTime) -> Result<Vec<Vec<u8>>> {
        let path = self.path(time);
        let read = file::read(&*self.disk, &path).map_err(|error| {
            let what = format!("it needs {}", path.display());
            Error::new(error.kind(), what).with_source(error)
        });
        read.map(|(frames, _)| frames)
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
                self.disk.remove(&self.dir.join(name))?;
                kill_point!("checkpoint.removed");
            }
        }
        Ok(())
    }
}

/// Makes a directory, and those above it that are missing, durably.
fn create_all(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let Some(parent) = dir.parent() else {
        return Ok(());
    };
    match disk.create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_all(disk, parent)?;
            disk.create_dir(dir)?;
        }
        made => made?,
    }
    match disk.sync_dir(parent) {
        // In what is not ours, others made it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

fn piece(frames: &[Vec<u8>], place: &Place) -> Result<Piece> {
    Ok(Piece {
        time: place.time,
        bytes: file::frames_of(frames, place)?.concat(),
    })
}

/// The times of the checkpoints that are in a directory, whole or not, in order.
pub(super) fn times(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<BatchTime>> {
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
pub(super) fn file_name(time: BatchTime) -> String {
    format!("{PREFIX}{}", time.as_millis())
}
