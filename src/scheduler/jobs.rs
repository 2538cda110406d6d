//! The queue of batches and the threads that run their jobs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{RateControl, Scaling, Waiter};
use crate::dstream::Graph;
use crate::dstream::input::Input;
use crate::dstream::output::Output;
use crate::error::{Error, ErrorKind};
use crate::listener::{
    BatchInfo, Bus, Event, InputInfo, OutputOperationInfo, SkippedBatchInfo, StuckBatchInfo,
};
use crate::sync::engine::{AtomicUsize, Condvar, Mutex, MutexGuard, lock};
use crate::sync::unpoisoned;
use crate::time::{BatchTime, Clock, Deadline, Duration};

/// Runs the jobs of batches in order.
pub(crate) struct JobScheduler {
    graph: Arc<Graph>,
    clock: Arc<dyn Clock>,
    bus: Arc<Bus>,
    waiter: Arc<Waiter>,
    /// How long a batch may run before that is told; zero is for ever.
    stuck_after: Duration,
    learners: Learners,
    state: Mutex<State>,
    /// Told when a job is queued or the queue is closed.
    queued: Condvar,
    /// Told when a batch was settled.
    settled: Condvar,
}

/// Who learns of the batches that have ended.
pub(crate) struct Learners {
    pub(crate) rates: RateControl,
    /// None if the number of workers is fixed.
    pub(crate) scaling: Option<Scaling>,
    pub(crate) on_done: OnDone,
}

/// Called for each batch that has ended, before its data is let go, with whether it
/// failed.
pub(crate) type OnDone = Box<dyn Fn(BatchTime, bool) + Send + Sync>;

#[derive(Default)]
struct State {
    jobs: VecDeque<Arc<Job>>,
    /// The jobs that the threads are at, until all of them is let go.
    running: Vec<Arc<Job>>,
    /// Batches with jobs to run or running.
    pending: BTreeSet<BatchTime>,
    /// Batches that are pending or whose data is being let go.
    unsettled: BTreeSet<BatchTime>,
    /// The latest batch of which a job was begun.
    begun: Option<BatchTime>,
    /// The latest time that was cut, or passed over.
    last_time: Option<BatchTime>,
    /// No further batch will be cut.
    sealed: bool,
    closed: bool,
    /// Batches that were dropped when the queue was closed, with their records.
    dropped: BTreeMap<BatchTime, u64>,
}

/// One output operation of one batch.
struct Job {
    batch: Arc<Batch>,
    output: Arc<Output>,
}

struct Batch {
    time: BatchTime,
    info: Mutex<BatchInfo>,
    /// Jobs that have not ended; the one that takes it to zero completes the
    /// batch and must see what the others wrote.
    left: AtomicUsize,
    /// Whether it was told that this batch runs for long. Only the thread that
    /// watches uses it.
    told_stuck: AtomicBool,
}

impl JobScheduler {
    pub(crate) fn new(
        graph: Arc<Graph>,
        clock: Arc<dyn Clock>,
        bus: Arc<Bus>,
        waiter: Arc<Waiter>,
        stuck_after: Duration,
        learners: Learners,
    ) -> Self {
        Self {
            graph,
            clock,
            bus,
            waiter,
            stuck_after,
            learners,
            state: Mutex::default(),
            queued: Condvar::new(),
            settled: Condvar::new(),
        }
    }

    /// What receivers are told of the batches that have ended.
    pub(crate) fn rates(&self) -> &RateControl {
        &self.learners.rates
    }

    /// How many batches are queued or running.
    pub(crate) fn backlog(&self) -> usize {
        self.lock().pending.len()
    }

    /// The batches that were queued and not begun: those behind the first of these times,
    /// and up to the second.
    pub(super) fn waiting(&self) -> Option<(Option<BatchTime>, BatchTime)> {
        let state = self.lock();
        Some((state.begun, state.last_time?))
    }

    /// Waits until less than `most` batches are queued or running; says whether that is
    /// so, or else the queue was closed.
    pub(crate) fn await_room(&self, most: usize) -> bool {
        let is_full = |state: &mut State| !state.closed && state.pending.len() >= most;
        let state = unpoisoned(self.settled.wait_while(self.lock(), is_full));
        !state.closed
    }

    /// Queues the jobs of a batch that was just cut.
    pub(crate) fn submit(&self, time: BatchTime, inputs: Vec<InputInfo>) {
        let outputs = self.graph.outputs();
        let due = outputs.iter();
        let due: Vec<_> = due.filter(|it| it.is_due(&self.graph, time)).collect();
        let info = BatchInfo::new(time, inputs, self.clock.now_nanos());
        if due.is_empty() {
            // No output asks at this time: nothing to tell. The next batch that
            // ends lets go of this one too, not the thread that cuts.
            self.pass(time);
            return;
        }
        let mut state = self.lock();
        if state.closed {
            state.dropped.insert(time, info.num_records());
            return;
        }
        state.last_time = Some(time);
        state.unsettled.insert(time);
        state.pending.insert(time);
        self.bus.post(|| Event::BatchSubmitted(info.clone()));
        let batch = Arc::new(Batch {
            time,
            left: AtomicUsize::new(due.len()),
            told_stuck: AtomicBool::new(false),
            info: Mutex::new(info),
        });
        state.jobs.extend(due.into_iter().map(|output| {
            let batch = Arc::clone(&batch);
            let output = Arc::clone(output);
            Arc::new(Job { batch, output })
        }));
        drop(state);
        self.queued.notify_one();
    }

