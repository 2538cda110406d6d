//! Inputs that are asked: nothing is pushed into them, a batch is made when the
//! first job asks for it.
//!
//! A cut only notes the batch time, so that the thread that cuts stays fast. The
//! batches of the noted times are made by the job that asks first, on its thread,
//! or when the node is cleared past a time that nobody asked for: every time that
//! was cut is made once, in order, asked for or not. So what belongs to a batch
//! without a job is used up with it, and does not turn up in a later one.
//!
//! Three locks: `pending` and `batches` are held for moments only, `source` while
//! batches are made. A cut takes only `pending`.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};

use super::Input;
use crate::dstream::DStream;
use crate::dstream::durable::{Durable, Keep, NewPiece, Notes, Piece, Repeated, Saved, Uid};
use crate::dstream::graph::Graph;
use crate::dstream::node::{Control, Meta, Stream};
use crate::error::{Error, Result};
use crate::id::{NodeId, StreamId};
use crate::listener::InputInfo;
use crate::rdd::Rdd;
use crate::rdd::pipe::Data;
use crate::sync::engine::{AtomicBool, Mutex, MutexGuard, lock};
use crate::time::BatchTime;

/// Where the batches of such an input come from.
pub(crate) trait Direct<T: Data>: Send + 'static {
    /// Whether later batches than the one asked for are made with it if they were
    /// cut already, as one look serves them all.
    const AHEAD: bool;

    /// Called once, before the first batch.
    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    /// Called once, behind the last batch.
    fn stop(&mut self) {}

    /// Makes the batches of `times`, which come in order: one for each.
    fn compute(&mut self, times: &[BatchTime]) -> Vec<Made<T>>;

    /// What has to be known to go on behind the batch `time`; nothing if there is
    /// nothing to know.
    fn save(&mut self, time: BatchTime) -> Result<Vec<u8>>;

    /// Goes on where [`save`](Self::save) was called. Before the start.
    fn restore(&mut self, saved: &[u8]) -> Result<()>;

    /// What it takes to make batches again that were just made, of those that have
    /// anything. Default: nothing.
    fn note(&mut self, _times: &[BatchTime]) -> Result<Vec<(BatchTime, Vec<u8>)>> {
        Ok(Vec::new())
    }

    /// Makes batches again as they were noted. Behind [`restore`](Self::restore). Default:
    /// none is made otherwise than before.
    fn repeat(&mut self, _repeated: Repeated) -> Result<()> {
        Ok(())
    }
}

/// A batch that was made.
pub(crate) struct Made<T: Data> {
    pub(crate) rdd: Result<Option<Rdd<T>>>,
    /// What to tell of it once it was processed.
    pub(crate) report: Option<Report>,
}

pub(crate) type Report = Box<dyn Fn() -> Told + Send + Sync>;

/// What an input tells of a batch.
pub(crate) struct Told {
    pub(crate) num_records: u64,
    pub(crate) description: String,
}

/// The node of such an input.
pub(crate) struct DirectNode<T: Data, S> {
    graph: Arc<Graph>,
    meta: Meta,
    stream_id: StreamId,
    name: String,
    /// Until the input is stopped. Held while batches are made.
    source: Mutex<Option<S>>,
    /// Times that were cut and whose batches were not made yet.
    pending: Mutex<VecDeque<BatchTime>>,
    batches: Mutex<BTreeMap<BatchTime, Made<T>>>,
    /// What the last checkpoint has of the source.
    saved: Mutex<Vec<u8>>,
    /// Where batches are noted, if anywhere, and as whose. Gone when the context was
    /// stopped, whose handles may live longer.
    notes: OnceLock<(Arc<str>, Weak<dyn Notes>)>,
    /// Changed by who holds the source.
    due: Mutex<Due>,
    /// Written by who stops the input; who holds the source then stops it.
    stopping: AtomicBool,
}

/// What has to be noted before the source is asked again.
enum Due {
    Nothing,
    /// These batches; the source is still to say what of them.
    Times(Vec<BatchTime>),
    Notes(Vec<(BatchTime, Vec<u8>)>),
}

impl<T: Data, S: Direct<T>> DirectNode<T, S> {
    /// Declares an input; `kind` is the noun that its name begins with.
    pub(crate) fn declare(
        graph: &Arc<Graph>,
        kind: &'static str,
        site: &'static Location<'static>,
        source: impl FnOnce(&str) -> S,
    ) -> Result<DStream<T>> {
        graph.check_open(site)?;
        let node = graph.add_input(|stream_id| {
            let name = format!("{kind} stream [{}]", stream_id.0);
            Arc::new(Self {
                graph: Arc::clone(graph),
                meta: Meta::new(graph, kind, site, graph.batch_interval(), Vec::new()),
                stream_id,
                source: Mutex::new(Some(source(&name))),
                name,
                pending: Mutex::default(),
                batches: Mutex::default(),
                saved: Mutex::default(),
                notes: OnceLock::new(),
                due: Mutex::new(Due::Nothing),
                stopping: AtomicBool::new(false),
            })
        });
        Ok(DStream::from_node(Arc::clone(graph), node))
    }

