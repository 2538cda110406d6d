//! The thread that writes checkpoints.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use super::batch_log::BatchLog;
use super::file::{self, Contents, FileBytes, Partitioning, Place, StreamPieces};
use super::store::Store;
use crate::disk::attempt;
use crate::dstream::durable::{Keep, Piece, Saved};
use crate::error::{Error, Result};
use crate::listener::{Bus, CheckpointInfo, Event};
use crate::shared::SavedAccumulator;
use crate::sync::engine::{Condvar, Mutex, MutexGuard, lock};
use crate::sync::unpoisoned;
use crate::time::{BatchTime, Clock, Duration};

/// Checkpoints that are kept, the newest ones.
pub(crate) const KEPT: usize = 10;

/// What a checkpoint is made of.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) time: BatchTime,
    pub(super) streams: Vec<StreamSnapshot>,
    pub(super) accumulators: BTreeMap<String, SavedAccumulator>,
}

#[derive(Debug)]
pub(super) struct StreamSnapshot {
    pub(super) uid: Arc<str>,
    pub(super) kind: &'static str,
    pub(super) is_input: bool,
    pub(super) keys: Option<u64>,
    pub(super) saved: Saved,
}

/// The way to the thread, which takes one checkpoint at a time.
#[derive(Default)]
pub(super) struct Desk {
    state: Mutex<DeskState>,
    changed: Condvar,
}

#[derive(Default)]
struct DeskState {
    next: Option<Snapshot>,
    is_writing: bool,
    is_closed: bool,
    /// The last one could not be written.
    failed: Option<Error>,
}

impl Desk {
    /// Whether there is nothing to write.
    pub(super) fn is_free(&self) -> bool {
        let state = self.lock();
        state.next.is_none() && !state.is_writing
    }

    /// Whether the last checkpoint could not be written.
    pub(super) fn has_failed(&self) -> bool {
        self.lock().failed.is_some()
    }

    pub(super) fn put(&self, snapshot: Snapshot) {
        self.lock().next = Some(snapshot);
        self.changed.notify_all();
    }

    /// Waits until all is written; the error of the last checkpoint, if it has one.
    pub(super) fn wait(&self) -> Result<()> {
        let state = unpoisoned(self.changed.wait_while(self.lock(), |state| {
            !state.is_closed && (state.next.is_some() || state.is_writing)
        }));
        state.failed.clone().map_or(Ok(()), Err)
    }

    /// Lets the thread end when all is written.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn take(&self) -> Option<Snapshot> {
        let mut state = unpoisoned(self.changed.wait_while(self.lock(), |state| {
            state.next.is_none() && !state.is_closed
        }));
        let next = state.next.take();
        state.is_writing = next.is_some();
        next
    }

    fn done(&self, result: Result<()>) {
        let mut state = self.lock();
        state.is_writing = false;
        state.failed = result.err();
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, DeskState> {
        lock(&self.state)
    }
}

/// A piece of a stream that is still needed.
#[derive(Debug)]
enum Held {
    Written(Place),
    /// Not yet.
    New(Piece),
}

impl Held {
    fn time(&self) -> BatchTime {
        match self {
            Self::Written(place) => place.time,
            Self::New(piece) => piece.time,
        }
    }

    /// Where it is: in the file of the checkpoint `time` if it is new.
    fn place(&self, time: BatchTime, file: &mut FileBytes) -> Result<Place> {
        match self {
            Self::Written(place) => Ok(*place),
            Self::New(piece) => {
                let (first, frames) = file.add(&piece.bytes)?;
                Ok(Place {
                    time: piece.time,
                    file: time,
                    first,
                    frames,
                })
            }
        }
    }
}

/// What is the same in all checkpoints of a context.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) zero: BatchTime,
    pub(super) interval: Duration,
    pub(super) settings: Vec<(String, String)>,
    pub(super) partitioning: Partitioning,
}

/// What the thread works with.
pub(super) struct Writer {
    store: Store,
    batches: Arc<BatchLog>,
    desk: Arc<Desk>,
    bus: Arc<Bus>,
    clock: Arc<dyn Clock>,
    fixed: Fixed,
    /// The pieces of each stream, in order.
    streams: BTreeMap<Arc<str>, Vec<Held>>,
    /// The newest checkpoints, each with the files that it needs.
    written: VecDeque<(BatchTime, BTreeSet<BatchTime>)>,
    /// The files of checkpoints behind this time go before another one is written.
    behind: Option<BatchTime>,
    on_kept: OnKept,
}

/// What a stream cannot save.
pub(super) fn in_stream(uid: &str, error: Error) -> Error {
    Error::new(error.kind(), format!("the stream {uid}")).with_source(error)
}

/// Told which checkpoint is the oldest one that is kept, when that changes.
pub(crate) type OnKept = Box<dyn Fn(BatchTime) + Send>;

impl Writer {
    /// `before` is the checkpoint that the streams were restored from.
    pub(super) fn new(
        (store, batches): (Store, Arc<BatchLog>),
        desk: Arc<Desk>,
        (bus, clock): (Arc<Bus>, Arc<dyn Clock>),
        fixed: Fixed,
        before: Option<&Contents>,
        on_kept: OnKept,
    ) -> Self {
        let streams = before.iter().flat_map(|contents| &contents.streams);
        let streams = streams.map(|stream| {
            let pieces = stream.pieces.iter().copied().map(Held::Written);
            (Arc::from(&*stream.uid), pieces.collect())
        });
        Self {
            store,
            batches,
            desk,
            bus,
            clock,
            fixed,
            streams: streams.collect(),
            written: VecDeque::new(),
            behind: None,
            on_kept,
        }
    }

