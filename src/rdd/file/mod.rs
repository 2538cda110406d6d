//! Records in files: partitions that are read when a task asks for them.
//!
//! A *batch file* is a file as it was found when it was chosen for a batch. What a
//! [`InputFormat`] makes of it are its partitions. A partition opens the file, reads it
//! from the beginning to the end of its part and hands the records over, so only
//! some chunks of it are in memory at a time, and each action reads it again.
//!
//! A file that cannot be read fails the task; the error names it, and how far it
//! was read. One that is not as long as it was when it was chosen is read as it
//! is, and counted: somebody is still writing to it.
//!
//! Deliberately not here: which files there are, and whose turn it is.

mod binary;
mod gzip;
mod lines;
mod new_directory;
mod open;
mod records;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(crate) use binary::FixedLengthFiles;
pub(crate) use gzip::Limits;
pub(crate) use lines::TextFiles;
pub(crate) use new_directory::{Appending, NewDirectory, clean};
pub(crate) use open::Identity;
pub use open::InputFile;
pub use records::FileReader;
pub(crate) use records::ReaderFiles;

use super::dataset::Dataset;
use super::partition::{Partition, Partitions};
use super::pipe::{Data, Step};
use crate::error::{Error, Result};
use crate::executor::Executor;

/// What a file is taken for.
pub(crate) trait InputFormat<T>: Send + Sync + 'static {
    /// Appends the partitions of a file.
    fn split(self: Arc<Self>, file: BatchFile, into: &mut Vec<Arc<dyn Partition<T>>>);
}

/// A file of a batch, as it was when it was chosen.
#[derive(Debug)]
pub(crate) struct BatchFile {
    pub(crate) path: Arc<Path>,
    pub(crate) len: u64,
    pub(crate) identity: Identity,
    pub(crate) tally: Arc<Tally>,
    /// Whether it was compared with what it was, by whoever read it first.
    compared: AtomicBool,
}

/// What became known of the files of one batch while they were read for the first
/// time. Relaxed everywhere: counters that nothing else depends on.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    records: AtomicU64,
    changed: AtomicU64,
    oversize: AtomicU64,
    invalid: AtomicU64,
}

impl Tally {
    /// Records of the partitions that were read to their end.
    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Files that were not the same any more.
    pub(crate) fn changed(&self) -> u64 {
        self.changed.load(Ordering::Relaxed)
    }

    /// Lines that were dropped because they were too long.
    pub(crate) fn oversize(&self) -> u64 {
        self.oversize.load(Ordering::Relaxed)
    }
}

impl BatchFile {
    pub(crate) fn new(path: Arc<Path>, len: u64, identity: Identity, tally: Arc<Tally>) -> Self {
        Self {
            path,
            len,
            identity,
            tally,
            compared: AtomicBool::new(false),
        }
    }

    /// An error of reading it, `offset` bytes behind its beginning.
    fn failed(&self, offset: u64, cause: io::Error) -> Error {
        let path = &self.path;
        Error::io(format!("{path:?} cannot be read at byte {offset}"), cause)
    }

    fn open(&self) -> Result<InputFile> {
        InputFile::open(Arc::clone(&self.path)).map_err(|cause| self.failed(0, cause))
    }

    /// Opens it to read a part of it, which has to be of the same file as the
    /// others.
    fn open_part(&self) -> Result<InputFile> {
        let file = self.open()?;
        if file.identity() != self.identity {
            let cause = "another file has its name since the batch was made of it";
            return Err(self.failed(0, io::Error::other(cause)));
        }
        Ok(file)
    }

    /// Compares a file that was just read to its end with what it was.
    fn compare_open(&self, file: &InputFile) -> Result<()> {
        let len = file
            .present_len()
            .map_err(|cause| self.failed(file.position(), cause))?;
        self.compare(len, file.identity());
        Ok(())
    }

    /// As above, by its name.
    fn compare_named(&self) {
        // It was there to be read: whoever removed it since may do that.
        if let Ok(metadata) = fs::metadata(&self.path) {
            self.compare(metadata.len(), Identity::of(&metadata));
        }
    }

    fn compare(&self, len: u64, identity: Identity) {
        let same = len == self.len && identity == self.identity;
        if !self.compared.swap(true, Ordering::Relaxed) && !same {
            self.tally.changed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                file = ?self.path,
                chosen_bytes = self.len,
                read_bytes = len,
                "a file changed between being chosen and being read: write it elsewhere, then \
                 rename it"
            );
        }
    }
}

/// Counts the records of a partition in the tally of its batch, once.
#[derive(Debug, Default)]
struct Once(AtomicBool);

impl Once {
    /// Says whether this was the first time.
    fn count(&self, tally: &Tally, records: u64) -> bool {
        let is_first = !self.0.swap(true, Ordering::Relaxed);
        if is_first {
            tally.records.fetch_add(records, Ordering::Relaxed);
        }
        is_first
    }
}

/// The most parts that one file is read in.
const MAX_PARTS: u64 = 1 << 16;

/// Cuts a file of `len` bytes into parts of nearly `size` bytes, all but the last
/// of a multiple of `unit`; at least one. The last part has no end: what was
/// written since belongs to it.
fn parts(len: u64, size: u64, unit: u64) -> impl Iterator<Item = (u64, u64)> {
    let n = len.div_ceil(size.max(1)).clamp(1, MAX_PARTS);
    let step = len.div_ceil(n).max(1);
    let step = step.checked_next_multiple_of(unit).unwrap_or(u64::MAX);
    let n = len.div_ceil(step).max(1);
    (0..n).map(move |i| {
        let until = if i + 1 == n { u64::MAX } else { (i + 1) * step };
        (i * step, until)
    })
}

/// The files of a batch.
pub(crate) struct Files<T> {
    parts: Partitions<T>,
    tally: Arc<Tally>,
    /// Reading is a step: the records are not there.
    step: Step,
}

impl<T> Files<T> {
    pub(crate) fn new(parts: Partitions<T>, step: Step, tally: Arc<Tally>) -> Self {
        Self { parts, tally, step }
    }
}

impl<T: Data> Dataset<T> for Files<T> {
    fn num_partitions(&self) -> usize {
        self.parts.len()
    }

    fn partitions(&self, _: &Executor) -> Result<Partitions<T>> {
        Ok(Arc::clone(&self.parts))
    }

    fn invalid_lines(&self) -> u64 {
        self.tally.invalid.load(Ordering::Relaxed)
    }

    fn steps(&self, steps: &mut Vec<Step>) {
        steps.push(self.step);
    }
}

impl<T> fmt::Debug for Files<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files")
            .field("parts", &self.parts.len())
            .field("step", &self.step)
            .finish()
    }
}
