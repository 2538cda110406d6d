//! Writes what was cut to the write-ahead log, before its jobs are queued.
//!
//! A thread of its own, between the generator and the queue: neither cuts nor jobs wait
//! for the disk. It takes what the generator has for it in order, so batches stay in
//! order. A batch that cannot be logged is tried again and again; meanwhile the ones
//! behind it wait, and with them the receivers, when their rings are full.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::JobScheduler;
use crate::cpu::thread::{self, Thread};
use crate::disk::Content;
use crate::dstream::Graph;
use crate::dstream::input::logged::Part;
use crate::error::{Error, Result};
use crate::listener::InputInfo;
use crate::receiver::log::{Place, ReceiverLog};
use crate::sync::engine::{Condvar, Mutex, MutexGuard, lock};
use crate::sync::unpoisoned;
use crate::time::{BatchTime, Clock, Deadline, Duration, WaitResult, Wake};

/// Bytes of blocks that are written at a time.
const GROUP: usize = 16 << 20;

/// The pause before a batch is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// What is to be done, in order.
#[derive(Debug)]
pub(super) enum Task {
    /// Log what was cut at a block interval.
    Blocks,
    /// Log what is there, as it is much: so it is written while it is in the caches, and
    /// its batch waits for the rest only.
    Filled,
    /// Log this batch, and queue its jobs.
    Batch(BatchTime, Vec<InputInfo>),
    /// Note that nothing was cut at this time, as so many batches wait.
    Skip(BatchTime, usize),
}

/// The way to the thread.
#[derive(Debug, Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    changed: Condvar,
    /// Ends the pause of a thread that is to end.
    wake: Wake,
}

#[derive(Debug, Default)]
struct State {
    tasks: VecDeque<Task>,
    /// No further task will come.
    is_closed: bool,
}

impl Desk {
    pub(super) fn put(&self, task: Task) {
        let mut state = self.lock();
        // One look finds all that was cut before.
        let is_there = matches!(
            (state.tasks.back(), &task),
            (Some(Task::Blocks), Task::Blocks | Task::Filled) | (Some(Task::Filled), Task::Filled)
        );
        if !is_there {
            state.tasks.push_back(task);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Batches that wait here.
    pub(super) fn backlog(&self) -> usize {
        let state = self.lock();
        let batches = state.tasks.iter();
        batches
            .filter(|task| !matches!(task, Task::Blocks | Task::Filled))
            .count()
    }

    /// Lets the thread end when all is done.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn take(&self) -> Option<Task> {
        let mut state = unpoisoned(self.changed.wait_while(self.lock(), |state| {
            state.tasks.is_empty() && !state.is_closed
        }));
        state.tasks.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Handle to the thread.
#[derive(Debug)]
pub(crate) struct Logger {
    log: Arc<ReceiverLog>,
    desk: Arc<Desk>,
    thread: Thread,
}

impl Logger {
    pub(crate) fn start(
        log: Arc<ReceiverLog>,
        graph: Arc<Graph>,
        jobs: Arc<JobScheduler>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let desk = Arc::<Desk>::default();
        for input in graph.inputs().iter().filter_map(|input| input.logged()) {
            let desk = Arc::clone(&desk);
            input.when_filled(Box::new(move || desk.put(Task::Filled)));
        }
        let work = Work {
            log: Arc::clone(&log),
            graph,
            jobs,
            clock,
            desk: Arc::clone(&desk),
        };
        let thread = thread::spawn("log", &[], move || {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| work.run())) {
                let what = "the thread that writes the log";
                work.jobs.report(Error::from_panic(payload, what));
            }
            work.jobs.seal();
        });
        let thread = thread.map_err(|cause| {
            Error::io("the thread that writes the log cannot be started", cause)
        })?;
        Ok(Self { log, desk, thread })
    }

    pub(super) fn desk(&self) -> Arc<Desk> {
        Arc::clone(&self.desk)
    }

    pub(crate) fn log(&self) -> Arc<ReceiverLog> {
        Arc::clone(&self.log)
    }

    /// Tells the thread to end: what waits is logged, but nothing is tried again.
    pub(crate) fn end(&self) {
        self.desk.close();
        self.desk.wake.wake();
    }

    /// Waits for the thread's end until the deadline; says whether it came.
    #[must_use]
    pub(crate) fn join(self, deadline: Deadline) -> bool {
        self.thread.join(deadline.rest())
    }
}

/// What the thread works with.
struct Work {
    log: Arc<ReceiverLog>,
    graph: Arc<Graph>,
    jobs: Arc<JobScheduler>,
    clock: Arc<dyn Clock>,
    desk: Arc<Desk>,
}

/// The parts of a batch, by the name of their stream.
type Parts = Vec<(Arc<str>, Vec<Arc<dyn Part>>)>;

/// Blocks on their way to the log.
type Bodies = Vec<(Arc<dyn Part>, Content)>;

impl Work {
    fn run(&self) {
        let mut is_failing = false;
        while let Some(task) = self.desk.take() {
            match task {
                // It would be tried, and told, for every other megabyte.
                Task::Filled if is_failing => {}
                Task::Blocks | Task::Filled => is_failing = !self.log_blocks(),
                Task::Batch(time, infos) => {
                    self.log_batch(time);
                    is_failing = false;
                    self.jobs.submit(time, infos);
                    for input in &*self.graph.inputs() {
                        input.queued();
                    }
                }
                Task::Skip(time, queued) => self.jobs.skip(time, queued),
            }
        }
    }