    fn pending(&self) -> MutexGuard<'_, VecDeque<BatchTime>> {
        lock(&self.pending)
    }

    fn batches(&self) -> MutexGuard<'_, BTreeMap<BatchTime, Made<T>>> {
        lock(&self.batches)
    }

    fn source(&self) -> MutexGuard<'_, Option<S>> {
        lock(&self.source)
    }

    /// Makes the batches up to `until` that were not made yet.
    fn advance(&self, until: BatchTime) {
        let mut source = self.source();
        let times = self.take_pending(until);
        let together = if S::AHEAD { times.len() } else { 1 };
        for times in times.chunks(together.max(1)) {
            let made = self.make_noted(source.as_mut(), times);
            self.batches().extend(times.iter().copied().zip(made));
        }
        drop(source);
        if self.stopping.load(Ordering::SeqCst) {
            self.let_go();
        }
    }

    fn take_pending(&self, until: BatchTime) -> Vec<BatchTime> {
        let mut pending = self.pending();
        let due = pending.partition_point(|&time| time <= until);
        let taken = if S::AHEAD && due > 0 {
            pending.len()
        } else {
            due
        };
        pending.drain(..taken).collect()
    }

    fn make(&self, source: Option<&mut S>, times: &[BatchTime]) -> Vec<Made<T>> {
        let Some(source) = source else {
            let late = || Error::illegal_state("the context was stopped");
            return times.iter().map(|&time| self.fail(time, late())).collect();
        };
        // A filter, or a source, of the program's own.
        let mut made =
            catch_unwind(AssertUnwindSafe(|| source.compute(times))).unwrap_or_else(|payload| {
                let error = Error::from_panic(payload, "the input");
                let failed = |_| Made {
                    rdd: Err(error.clone()),
                    report: None,
                };
                times.iter().map(failed).collect()
            });
        for (made, &time) in made.iter_mut().zip(times) {
            if let Err(error) = &made.rdd {
                *made = self.fail(time, error.clone());
            }
        }
        made
    }

    /// Makes batches, and notes them before anybody gets them. What cannot be noted fails, and
    /// is noted before the source is asked again: batches behind it would have what it had
    /// when they come again.
    fn make_noted(&self, source: Option<&mut S>, times: &[BatchTime]) -> Vec<Made<T>> {
        let Some(source) = source else {
            return self.make(None, times);
        };
        let noted = self.note(source).and_then(|()| {
            let made = self.make(Some(source), times);
            *self.due() = Due::Times(times.to_vec());
            self.note(source).map(|()| made)
        });
        noted.unwrap_or_else(|error| {
            let failed = times.iter().map(|&time| self.fail(time, error.clone()));
            failed.collect()
        })
    }

    /// Notes what is due.
    fn note(&self, source: &mut S) -> Result<()> {
        let Some((uid, notes)) = self.notes.get() else {
            return Ok(());
        };
        let mut due = self.due();
        if let Due::Times(times) = &*due {
            *due = Due::Notes(Error::caught("the input", || source.note(times))?);
        }
        if let Due::Notes(batches) = &*due {
            let stopped = || Error::illegal_state("the context was stopped");
            let notes = notes.upgrade().ok_or_else(stopped)?;
            notes.note(uid, batches)?;
            *due = Due::Nothing;
        }
        Ok(())
    }

    fn due(&self) -> MutexGuard<'_, Due> {
        lock(&self.due)
    }

    fn fail(&self, time: BatchTime, error: Error) -> Made<T> {
        let error = self.place(error).in_batch(time.as_millis());
        tracing::warn!(%error, "an input gave no batch");
        Made {
            rdd: Err(error),
            report: None,
        }
    }

    fn place(&self, error: Error) -> Error {
        error.with_stream(self.name.clone()).at(self.meta.site)
    }

    /// Stops the source, unless somebody is making a batch, who will do it then.
    fn let_go(&self) {
        if let Ok(mut source) = self.source.try_lock() {
            self.stop_source(&mut source);
        }
    }

    fn stop_source(&self, source: &mut Option<S>) {
        let Some(mut source) = source.take() else {
            return;
        };
        let stopped = catch_unwind(AssertUnwindSafe(move || {
            source.stop();
            drop(source);
        }));
        if let Err(payload) = stopped {
            let error = self.place(Error::from_panic(payload, "stopping the input"));
            tracing::error!(%error, "an input did not stop cleanly");
        }
    }
}

