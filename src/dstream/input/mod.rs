//! Inputs: where batches begin.
//!
//! At every boundary the generator cuts every input, whether an output will ask
//! for that batch or not, and the input keeps what was cut under the batch time.
//! Cutting is cheap and runs no user code. An input that has to ask for its data,
//! such as a directory, only notes the time then; see [`direct`].

pub(crate) mod constant;
mod direct;
pub(crate) mod file;
pub(crate) mod logged;
pub(crate) mod queue;
mod received;
pub(crate) mod receiver;
mod restored;
pub(crate) mod source;

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::DStream;
use super::durable::Durable;
use super::graph::Graph;
use super::node::{Control, Meta, Stream};
use crate::block::SpillStore;
use crate::error::{Error, Result};
use crate::id::StreamId;
use crate::listener::{InputInfo, Received};
use crate::rdd::Rdd;
use crate::rdd::pipe::Data;
use crate::receiver::log::{Logging, ReceiverLog, RestoredStream, Resume};
use crate::sync::engine::{Mutex, MutexGuard, lock};
use crate::time::BatchTime;
use logged::{LoggedInput, Part};

/// What the scheduler does with an input.
pub(crate) trait Input: Control {
    /// Its name, such as `Socket stream [0]`.
    fn name(&self) -> &str;

    /// Called once, before the first batch.
    fn start(&self) -> Result<()> {
        Ok(())
    }

    /// Called once, behind the last batch. `all_ended` tells that no job of the
    /// context runs any more.
    fn stop(&self, _all_ended: bool) {}

    /// Ends a block at a block interval inside a batch.
    fn end_block(&self);

    /// Gives everything that is there now to the batch `time`.
    fn cut(&self, time: BatchTime) -> InputInfo;

    /// Told when the batch that was cut last is queued.
    fn queued(&self) {}

    /// Takes back what it gave to the oldest batch that has records of it, behind
    /// `after` and up to `last`. Nobody may have asked for that batch.
    fn take_oldest(&self, _after: Option<BatchTime>, _last: BatchTime) -> Option<Withdrawn> {
        None
    }

    /// If its ring has little room, writes the newest of the batches behind `after` and
    /// up to `last` to a file that are in memory.
    fn spill(
        &self,
        _store: &Arc<SpillStore>,
        _after: Option<BatchTime>,
        _last: BatchTime,
    ) -> Option<SpilledBatch> {
        None
    }

    /// Whether it has a ring, and it is not known how its records are written.
    fn lacks_codec(&self) -> bool {
        false
    }

    /// Whether anything waits to be cut.
    fn is_waiting(&self) -> bool;

    /// Why what it gave to a batch cannot be had by another process, if that is no
    /// fault of the outside world.
    fn unrecoverable(&self) -> Option<&'static str> {
        None
    }

    /// Whether its batches since a checkpoint come again after a restart.
    fn comes_again(&self) -> bool {
        true
    }

    /// Itself, if what it gives to batches goes to the write-ahead log.
    fn logged(&self) -> Option<&dyn LoggedInput> {
        None
    }

    /// Adds what is known of the batch `time` after it was processed to what the cut
    /// told.
    fn report(&self, time: BatchTime, info: &mut InputInfo);
}

/// What was taken back from a batch.
pub(crate) struct Withdrawn {
    pub(crate) stream_id: StreamId,
    pub(crate) time: BatchTime,
    pub(crate) records: u64,
    /// The records themselves.
    pub(crate) data: Box<dyn Any + Send>,
}

/// A batch that was to be written to a file.
pub(crate) struct SpilledBatch {
    pub(crate) time: BatchTime,
    /// Bytes of memory that were given back.
    pub(crate) bytes: Result<u64>,
}

/// Where an input's data comes from.
pub(crate) trait Ingest<T>: Send + Sync + 'static {
    /// See [`Input::unrecoverable`].
    const UNRECOVERABLE: Option<&'static str> = None;

    /// Ends a block at a block interval inside a batch.
    fn end_block(&self) {}

    /// Takes everything that is there now, for the batch `time`.
    fn cut(&self, time: BatchTime) -> Cut<T>
    where
        T: Data;

    /// Told when the batch that was cut last is queued.
    fn queued(&self) {}

    /// Whether there is little room for more.
    fn is_crowded(&self) -> bool {
        false
    }

    /// Whether anything waits to be cut.
    fn is_waiting(&self) -> bool;

    /// How its records get into the log, if they are ones that may.
    fn logging(&self) -> Option<&Logging<T>> {
        None
    }

    /// Takes what the log has; gives the batches before the checkpoint.
    fn restore(
        &self,
        _log: &Arc<ReceiverLog>,
        _stream: RestoredStream,
        _resume: Resume,
    ) -> Result<BTreeMap<BatchTime, Rdd<T>>>
    where
        T: Data,
    {
        Ok(BTreeMap::new())
    }

    /// See [`LoggedInput::next_restored`].
    fn next_restored(&self) -> Option<BatchTime> {
        None
    }

    /// See [`LoggedInput::needed_behind`].
    fn needed_behind(&self, _time: BatchTime) -> Option<u64> {
        None
    }

    /// See [`LoggedInput::when_filled`].
    fn when_filled(&self, _tell: Box<dyn Fn() + Send + Sync>) {}

    /// See [`LoggedInput::waiting_parts`].
    fn waiting_parts(&self) -> Vec<Arc<dyn Part>> {
        Vec::new()
    }
}