    /// Says whether it could.
    fn log_blocks(&self) -> bool {
        let inputs = self.graph.inputs();
        let inputs = inputs.iter().filter_map(|input| input.logged());
        let logged = self
            // Its batch tells of a block that cannot be written.
            .encode(inputs.flat_map(|input| input.waiting_parts()), |_| ())
            .and_then(|bodies| self.append(bodies));
        if let Err(error) = logged {
            // Their batch will have them.
            tracing::warn!(%error, "blocks could not be written to the log");
            return false;
        }
        true
    }

    /// Returns when the batch is in the log, or it is no use to try again.
    fn log_batch(&self, time: BatchTime) {
        let inputs = self.graph.inputs();
        let inputs = inputs.iter().filter_map(|input| input.logged());
        let parts = inputs.map(|input| (input.stream(), input.take_parts(time)));
        let parts: Parts = parts.filter(|(_, parts)| !parts.is_empty()).collect();
        if parts.is_empty() {
            return;
        }
        while let Err(error) = self.write(time, &parts) {
            let error = error.in_batch(time.as_millis());
            tracing::error!(%error, "a batch could not be written to the log");
            self.jobs.report(error);
            let pause = PAUSE.as_nanos() as i64;
            let until = self.clock.now_nanos().saturating_add(pause);
            if self.clock.wait_until(until, &self.desk.wake) == WaitResult::Woken {
                return;
            }
        }
    }

    fn write(&self, time: BatchTime, parts: &Parts) -> Result<()> {
        let parts_of_all = parts.iter().flat_map(|(_, parts)| parts).cloned();
        let bodies = self.encode(parts_of_all, |error| {
            // It would fail again. It is processed, but lost in a crash.
            tracing::error!(%error, "a block cannot be written to the log");
            self.jobs.report(error);
        })?;
        // The bodies are in the order of their parts.
        let mut new = bodies.iter().enumerate().peekable();
        let mut place = |part: &Arc<dyn Part>| match part.sequence() {
            Some(sequence) => Some(Place::Known(sequence)),
            None => {
                let found = new.next_if(|(_, (new, _))| Arc::ptr_eq(new, part));
                found.map(|(index, _)| Place::New(index))
            }
        };
        let places = parts.iter().map(|(stream, parts)| {
            let places = parts.iter().filter_map(&mut place).collect();
            (Arc::clone(stream), places)
        });
        let places: Vec<_> = places.collect();
        let (new, bodies): (Vec<_>, Vec<_>) = bodies.into_iter().unzip();
        let sequences = self.log.append_batch(time, &places, bodies)?;
        for (part, sequence) in new.iter().zip(sequences) {
            part.set_sequence(sequence);
        }
        Ok(())
    }

    /// The bodies of those parts that are not in the log. If they become many, the first
    /// ones are written. Those that have none are left out, and told to `refused`.
    fn encode(
        &self,
        parts: impl Iterator<Item = Arc<dyn Part>>,
        refused: impl Fn(Error),
    ) -> Result<Bodies> {
        let mut bodies = Bodies::new();
        let mut bytes = 0;
        for part in parts.filter(|part| part.sequence().is_none()) {
            // Records are the program's own.
            let body = Error::caught("writing a record", || part.body());
            match body {
                Ok(body) => {
                    bytes += body.len();
                    bodies.push((part, body));
                }
                Err(error) => refused(error),
            }
            if bytes >= GROUP {
                self.append(std::mem::take(&mut bodies))?;
                bytes = 0;
            }
        }
        Ok(bodies)
    }

    fn append(&self, bodies: Bodies) -> Result<()> {
        let (parts, bodies): (Vec<_>, Vec<_>) = bodies.into_iter().unzip();
        if bodies.is_empty() {
            return Ok(());
        }
        let sequences = self.log.append_blocks(bodies)?;
        for (part, sequence) in parts.iter().zip(sequences) {
            part.set_sequence(sequence);
        }
        Ok(())
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work")
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}