impl<T: Data, S: Direct<T>> Control for DirectNode<T, S> {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn clear(&self, done: BatchTime) {
        self.advance(done);
        let old = self.meta.take_old(&mut self.batches(), done);
        drop(old);
    }

    fn durable(&self) -> Option<&dyn Durable> {
        Some(self)
    }
}

impl<T: Data, S: Direct<T>> Durable for DirectNode<T, S> {
    fn node(&self) -> NodeId {
        self.meta.id
    }

    fn uid(&self) -> &Uid {
        &self.meta.uid
    }

    fn kind(&self) -> &'static str {
        self.meta.name
    }

    fn is_input(&self) -> bool {
        true
    }

    fn offer_codec(&self, _codec: &dyn Any) -> bool {
        false
    }

    fn can_be_saved(&self) -> bool {
        true
    }

    fn begin(&self) {}

    fn save(&self, time: BatchTime, all: bool) -> Result<Saved> {
        self.advance(time);
        let mut source = self.source();
        let bytes = match source.as_mut() {
            Some(source) => Error::caught("saving the input", || source.save(time))?,
            None => Vec::new(),
        };
        let mut saved = lock(&self.saved);
        if bytes == *saved && !all {
            return Ok(Saved {
                keep: Keep::All,
                pieces: Vec::new(),
            });
        }
        saved.clone_from(&bytes);
        let piece = (!bytes.is_empty()).then(|| NewPiece::new(time, bytes));
        Ok(Saved {
            keep: Keep::None,
            pieces: piece.into_iter().collect(),
        })
    }

    fn restore(&self, _time: BatchTime, pieces: Vec<Piece>) -> Result<()> {
        match (self.source().as_mut(), pieces.last()) {
            (Some(source), Some(piece)) => {
                Error::caught("resuming the input", || source.restore(&piece.bytes))
            }
            _ => Ok(()),
        }
    }

    fn begin_behind(&self, _time: BatchTime) {}

    fn repeat(&self, repeated: Repeated) -> Result<()> {
        match self.source().as_mut() {
            Some(source) => source.repeat(repeated),
            None => Ok(()),
        }
    }

    fn note_batches(&self, uid: &Arc<str>, notes: &Arc<dyn Notes>) {
        // Called once.
        let _ = self.notes.set((Arc::clone(uid), Arc::downgrade(notes)));
    }
}

impl<T: Data, S: Direct<T>> Stream<T> for DirectNode<T, S> {
    fn rdd(&self, time: BatchTime) -> Result<Option<Rdd<T>>> {
        if !self.meta.is_valid(&self.graph, time) {
            return Ok(None);
        }
        let made = |batches: &BTreeMap<_, Made<T>>| batches.get(&time).map(|made| made.rdd.clone());
        if let Some(rdd) = made(&self.batches()) {
            return rdd;
        }
        self.advance(time);
        // A time that was never cut, or is forgotten, has no records.
        made(&self.batches()).unwrap_or_else(|| {
            let executor = Arc::clone(self.graph.executor());
            Ok(Some(Rdd::ready(Vec::new().into(), executor)))
        })
    }
}

impl<T: Data, S: Direct<T>> Input for DirectNode<T, S> {
    fn name(&self) -> &str {
        &self.name
    }

    fn start(&self) -> Result<()> {
        let mut source = self.source();
        let Some(source) = source.as_mut() else {
            return Ok(());
        };
        Error::caught("starting the input", || source.start()).map_err(|error| self.place(error))
    }

    fn stop(&self, all_ended: bool) {
        // SeqCst: who does not find the source free leaves it to a thread that
        // looks at this after it let the source go.
        self.stopping.store(true, Ordering::SeqCst);
        if all_ended {
            let mut source = self.source();
            self.stop_source(&mut source);
        } else {
            self.let_go();
        }
    }

    fn end_block(&self) {}

    fn cut(&self, time: BatchTime) -> InputInfo {
        self.pending().push_back(time);
        InputInfo::new(self.stream_id, self.name.clone(), 0)
    }

    fn is_waiting(&self) -> bool {
        // What was not taken stays where it is; it is not lost by a stop.
        false
    }

    fn report(&self, time: BatchTime, info: &mut InputInfo) {
        let batches = self.batches();
        let Some(made) = batches.get(&time) else {
            return;
        };
        if let Some(report) = &made.report {
            let told = report();
            info.num_records = told.num_records;
            info.description = told.description;
        }
        if let Ok(Some(rdd)) = &made.rdd {
            info.invalid_lines = rdd.invalid_lines();
        }
    }
}
