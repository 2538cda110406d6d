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

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use super::Input;
use crate::dstream::DStream;
use crate::dstream::durable::{Durable, Keep, Notes, Piece, Repeated, Saved, Uid};
use crate::dstream::graph::Graph;
use crate::dstream::node::{Control, Meta, Stream};
use crate::error::{Error, Result};
use crate::id::{NodeId, StreamId};
use crate::listener::InputInfo;
use crate::rdd::Rdd;
use crate::rdd::pipe::Data;
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
    /// Written by who stops the input; who holds the source then stops it.
    stopping: AtomicBool,
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
                stopping: AtomicBool::new(false),
            })
        });
        Ok(DStream::from_node(Arc::clone(graph), node))
    }

    fn pending(&self) -> MutexGuard<'_, VecDeque<BatchTime>> {
        self.pending
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }

    fn batches(&self) -> MutexGuard<'_, BTreeMap<BatchTime, Made<T>>> {
        self.batches
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }

    fn source(&self) -> MutexGuard<'_, Option<S>> {
        self.source
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }

    /// Makes the batches up to `until` that were not made yet.
    fn advance(&self, until: BatchTime) {
        let mut source = self.source();
        let times = self.take_pending(until);
        let together = if S::AHEAD { times.len() } else { 1 };
        for times in times.chunks(together.max(1)) {
            let mut made = self.make(source.as_mut(), times);
            self.note(source.as_mut(), times, &mut made);
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

    /// Notes batches before anybody gets them.
    fn note(&self, source: Option<&mut S>, times: &[BatchTime], made: &mut [Made<T>]) {
        let (Some(source), Some((uid, notes))) = (source, self.notes.get()) else {
            return;
        };
        // A source of the program's own.
        let noted = catch_unwind(AssertUnwindSafe(|| source.note(times)))
            .unwrap_or_else(|payload| Err(Error::from_panic(payload, "the input")))
            .and_then(|batches| match notes.upgrade() {
                Some(notes) => notes.note(uid, batches),
                None => Err(Error::illegal_state("the context was stopped")),
            });
        if let Err(error) = noted {
            for (made, &time) in made.iter_mut().zip(times) {
                *made = self.fail(time, error.clone());
            }
        }
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
            Some(source) => source.save(time)?,
            None => Vec::new(),
        };
        let mut saved = self
            .saved
            .lock()
            .unwrap_or_else(|poison| poison.into_inner());
        if bytes == *saved && !all {
            return Ok(Saved {
                keep: Keep::All,
                pieces: Vec::new(),
            });
        }
        saved.clone_from(&bytes);
        let piece = (!bytes.is_empty()).then_some(Piece { time, bytes });
        Ok(Saved {
            keep: Keep::None,
            pieces: piece.into_iter().collect(),
        })
    }

    fn restore(&self, _time: BatchTime, pieces: Vec<Piece>) -> Result<()> {
        match (self.source().as_mut(), pieces.last()) {
            (Some(source), Some(piece)) => source.restore(&piece.bytes),
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
        catch_unwind(AssertUnwindSafe(|| source.start()))
            .unwrap_or_else(|payload| Err(Error::from_panic(payload, "starting the input")))
            .map_err(|error| self.place(error))
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::executor::Executor;
    use crate::state::StateBound;

    const INTERVAL: Duration = Duration::from_millis(10);

    fn at(millis: i64) -> BatchTime {
        BatchTime::from_millis(millis)
    }

    /// What a source was asked for.
    type Asked = Arc<Mutex<Vec<Vec<i64>>>>;

    /// Gives its time in each batch, and notes what it was asked for.
    struct Times<const AHEAD: bool> {
        asked: Asked,
        executor: Arc<Executor>,
    }

    impl<const AHEAD: bool> Direct<i64> for Times<AHEAD> {
        const AHEAD: bool = AHEAD;

        fn compute(&mut self, times: &[BatchTime]) -> Vec<Made<i64>> {
            let times: Vec<_> = times.iter().map(|time| time.as_millis()).collect();
            self.asked.lock().unwrap().push(times.clone());
            let made = |time| Made {
                rdd: Ok(Some(Rdd::parallelize([time], 1, &self.executor))),
                report: None,
            };
            times.into_iter().map(made).collect()
        }

        fn save(&mut self, time: BatchTime) -> Result<Vec<u8>> {
            Ok(time.as_millis().to_le_bytes().to_vec())
        }

        fn restore(&mut self, _saved: &[u8]) -> Result<()> {
            Ok(())
        }
    }

    type TimesNode<const AHEAD: bool> = Arc<DirectNode<i64, Times<AHEAD>>>;

    fn graph() -> Arc<Graph> {
        let executor = Executor::of(1);
        let graph = Graph::new("test", INTERVAL, Arc::new(executor), StateBound::default());
        graph.initialize(at(0), None);
        graph
    }

    fn node<T: Data, S: Direct<T>>(graph: &Arc<Graph>, source: S) -> Arc<DirectNode<T, S>> {
        Arc::new(DirectNode {
            graph: Arc::clone(graph),
            meta: Meta::new(graph, "Test", Location::caller(), INTERVAL, Vec::new()),
            stream_id: StreamId(0),
            name: "Test stream [0]".to_owned(),
            source: Mutex::new(Some(source)),
            pending: Mutex::default(),
            batches: Mutex::default(),
            saved: Mutex::default(),
            notes: OnceLock::new(),
            stopping: AtomicBool::new(false),
        })
    }

    fn times<const AHEAD: bool>() -> (TimesNode<AHEAD>, Asked) {
        let graph = graph();
        let asked = Asked::default();
        let source = Times {
            asked: Arc::clone(&asked),
            executor: Arc::clone(graph.executor()),
        };
        (node(&graph, source), asked)
    }

    fn take(asked: &Asked) -> Vec<Vec<i64>> {
        std::mem::take(&mut asked.lock().unwrap())
    }

    fn records<const AHEAD: bool>(node: &TimesNode<AHEAD>, time: i64) -> Vec<i64> {
        node.rdd(at(time)).unwrap().unwrap().collect().unwrap()
    }

    #[test]
    fn batches_up_to_the_one_that_is_asked_for_are_made_in_order() {
        let (node, asked) = times::<false>();
        for time in [10, 20, 30, 40] {
            node.cut(at(time));
        }
        assert_eq!(take(&asked), [[0; 0]; 0]);
        assert_eq!(records(&node, 30), [30]);
        assert_eq!(take(&asked), [[10], [20], [30]]);
        assert_eq!(records(&node, 10), [10]);
        assert_eq!(take(&asked), [[0; 0]; 0]);
        // Not cut, or no time of the stream.
        assert_eq!(records(&node, 50), [0; 0]);
        assert_eq!(take(&asked), [[40]]);
        assert!(node.rdd(at(15)).unwrap().is_none());
        assert!(node.rdd(at(0)).unwrap().is_none());
    }

    #[test]
    fn batches_that_wait_are_made_with_the_first_one_if_one_look_serves_all() {
        let (node, asked) = times::<true>();
        for time in [10, 20, 30] {
            node.cut(at(time));
        }
        assert_eq!(records(&node, 10), [10]);
        assert_eq!(take(&asked), [[10, 20, 30]]);
        node.cut(at(40));
        assert_eq!(records(&node, 20), [20]);
        assert_eq!(take(&asked), [[0; 0]; 0]);
        assert_eq!(records(&node, 40), [40]);
        assert_eq!(take(&asked), [[40]]);
    }

    #[test]
    fn what_nobody_asked_for_is_made_before_it_is_forgotten() {
        let (one, asked_one) = times::<false>();
        let (all, asked_all) = times::<true>();
        for time in [10, 20, 30] {
            one.cut(at(time));
            all.cut(at(time));
        }
        one.clear(at(20));
        all.clear(at(20));
        assert_eq!(take(&asked_one), [[10], [20]]);
        assert_eq!(take(&asked_all), [[10, 20, 30]]);
        assert_eq!(records(&one, 20), [0; 0], "forgotten");
        assert_eq!(records(&one, 30), [30]);
    }

    #[test]
    fn nothing_is_kept_of_batches_that_are_done() {
        let (node, asked) = times::<true>();
        for batch in 1..=100_000 {
            let time = at(batch * 10);
            node.cut(time);
            if batch % 3 == 0 {
                node.rdd(time).unwrap();
            }
            if batch % 2 == 0 {
                node.clear(time);
                assert_eq!((node.pending().len(), node.batches().len()), (0, 0));
                take(&asked);
            }
        }
        assert!(node.pending().capacity() < 100);
    }

    /// Waits in its first batch until it is let go, and tells that it was stopped.
    struct Slow {
        began: mpsc::Sender<()>,
        release: mpsc::Receiver<()>,
        stopped: mpsc::Sender<()>,
    }

    impl Direct<u8> for Slow {
        const AHEAD: bool = false;

        fn stop(&mut self) {
            self.stopped.send(()).unwrap();
        }

        fn compute(&mut self, times: &[BatchTime]) -> Vec<Made<u8>> {
            self.began.send(()).unwrap();
            self.release.recv().unwrap();
            let made = |_: &BatchTime| Made {
                rdd: Ok(None),
                report: None,
            };
            times.iter().map(made).collect()
        }

        fn save(&mut self, _time: BatchTime) -> Result<Vec<u8>> {
            Ok(Vec::new())
        }

        fn restore(&mut self, _saved: &[u8]) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_source_in_use_is_stopped_by_its_user_and_asked_no_more() {
        let (began, has_begun) = mpsc::channel();
        let (let_go, release) = mpsc::channel();
        let (stopped, has_stopped) = mpsc::channel();
        let slow = Slow {
            began,
            release,
            stopped,
        };
        let node = node(&graph(), slow);
        node.cut(at(10));
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| node.rdd(at(10)).unwrap().is_none());
            has_begun.recv().unwrap();
            // Neither a cut nor a stop waits for it.
            node.cut(at(20));
            node.stop(false);
            assert!(has_stopped.try_recv().is_err());
            let_go.send(()).unwrap();
            assert!(asking.join().unwrap());
            has_stopped.recv().unwrap();
        });
        let error = node.rdd(at(20)).unwrap_err().to_string();
        let expected = "illegal state: the context was stopped (stream Test stream [0], batch 20 \
                        ms, declared at ";
        assert!(error.starts_with(expected), "{error}");
        node.stop(true);
        assert!(has_stopped.try_recv().is_err(), "once");
    }
}