/// What an input gives to a batch.
pub(crate) struct Cut<T: Data> {
    rdd: Rdd<T>,
    records: u64,
    received: Received,
    /// What the log has to have of it.
    parts: Vec<Arc<dyn Part>>,
    /// How many records of each block that comes again were found to be lost, when the
    /// batch has been processed.
    lost: Vec<Arc<AtomicU64>>,
}

impl<T: Data> Cut<T> {
    /// Records that nothing more is known of.
    pub(crate) fn plain(rdd: Rdd<T>) -> Self {
        Self {
            records: rdd.known_count(),
            rdd,
            received: Received::default(),
            parts: Vec::new(),
            lost: Vec::new(),
        }
    }
}

/// The node of an input: what was cut for each batch that is still needed.
pub(crate) struct InputNode<T: Data, I> {
    graph: Arc<Graph>,
    meta: Meta,
    stream_id: StreamId,
    name: String,
    ingest: I,
    batches: Mutex<Batches<T>>,
}

struct Batches<T: Data> {
    cut: BTreeMap<BatchTime, Held<T>>,
    /// What the log has to have of those that were cut.
    to_log: BTreeMap<BatchTime, Vec<Arc<dyn Part>>>,
    /// Of those that came again and are not done: what is lost.
    again: BTreeMap<BatchTime, Vec<Arc<AtomicU64>>>,
    before: Before<T>,
    /// Up to here all batches are done.
    done: BatchTime,
}

/// A batch that was cut.
struct Held<T: Data> {
    rdd: Rdd<T>,
    records: u64,
    /// Nothing of it is in memory, or could be put elsewhere.
    is_spilled: bool,
}

/// Batches from before the checkpoint.
struct Before<T: Data> {
    batches: BTreeMap<BatchTime, Rdd<T>>,
    /// When this one has ended all windows have read them.
    until: BatchTime,
}

impl<T: Data> Default for Before<T> {
    fn default() -> Self {
        Self {
            batches: BTreeMap::new(),
            until: BatchTime::from_millis(i64::MIN),
        }
    }
}

impl<T: Data, I: Ingest<T>> InputNode<T, I> {
    /// Declares an input; `kind` is the noun that its name begins with.
    pub(crate) fn declare(
        graph: &Arc<Graph>,
        kind: &'static str,
        site: &'static Location<'static>,
        ingest: impl FnOnce(StreamId, &str) -> I,
    ) -> Result<DStream<T>> {
        graph.check_open(site)?;
        let node = graph.add_input(|stream_id| {
            let name = format!("{kind} stream [{}]", stream_id.0);
            Arc::new(Self {
                graph: Arc::clone(graph),
                meta: Meta::new(graph, kind, site, graph.batch_interval(), Vec::new()),
                stream_id,
                ingest: ingest(stream_id, &name),
                name,
                batches: Mutex::new(Batches {
                    cut: BTreeMap::new(),
                    to_log: BTreeMap::new(),
                    again: BTreeMap::new(),
                    before: Before::default(),
                    done: BatchTime::from_millis(i64::MIN),
                }),
            })
        });
        Ok(DStream::from_node(Arc::clone(graph), node))
    }

    fn batches(&self) -> MutexGuard<'_, Batches<T>> {
        lock(&self.batches)
    }
}

impl<T: Data, I: Ingest<T>> Control for InputNode<T, I> {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn durable(&self) -> Option<&dyn Durable> {
        self.ingest.logging().map(|_| self as &dyn Durable)
    }