    /// Notes a time at which nothing was cut, as so many batches are waiting.
    pub(crate) fn skip(&self, time: BatchTime, queued: usize) {
        self.bus
            .post(|| Event::BatchSkipped(SkippedBatchInfo::new(time, queued)));
        self.pass(time);
    }

    /// Notes a time at which there is nothing to run.
    fn pass(&self, time: BatchTime) {
        self.lock().last_time = Some(time);
        self.settled.notify_all();
    }

    /// Drops what `input` has for the oldest batch that waits and was not begun, and
    /// says how many records that were.
    pub(super) fn drop_oldest(&self, input: &dyn Input) -> Option<u64> {
        let state = self.lock();
        // No job begins meanwhile. A batch that is cut but not queued is left alone.
        let taken = input.take_oldest(state.begun, state.last_time?)?;
        let mut queued = state.jobs.iter().map(|job| &job.batch);
        if let Some(batch) = queued.find(|batch| batch.time == taken.time) {
            let mut info = batch.info();
            let mut inputs = info.inputs.iter_mut();
            if let Some(input) = inputs.find(|input| input.stream_id == taken.stream_id) {
                input.num_records = 0;
            }
        }
        drop(state);
        tracing::warn!(
            batch = %taken.time,
            records = taken.records,
            input = input.name(),
            "records that waited were dropped"
        );
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(taken.data)));
        if let Err(payload) = dropped {
            self.report(Error::from_panic(payload, "dropping records that waited"));
        }
        Some(taken.records)
    }

    /// Lets `await_termination` return an error that is none of a job's.
    pub(crate) fn report(&self, error: Error) {
        self.waiter.report(error);
    }

    /// Looks at the batches that have been running for long: lets the receivers
    /// know, and tells once of each that is stuck.
    pub(crate) fn watch(&self) {
        let now = self.clock.now_nanos();
        let state = self.lock();
        for job in &state.running {
            let batch = &job.batch;
            let info = batch.info();
            let running = info.running_for(now);
            self.rates().watch(&info, running);
            let is_stuck = !self.stuck_after.is_zero() && running >= self.stuck_after;
            // Relaxed: one thread's own flag.
            if !is_stuck || batch.told_stuck.swap(true, Ordering::Relaxed) {
                continue;
            }
            let operations: Vec<_> = state
                .running
                .iter()
                .filter(|other| Arc::ptr_eq(&other.batch, batch))
                .map(|other| (other.output.id(), Arc::clone(other.output.description())))
                .collect();
            tracing::warn!(batch = %batch.time, ?running, ?operations, "a batch is still running");
            self.bus.post(|| {
                Event::BatchStuck(StuckBatchInfo {
                    batch: info.clone(),
                    running,
                    operations,
                })
            });
        }
    }

    /// Notes that no further batch will be cut.
    pub(crate) fn seal(&self) {
        self.lock().sealed = true;
        self.settled.notify_all();
    }

    /// Runs jobs on this thread until the queue is closed.
    pub(crate) fn run(&self) {
        while let Some(job) = self.next() {
            self.run_job(&job);
            self.lock()
                .running
                .retain(|running| !Arc::ptr_eq(running, &job));
        }
    }

    fn next(&self) -> Option<Arc<Job>> {
        let state = self.lock();
        let mut state = unpoisoned(
            self.queued
                .wait_while(state, |state| state.jobs.is_empty() && !state.closed),
        );
        let job = state.jobs.pop_front();
        state.running.extend(job.clone());
        state.begun = job.as_ref().map(|job| job.batch.time).max(state.begun);
        if !state.jobs.is_empty() {
            self.queued.notify_one();
        }
        job
    }

    fn run_job(&self, job: &Job) {
        let (batch, output) = (&*job.batch, &*job.output);
        let start = self.clock.now_nanos();
        {
            let mut info = batch.info();
            if info.processing_start_nanos.is_none() {
                info.processing_start_nanos = Some(start);
                self.bus.post(|| Event::BatchStarted(info.clone()));
            }
        }
        let result = Error::caught("output operation", || output.run(batch.time));
        let error = result.err().map(|cause| {
            let error = Error::new(
                if cause.kind() == ErrorKind::Panic {
                    ErrorKind::Panic
                } else {
                    ErrorKind::Job
                },
                format!(
                    "output operation {} ({})",
                    output.id().0,
                    output.description()
                ),
            )
            .with_source(cause)
            .in_batch(batch.time.as_millis())
            .at(output.site());
            tracing::error!(%error, "a job failed");
            if output.once().is_some() {
                self.graph.set_must_repeat();
            }
            self.waiter.report(error.clone());
            error
        });
        let end = self.clock.now_nanos();
        let outcome =
            OutputOperationInfo::new(output.id(), output.description(), start, end, error);
        batch.info().outputs.push(outcome);
        // AcqRel: the last job sees all that the others did, and so does the
        // thread that settles the batch.
        if batch.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.complete(batch, end);
        }
    }

    fn complete(&self, batch: &Batch, end: i64) {
        let has_failed = {
            let mut info = batch.info();
            for (input, told) in self.graph.inputs().iter().zip(&mut info.inputs) {
                input.report(batch.time, told);
            }
            info.states = self.graph.states();
            info.processing_end_nanos = Some(end);
            info.outputs.sort_by_key(|output| output.id);
            tracing::debug!(
                batch = %batch.time,
                records = info.num_records(),
                total_delay = ?info.total_delay(),
                processing = ?info.processing_delay(),
                "a batch completed"
            );
            self.bus.post(|| Event::BatchCompleted(info.clone()));
            self.rates().learn(&info);
            if let Some(scaling) = &self.learners.scaling {
                scaling.learn(&info);
            }
            info.outputs.iter().any(|output| output.error.is_some())
        };
        self.settle(batch.time, has_failed);
    }

    /// Lets go of what no later batch needs, then forgets the batch.
    fn settle(&self, time: BatchTime, has_failed: bool) {
        (self.learners.on_done)(time, has_failed);
        let done = {
            let mut state = self.lock();
            state.pending.remove(&time);
            // Only up to the oldest batch that is still at work.
            match state.pending.first() {
                Some(&oldest) => Some(oldest - Duration::from_millis(1)),
                None => state.last_time,
            }
        };
        if let Some(done) = done {
            // Records are dropped here, and a user's `drop` may panic.
            let cleared = catch_unwind(AssertUnwindSafe(|| self.graph.clear(done)));
            if let Err(payload) = cleared {
                let error = Error::from_panic(payload, "dropping old batches");
                let error = error.in_batch(time.as_millis());
                tracing::error!(%error, "the data of a batch was not let go cleanly");
                self.waiter.report(error);
            }
        }
        self.lock().unsettled.remove(&time);
        self.settled.notify_all();
    }

    /// Waits until all batches up to `time` were cut, or passed over, and have
    /// ended.
    pub(crate) fn await_batch(&self, time: BatchTime) {
        let waiting = |state: &mut State| {
            !state.closed
                && (state.last_time.is_none_or(|last| last < time) && !state.sealed
                    || state
                        .unsettled
                        .first()
                        .is_some_and(|&oldest| oldest <= time))
        };
        drop(unpoisoned(self.settled.wait_while(self.lock(), waiting)));
    }

    /// Waits until the last batch was cut and none is left, or until the
    /// deadline; says whether none is.
    pub(crate) fn drain(&self, deadline: Deadline) -> bool {
        let (state, timeout) = unpoisoned(self.settled.wait_timeout_while(
            self.lock(),
            deadline.rest(),
            |state| !state.sealed || !state.unsettled.is_empty(),
        ));
        drop(state);
        !timeout.timed_out()
    }

    /// Ends the job threads after the jobs that they are running; what is still
    /// queued is dropped.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let dropped = std::mem::take(&mut state.jobs);
        for job in &dropped {
            let records = job.batch.info().num_records();
            state.dropped.insert(job.batch.time, records);
        }
        drop(state);
        drop(dropped);
        self.queued.notify_all();
        self.settled.notify_all();
    }

    /// The jobs that are running, in words.
    pub(crate) fn running(&self) -> Vec<String> {
        let running = self.lock().running.clone();
        running.iter().map(|job| job.describe()).collect()
    }

    /// What was dropped when the queue was closed, in words.
    pub(crate) fn dropped(&self) -> Option<String> {
        let state = self.lock();
        let (oldest, _) = state.dropped.first_key_value()?;
        let records: u64 = state.dropped.values().sum();
        let batches = state.dropped.len();
        Some(format!(
            "batches that waited ({batches} with {records} records, the oldest of {oldest})"
        ))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Job {
    fn describe(&self) -> String {
        format!(
            "output operation {} ({}) of the batch {}",
            self.output.id().0,
            self.output.description(),
            self.batch.time
        )
    }
}

impl Batch {
    fn info(&self) -> MutexGuard<'_, BatchInfo> {
        lock(&self.info)
    }
}

impl fmt::Debug for JobScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobScheduler")
            .field("backlog", &self.backlog())
            .finish_non_exhaustive()
    }
}