    /// The files of checkpoints behind `time` could not be read, or are another program's.
    /// They go with the first one that is written, and not before: the program may not come
    /// that far, and then they may be what can be gone on from.
    pub(super) fn go_on_behind(&mut self, time: BatchTime) {
        self.behind = Some(time);
    }

    /// Writes checkpoints until the desk is closed and empty.
    pub(super) fn run(mut self) {
        let desk = Arc::clone(&self.desk);
        while let Some(snapshot) = desk.take() {
            let (start, time) = (self.clock.now_nanos(), snapshot.time);
            // Somebody may be waiting for the end of it.
            let result = Error::caught("writing a checkpoint", || self.write(snapshot));
            let took = self.clock.now_nanos().saturating_sub(start).max(0);
            let info =
                CheckpointInfo::new(time, Duration::from_nanos(took.unsigned_abs()), &result);
            if let Err(error) = &result {
                tracing::error!(%time, %error, "a checkpoint could not be written");
            }
            // First, so that who is told finds the desk free.
            desk.done(result.map(|_| ()));
            self.bus.post(|| Event::Checkpoint(info));
        }
        self.batches.close();
    }

    /// Gives how many bytes were written.
    pub(super) fn write(&mut self, snapshot: Snapshot) -> Result<u64> {
        let Snapshot {
            time,
            streams,
            accumulators,
        } = snapshot;
        let mut file = file::begin();
        let mut contents = Contents {
            zero: self.fixed.zero,
            time,
            interval_ms: self.fixed.interval.as_millis() as u64,
            engine: env!("CARGO_PKG_VERSION").to_owned(),
            settings: self.fixed.settings.clone(),
            partitioning: self.fixed.partitioning,
            first_record: self.batches.needed_behind(time),
            streams: Vec::with_capacity(streams.len()),
            accumulators,
        };
        let mut failed = None;
        for stream in streams {
            let held = self.streams.entry(Arc::clone(&stream.uid)).or_default();
            match stream.saved.keep {
                Keep::All => {}
                Keep::From(oldest) => held.retain(|piece| piece.time() >= oldest),
                Keep::None => held.clear(),
            }
            for piece in stream.saved.pieces {
                match piece.into_piece() {
                    Ok(piece) => held.push(Held::New(piece)),
                    Err(error) => {
                        failed.get_or_insert(in_stream(&stream.uid, error));
                    }
                }
            }
            contents.streams.push(StreamPieces {
                uid: stream.uid.to_string(),
                kind: stream.kind.to_owned(),
                is_input: stream.is_input,
                keys: stream.keys,
                pieces: Vec::new(),
            });
        }
        // Behind the loop: what the other streams told is in the next checkpoint, in which
        // this one tells all it has.
        if let Some(error) = failed {
            return Err(error);
        }
        for stream in &mut contents.streams {
            for held in self.streams.get(&*stream.uid).into_iter().flatten() {
                stream.pieces.push(held.place(time, &mut file)?);
            }
        }
        let bytes = file.end(&contents)?;
        attempt(|| self.store(time, &bytes))?;
        self.note_written(time, &contents);
        Ok(bytes.len() as u64)
    }

    fn store(&mut self, time: BatchTime, bytes: &[u8]) -> Result<()> {
        if let Some(behind) = self.behind {
            self.store.remove_behind(behind)?;
            self.behind = None;
        }
        let written = self.store.write(time, bytes);
        written.map_err(|cause| {
            Error::io(format!("the checkpoint of {time} cannot be written"), cause)
        })
    }

    fn note_written(&mut self, time: BatchTime, contents: &Contents) {
        let mut files = contents.needs();
        files.insert(time);
        for stream in &contents.streams {
            let pieces = stream.pieces.iter().copied();
            self.streams
                .insert(Arc::from(&*stream.uid), pieces.map(Held::Written).collect());
        }
        self.written.push_back((time, files));
        if self.written.len() < KEPT {
            return;
        }
        while self.written.len() > KEPT {
            self.written.pop_front();
        }
        let needed: BTreeSet<_> = self.written.iter().flat_map(|(_, files)| files).collect();
        if let Err(error) = self.store.clean(|file| !needed.contains(&file)) {
            tracing::warn!(%error, "old checkpoints cannot be removed");
        }
        if let Some((oldest, _)) = self.written.front() {
            if let Err(error) = self.batches.forget(*oldest) {
                tracing::warn!(%error, "the log of batches cannot be cleaned up");
            }
            (self.on_kept)(*oldest);
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            time: BatchTime::from_millis(1000),
            streams: Vec::new(),
            accumulators: BTreeMap::new(),
        }
    }

    #[test]
    fn who_waits_at_the_desk_waits_for_what_is_being_written() {
        let desk = Desk::default();
        desk.put(snapshot());
        assert!(desk.take().is_some());
        thread::scope(|scope| {
            scope.spawn(|| desk.done(Err(Error::illegal_state("not written"))));
            assert_eq!(
                desk.wait().unwrap_err().to_string(),
                "illegal state: not written"
            );
        });
    }

    /// What is put there late is not written any more, and nobody waits for it.
    #[test]
    fn nobody_waits_at_a_desk_that_is_closed() {
        let desk = Desk::default();
        desk.close();
        assert!(desk.take().is_none());
        desk.put(snapshot());
        assert!(desk.wait().is_ok());
    }
}