    fn clear(&self, done: BatchTime) {
        let mut batches = self.batches();
        let old = self.meta.take_old(&mut batches.cut, done);
        let mut over = BTreeMap::new();
        if done >= batches.before.until {
            over.append(&mut batches.before.batches);
        }
        batches.again.retain(|&time, _| time > done);
        let before = batches.done.min(done);
        batches.done = batches.done.max(done);
        let kept: Vec<_> = batches
            .cut
            .range(before..=done)
            .map(|(_, held)| held.rdd.clone())
            .collect();
        drop(batches);
        // What is done no longer counts as waiting in its ring, whoever holds it.
        let memory = self.graph.executor().memory();
        for rdd in kept {
            rdd.keep(memory);
        }
        for held in old.values() {
            held.rdd.keep_if_shared(memory);
        }
    }
}

impl<T: Data, I: Ingest<T>> Stream<T> for InputNode<T, I> {
    fn rdd(&self, time: BatchTime) -> Result<Option<Rdd<T>>> {
        if !self.meta.is_valid(&self.graph, time) {
            return Ok(None);
        }
        let batches = self.batches();
        let cut = batches.cut.get(&time).map(|held| &held.rdd);
        let cut = cut.or_else(|| batches.before.batches.get(&time)).cloned();
        drop(batches);
        // A time that was never cut, or is forgotten, has no records.
        Ok(Some(cut.unwrap_or_else(|| {
            Rdd::empty(Arc::clone(self.graph.executor()))
        })))
    }
}

impl<T: Data, I: Ingest<T>> Input for InputNode<T, I> {
    fn name(&self) -> &str {
        &self.name
    }

    fn end_block(&self) {
        self.ingest.end_block();
    }

    fn cut(&self, time: BatchTime) -> InputInfo {
        let cut = self.ingest.cut(time);
        let info = InputInfo::new(self.stream_id, self.name.clone(), cut.records);
        let info = info.with_received(cut.received);
        let mut batches = self.batches();
        let held = Held {
            rdd: cut.rdd,
            records: cut.records,
            is_spilled: false,
        };
        batches.cut.insert(time, held);
        if !cut.parts.is_empty() {
            batches.to_log.insert(time, cut.parts);
        }
        if !cut.lost.is_empty() {
            batches.again.insert(time, cut.lost);
        }
        info
    }

    fn queued(&self) {
        self.ingest.queued();
    }

    fn take_oldest(&self, after: Option<BatchTime>, last: BatchTime) -> Option<Withdrawn> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut batches = self.batches();
        let mut waiting = batches.cut.range((from, Bound::Included(last)));
        let (time, records) = waiting.find_map(|(&time, held)| match held.records {
            0 => None,
            records => Some((time, records)),
        })?;
        let Held { rdd, .. } = batches.cut.remove(&time)?;
        Some(Withdrawn {
            stream_id: self.stream_id,
            time,
            records,
            data: Box::new(rdd),
        })
    }

    fn spill(
        &self,
        store: &Arc<SpillStore>,
        after: Option<BatchTime>,
        last: BatchTime,
    ) -> Option<SpilledBatch> {
        if !self.ingest.is_crowded() {
            return None;
        }
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (time, rdd) = {
            let mut batches = self.batches();
            let mut waiting = batches.cut.range_mut((from, Bound::Included(last)));
            let (&time, held) = waiting.rfind(|(_, held)| !held.is_spilled && held.records > 0)?;
            held.is_spilled = true;
            (time, held.rdd.clone())
        };
        // A record's own code runs here.
        let bytes = Error::caught("spilling records", || rdd.spill(store));
        if bytes.is_err()
            && let Some(held) = self.batches().cut.get_mut(&time)
        {
            held.is_spilled = false;
        }
        Some(SpilledBatch { time, bytes })
    }

    fn lacks_codec(&self) -> bool {
        let logging = self.ingest.logging();
        logging.is_some_and(|logging| !logging.can_write())
    }

    fn is_waiting(&self) -> bool {
        self.ingest.is_waiting()
    }

    fn report(&self, time: BatchTime, info: &mut InputInfo) {
        let mut batches = self.batches();
        if let Some(held) = batches.cut.get(&time) {
            info.invalid_lines = held.rdd.invalid_lines();
        }
        if let Some(lost) = batches.again.remove(&time) {
            let lost = lost.iter().map(|lost| lost.load(Ordering::Relaxed)).sum();
            info.num_records = info.num_records.saturating_sub(lost);
            info.dropped_records += lost;
        }
    }

    fn unrecoverable(&self) -> Option<&'static str> {
        I::UNRECOVERABLE
    }

    fn comes_again(&self) -> bool {
        self.ingest.logging().is_none_or(Logging::is_wanted)
    }

    fn logged(&self) -> Option<&dyn LoggedInput> {
        let logging = self.ingest.logging()?;
        logging.is_wanted().then_some(self)
    }
}
