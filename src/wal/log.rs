//! The log itself: group commit, rolling, clean-up.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::open::Found;
use super::segment::{OVERHEAD, Segment, cannot, remove};
use super::writer::{Place, Writer};
use super::{RecordPlace, SyncMode, WalOptions, WalReader};
use crate::disk::{Content, DirLock, Disk};
use crate::error::{Error, Result};
use crate::fault::kill_point;
use crate::sync::engine::{Condvar, Mutex, MutexGuard, lock, yield_now};
use crate::sync::unpoisoned;
use crate::time::Clock;

/// How often who writes a group lets others go first, if not all of those are in it who
/// waited when the last one was written: some were told just now, and may be about to
/// append again.
const TURNS: usize = 16;

/// A write-ahead log in a directory of its own. Any thread may append; many that do so
/// at the same time share one sync.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use millstream::disk::LocalDisk;
/// use millstream::time::SystemClock;
/// use millstream::wal::{WalOptions, WriteAheadLog};
///
/// # fn main() -> millstream::Result<()> {
/// let dir = std::env::temp_dir().join(format!("millstream-wal-{}", std::process::id()));
/// let open = |superseded| {
///     let (disk, clock) = (Arc::new(LocalDisk), Arc::new(SystemClock::new()));
///     WriteAheadLog::open(disk, &dir, superseded, WalOptions::new(), clock)
/// };
/// let log = open(0)?;
/// assert_eq!(log.append(b"first".to_vec())?, 0);
/// assert_eq!(log.append_all(vec![b"second".to_vec(), b"third".to_vec()])?, 1..3);
/// drop(log);
///
/// // After a restart, with a checkpoint that covers the first one.
/// let log = open(1)?;
/// let mut reader = log.read(1)?;
/// assert_eq!(reader.next_record()?, Some((1, &b"second"[..])));
/// assert_eq!(reader.next_record()?, Some((2, &b"third"[..])));
/// assert_eq!(reader.next_record()?, None);
/// assert_eq!(log.append(b"fourth".to_vec())?, 3);
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok(())
/// # }
/// ```
pub struct WriteAheadLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: WalOptions,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// A group was written, segments were removed, or the log was closed.
    changed: Condvar,
    /// One clean-up at a time.
    cleaning: Mutex<()>,
}

struct State {
    /// The group that collects until the one before is written.
    waiting: Group,
    /// What writes; none while somebody does it.
    writer: Option<Writer>,
    /// Who waited when the last group was written, for that one or the next.
    writers: usize,
    /// All segments that have records which count, oldest first. The last one may be
    /// in use.
    segments: VecDeque<Segment>,
    /// The number of the next record.
    end: u64,
    closed: bool,
    /// Given up when the log is closed and nothing is being written any more.
    lock: Option<DirLock>,
    stats: WalStats,
}

/// Records that are written together.
#[derive(Default)]
struct Group {
    bodies: Vec<Content>,
    bytes: u64,
    /// Those who wait for it.
    writers: usize,
    /// The number of the first record, once they are written.
    outcome: Arc<OnceLock<Result<u64>>>,
}

/// What has been going on in a log since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WalStats {
    /// Bytes of all its segments.
    pub bytes: u64,
    /// Its segments.
    pub segments: usize,
    /// Records that were appended.
    pub records: u64,
    /// Groups that they were written in.
    pub groups: u64,
    /// Appends and syncs that failed, or segments that could not be made.
    pub failures: u64,
    /// How often somebody waited because the log had reached `max_bytes`.
    pub waits: u64,
    /// Bytes of a torn tail that were found when it was opened.
    pub torn_bytes: u64,
}

impl WriteAheadLog {
    /// Opens the log in a directory, which is made if its parent exists. Records below
    /// `superseded` are not needed any more: no record gets such a number.
    ///
    /// # Errors
    /// If the settings are at odds, another process has the log, or the disk fails. And
    /// of kind [`Corrupt`](crate::ErrorKind::Corrupt) if the last segment is damaged, in
    /// the mode [`OnCorruption::Fail`](super::OnCorruption::Fail), or a file is no
    /// segment at all.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        superseded: u64,
        options: WalOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        options.validate()?;
        let dir = dir.into();
        let prepare = || {
            disk.create_dir(&dir)?;
            if let Some(parent) = dir.parent() {
                let here = Path::new(".");
                let parent = Some(parent).filter(|parent| !parent.as_os_str().is_empty());
                disk.sync_dir(parent.unwrap_or(here))?;
            }
            disk.lock(&dir)
        };
        let lock = prepare().map_err(|cause| cannot("use", &dir, cause))?;
        let mut found = Found::read(&*disk, &dir, options.on_corruption)?;
        let current = found.settle(&disk, &dir, superseded, options.on_corruption, &*clock)?;
        let stats = WalStats {
            torn_bytes: found.torn_bytes,
            ..WalStats::default()
        };
        let state = State {
            waiting: Group::default(),
            writer: Some(Writer::new(current, found.next_number)),
            writers: 0,
            segments: found.segments,
            end: found.end,
            closed: false,
            lock: Some(lock),
            stats,
        };
        Ok(Self {
            disk,
            dir,
            options,
            clock,
            state: Mutex::new(state),
            changed: Condvar::new(),
            cleaning: Mutex::new(()),
        })
    }

    /// Appends a record, and gives its sequence number once it is in the log. Waits if
    /// the log has reached `max_bytes`.
    ///
    /// # Errors
    /// If it is longer than `max_record_bytes`, the log was closed, or the disk failed
    /// two times in a row.
    pub fn append(&self, body: Vec<u8>) -> Result<u64> {
        Ok(self.append_all(vec![body])?.start)
    }

    /// As [`append`](Self::append), for records that follow on each other: all of them
    /// are in the log, or the caller has an error.
    ///
    /// # Errors
    /// As there.
    pub fn append_all(&self, bodies: Vec<Vec<u8>>) -> Result<Range<u64>> {
        self.append_contents(bodies.into_iter().map(Content::from).collect())
    }

    /// As [`append_all`](Self::append_all); the bytes are written from where they are.
    pub(crate) fn append_contents(&self, bodies: Vec<Content>) -> Result<Range<u64>> {
        let limit = self.options.max_record_bytes;
        if let Some(body) = bodies.iter().find(|body| body.len() > limit) {
            let what = format!(
                "a record of {} bytes is longer than max_record_bytes = {limit} of the \
                 write-ahead log",
                body.len()
            );
            return Err(Error::invalid_argument(what));
        }
        let bytes = bodies.iter().map(|body| (OVERHEAD + body.len()) as u64);
        let bytes = bytes.sum();
        let mut state = self.wait_for_room(bytes)?;
        if bodies.is_empty() {
            return Ok(state.end..state.end);
        }
        let group = &mut state.waiting;
        let (before, count) = (group.bodies.len() as u64, bodies.len() as u64);
        group.bodies.extend(bodies);
        group.bytes += bytes;
        group.writers += 1;
        let outcome = Arc::clone(&group.outcome);
        loop {
            if let Some(outcome) = outcome.get() {
                let first = outcome.clone()? + before;
                return Ok(first..first + count);
            }
            state = match state.writer.take() {
                // Whoever finds the writer free writes the group that waits, and that
                // is its own: the ones before are written.
                Some(writer) => self.write_waiting(state, writer),
                None => self.wait(state),
            };
        }
    }

    /// Reads the records from this one on which are in the log now. Meanwhile nothing
    /// that it has to read may be superseded.
    ///
    /// # Errors
    /// Of kind [`Corrupt`](crate::ErrorKind::Corrupt) if it is there no more, unless
    /// the log was opened to skip what is missing.
    pub fn read(&self, from: u64) -> Result<WalReader> {
        let state = self.state();
        WalReader::new(
            Arc::clone(&self.disk),
            self.options.on_corruption,
            &state.segments,
            from..state.end,
        )
    }

    /// Reads one record once more, and gives what `use_body` makes of its body. It must
    /// not be superseded.
    ///
    /// # Errors
    /// Those of `use_body` and of the disk; and of kind
    /// [`Corrupt`](crate::ErrorKind::Corrupt), with file and place, if the record is not
    /// there any more.
    pub(crate) fn read_again<R>(
        &self,
        place: &RecordPlace,
        use_body: impl FnOnce(&[u8]) -> Result<R>,
    ) -> Result<R> {
        place.read(&*self.disk, use_body)
    }

    /// The number from which on there are records: those below were removed.
    #[must_use]
    pub fn first(&self) -> u64 {
        let state = self.state();
        let oldest = state.segments.front();
        oldest.map_or(state.end, |segment| segment.first)
    }

    /// The number that the next record gets: all below are in the log.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.state().end
    }

    /// Removes the segments all of whose records are below `superseded`, but not the
    /// newest segment. The caller knows that it will never have to read these records
    /// again, after whatever crash.
    ///
    /// # Errors
    /// Those of the disk. What was not removed is removed the next time.
    pub fn remove_below(&self, superseded: u64) -> Result<()> {
        let _cleaning = lock(&self.cleaning);
        loop {
            let state = self.state();
            let superseded = state.superseded_segment(superseded);
            // Somebody else may have the directory by now.
            let Some(path) = superseded.filter(|_| !state.closed) else {
                return Ok(());
            };
            drop(state);
            kill_point!("wal.remove.before");
            remove(&*self.disk, &path)?;
            kill_point!("wal.remove.done");
            // A segment that comes back in a crash is removed again.
            self.state().segments.pop_front();
            self.changed.notify_all();
        }
    }

    /// Takes no more records: whoever waits for room gets an error. What is being
    /// written is written to its end; then the directory is free for another log.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.unlock_if_done();
        drop(state);
        self.changed.notify_all();
    }

    /// What has been going on.
    #[must_use]
    pub fn stats(&self) -> WalStats {
        let state = self.state();
        WalStats {
            bytes: state.bytes(),
            segments: state.segments.len(),
            ..state.stats.clone()
        }
    }

    /// Whether nobody writes.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.state().writer.is_some()
    }

    /// The records of those who wait until somebody else has written.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.bodies.len()
    }

    fn place(&self) -> Place<'_> {
        Place {
            disk: &*self.disk,
            dir: &self.dir,
            options: &self.options,
            clock: &*self.clock,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole whenever the lock is given up.
        lock(&self.state)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        unpoisoned(self.changed.wait(state))
    }

    /// Waits until the log has room for so many bytes.
    fn wait_for_room(&self, bytes: u64) -> Result<MutexGuard<'_, State>> {
        let max = self.options.max_bytes.unwrap_or(u64::MAX);
        let mut state = self.state();
        let mut waited = false;
        loop {
            if state.closed {
                return Err(Error::illegal_state("the write-ahead log is closed"));
            }
            let used = state.bytes() + state.waiting.bytes;
            // No clean-up could make room if there is one segment only.
            if used.saturating_add(bytes) <= max || state.segments.len() <= 1 {
                return Ok(state);
            }
            if !waited {
                waited = true;
                state.stats.waits += 1;
                tracing::warn!(
                    dir = %self.dir.display(),
                    bytes = used,
                    "the write-ahead log is full: receivers wait for the next checkpoint"
                );
            }
            state = self.wait(state);
        }
    }

    /// Writes the group that waits, without holding the lock.
    fn write_waiting<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        mut writer: Writer,
    ) -> MutexGuard<'a, State> {
        let mut turns = match self.options.sync {
            SyncMode::Always => TURNS,
            // There is no sync to share.
            SyncMode::Os => 0,
        };
        while state.waiting.writers < state.writers && turns > 0 {
            drop(state);
            yield_now();
            state = self.state();
            turns -= 1;
        }
        let group = std::mem::take(&mut state.waiting);
        let first = state.end;
        drop(state);
        // A disk may be the program's own.
        let written = catch_unwind(AssertUnwindSafe(|| {
            writer.write(&self.place(), first, &group.bodies, group.bytes)
        }))
        .unwrap_or_else(|payload| {
            writer.give_up();
            let what = "the disk of the write-ahead log";
            Err(Error::from_panic(payload, what))
        });
        let count = group.bodies.len() as u64;
        drop(group.bodies);
        let mut state = self.state();
        state.stats.failures += writer.take_failures();
        if let (Ok(()), Some(segment)) = (&written, writer.segment()) {
            match state.segments.back_mut() {
                Some(last) if last.number == segment.number => last.bytes = segment.bytes,
                _ => state.segments.push_back(segment.clone()),
            }
            state.end += count;
            state.stats.records += count;
            state.stats.groups += 1;
        }
        // Otherwise those who come one behind the other would stay two groups.
        state.writers = group.writers + state.waiting.writers;
        state.writer = Some(writer);
        state.unlock_if_done();
        // Nobody else sets it.
        let _ = group.outcome.set(written.map(|()| first));
        self.changed.notify_all();
        state
    }
}

impl State {
    fn unlock_if_done(&mut self) {
        if self.closed && self.writer.is_some() && self.waiting.writers == 0 {
            self.lock = None;
        }
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// The oldest segment, if it holds nothing that is needed.
    fn superseded_segment(&self, superseded: u64) -> Option<PathBuf> {
        let next = self.segments.get(1)?;
        (next.first <= superseded).then(|| self.segments[0].path.clone())
    }
}

impl fmt::Debug for WriteAheadLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteAheadLog")
            .field("dir", &self.dir)
            .field("end", &self.end())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
