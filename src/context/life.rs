//! Start, stop, and what lies between.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;

use super::checkpoint::{Checkpoints, Durability, Setup};
use super::{Inner, StreamingContext, active};
use crate::conf::MEMORY_AND_DISK;
use crate::cpu::memory::available_bytes;
use crate::cpu::thread::{self, Thread};
use crate::dstream::StreamingContextState;
use crate::error::{Error, Result};
use crate::rate::{PidOptions, PidRateEstimator};
use crate::receiver::log::ReceiverLog;
use crate::scheduler::{
    CutTimes, Generator, JobScheduler, Learners, Logger, OnDone, OnDrained, RateControl,
    ReceiverTracker, Scaling, ScalingOptions, Spiller,
};
use crate::sync::engine::{MutexGuard, lock};
use crate::task::in_task;
use crate::time::{BatchTime, Duration, first_batch_time};

/// The threads of a running context.
pub(super) struct Running {
    pub(super) receivers: ReceiverTracker,
    /// None if the start failed before it.
    pub(super) generator: Option<Generator>,
    pub(super) jobs: Arc<JobScheduler>,
    pub(super) checkpoints: Option<Arc<Checkpoints>>,
    pub(super) logger: Option<Logger>,
    pub(super) spiller: Option<Spiller>,
    pub(super) job_threads: Vec<Thread>,
    pub(super) bus_thread: Option<Thread>,
}

impl StreamingContext {
    /// Starts the receivers, the cutting of batches and their processing.
    ///
    /// The first batch time is the next multiple of the batch interval since the
    /// Unix epoch. Starting a context that is running does nothing but warn.
    ///
    /// # Errors
    /// If no output operation was declared, the context was stopped, a thread
    /// cannot be started, or `one_active_context` is on and another context is
    /// running. After a failed start the context is stopped.
    #[track_caller]
    pub fn start(&self) -> Result<()> {
        let site = Location::caller();
        let inner = &self.inner;
        let mut running = inner.running();
        match inner.graph.phase() {
            StreamingContextState::Initialized => {}
            StreamingContextState::Active => {
                tracing::warn!("the context is running already: start() does nothing");
                return Ok(());
            }
            StreamingContextState::Stopped => {
                return Err(Error::illegal_state(
                    "the context was stopped already and cannot be started again",
                ));
            }
        }
        if inner.graph.outputs().is_empty() {
            return Err(Error::illegal_state(
                "no output operations were declared, so there is nothing to execute",
            ));
        }
        active::enter(inner)?;
        *inner.site_mut() = site;
        match Running::start(inner) {
            Ok(started) => {
                *running = Some(started);
                Ok(())
            }
            Err(error) => {
                inner.end();
                Err(error)
            }
        }
    }

    /// Stops the context for good.
    ///
    /// Gracefully: the receivers are stopped, everything they stored is cut and
    /// processed, then the threads end; it returns as soon as that is done. It
    /// gives up on receivers after half of `graceful_stop_timeout` (ten batch
    /// intervals, at least ten seconds), on batches after all of it, and then goes
    /// on as a stop that is not graceful. That one drops what waits, and lets the
    /// threads end what they are at: receivers and jobs have `stop_timeout` (two
    /// seconds), then inputs, and then listeners for the last events, what is left of
    /// it and at least half. Whatever has not ended then is left alone, and ends by itself.
    /// So a stop always returns.
    ///
    /// Stopping twice, or before a start, is no error; a second stop waits for the
    /// first.
    ///
    /// # Errors
    /// If the time ran out: what was left running and what was not processed is
    /// named. Or when called on a thread of the context itself, such as inside an
    /// output operation or a listener, which would wait for itself: stop from
    /// another thread.
    pub fn stop(&self, graceful: bool) -> Result<()> {
        if thread::is_engine_thread() || in_task() {
            return Err(Error::illegal_state(
                "stop() was called on a thread of the context, which it would wait for: call it \
                 from another thread",
            ));
        }
        self.inner.stop(graceful)
    }

    /// Waits until the context is stopped, by another thread.
    ///
    /// # Errors
    /// The first error of any batch, as soon as it happens and at each further
    /// call; the context goes on until it is stopped.
    #[doc(alias = "awaitTermination")]
    pub fn await_termination(&self) -> Result<()> {
        self.inner.waiter.wait(None).map(|_| ())
    }

    /// As [`await_termination`](Self::await_termination), for `limit` at the
    /// most: `true` if the context was stopped.
    ///
    /// # Errors
    /// The first error of any batch.
    #[doc(alias = "awaitTerminationOrTimeout")]
    pub fn await_termination_or_timeout(&self, limit: Duration) -> Result<bool> {
        self.inner.waiter.wait(Some(limit))
    }

    /// Waits until the batch `time` and all before it were cut and have ended, or
    /// were passed over because too many were queued; returns at once if the
    /// context is not running. With a
    /// [`ManualClock`](crate::time::ManualClock) this is how a test knows that
    /// what it advanced to has happened.
    pub fn await_batch(&self, time: BatchTime) {
        let jobs = self
            .inner
            .running()
            .as_ref()
            .map(|running| Arc::clone(&running.jobs));
        if let Some(jobs) = jobs {
            jobs.await_batch(time);
        }
    }

    /// The time before the first batch, once the context was started.
    #[must_use]
    pub fn zero_time(&self) -> Option<BatchTime> {
        let started = self.state() != StreamingContextState::Initialized;
        started.then(|| self.inner.graph.zero())
    }
}

impl Inner {
    pub(super) fn setup(&self) -> MutexGuard<'_, Setup> {
        lock(&self.checkpoints)
    }

    pub(super) fn running(&self) -> MutexGuard<'_, Option<Running>> {
        lock(&self.running)
    }

    pub(super) fn site(&self) -> &'static Location<'static> {
        *self.site_mut()
    }

    fn site_mut(&self) -> MutexGuard<'_, &'static Location<'static>> {
        lock(&self.site)
    }

    fn stop(&self, graceful: bool) -> Result<()> {
        let _alone = lock(&self.stopping);
        let running = {
            let mut running = self.running();
            // With the lock in hand: a start finds either both or neither.
            self.graph.set_phase(StreamingContextState::Stopped);
            running.take()
        };
        let result = match running {
            Some(running) => running.stop(self, graceful),
            None => {
                tracing::warn!("the context is not running: stop() does nothing");
                Ok(())
            }
        };
        self.end();
        result
    }

    /// Leaves nothing to wait for.
    fn end(&self) {
        self.graph.set_phase(StreamingContextState::Stopped);
        active::leave(self);
        // A closure that holds the context would keep it, and itself, for ever.
        let dismantled = catch_unwind(AssertUnwindSafe(|| self.graph.dismantle()));
        if let Err(payload) = dismantled {
            // What the program's closures own is dropped here.
            let error = Error::from_panic(payload, "dropping the streams");
            tracing::error!(%error, "the streams were not let go cleanly");
        }
        self.waiter.stopped();
    }

    /// The last handle goes away.
    pub(super) fn abandon(&self) {
        if let Some(running) = self.running().take() {
            self.graph.set_phase(StreamingContextState::Stopped);
            if thread::is_engine_thread() || in_task() {
                // On a thread of the context: it cannot wait for itself.
                running.release(&self.graph, &self.bus);
            } else if let Err(error) = running.stop(self, false) {
                tracing::error!(%error, "a dropped context did not stop cleanly");
            }
        }
        self.end();
    }
}

/// What happens when a batch has ended.
fn on_done(checkpoints: Option<Arc<Checkpoints>>) -> OnDone {
    Box::new(move |time, has_failed| {
        if let Some(checkpoints) = &checkpoints {
            checkpoints.batch_done(time, has_failed);
        }
    })
}

/// What happens before a batch is cut to empty the inputs.
fn on_drained(checkpoints: Option<Arc<Checkpoints>>) -> OnDrained {
    Box::new(move |time| match &checkpoints {
        Some(checkpoints) => checkpoints.note_cut(time),
        None => Ok(()),
    })
}

impl Running {
    fn start(inner: &Inner) -> Result<Self> {
        let interval = inner.graph.batch_interval();
        let first = first_batch_time(inner.clock.now_millis(), interval);
        let zero = first - interval;
        let setup = std::mem::take(&mut *inner.setup());
        let (zero, last) = setup.times(zero);
        let remember = match inner.conf.unpersist {
            true => inner.conf.remember,
            false => Some(Duration::MAX),
        };
        let rates = RateControl::new(estimator(inner)?, interval);
        inner.graph.initialize(zero, remember);
        let durability = setup.start(inner, last, first)?;
        if let Err(error) = inner.graph.start_inputs() {
            durability.give_up(inner);
            return Err(error);
        }
        let Durability { checkpoints, log } = durability;
        // Before any thread runs: a first job may ask.
        inner.graph.set_phase(StreamingContextState::Active);
        let mut running = Self {
            receivers: ReceiverTracker::default(),
            generator: None,
            jobs: Arc::new(JobScheduler::new(
                Arc::clone(&inner.graph),
                Arc::clone(&inner.clock),
                Arc::clone(&inner.bus),
                Arc::clone(&inner.waiter),
                inner.conf.batch_stuck_after,
                Learners {
                    rates,
                    scaling: scaling(inner),
                    on_done: on_done(checkpoints.clone()),
                },
            )),
            checkpoints,
            logger: None,
            spiller: None,
            job_threads: Vec::new(),
            bus_thread: None,
        };
        match running.start_threads(inner, log, last) {
            Ok(()) => Ok(running),
            Err(error) => {
                // The threads that did start.
                if let Err(left) = running.stop(inner, false) {
                    tracing::error!(error = %left, "a failed start did not end cleanly");
                }
                Err(error)
            }
        }
    }

    fn start_threads(
        &mut self,
        inner: &Inner,
        log: Option<Arc<ReceiverLog>>,
        last: BatchTime,
    ) -> Result<()> {
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.take_first()?;
        }
        let refused = |cause| Error::io("a thread of the context cannot be started", cause);
        let bus = Arc::clone(&inner.bus);
        let bus_thread = thread::spawn("listeners", &[], move || bus.run()).map_err(refused)?;
        self.bus_thread = Some(bus_thread);
        for i in 0..inner.conf.concurrent_jobs {
            let jobs = Arc::clone(&self.jobs);
            let thread = thread::spawn(format!("jobs-{i}"), &[], move || jobs.run());
            self.job_threads.push(thread.map_err(refused)?);
        }
        if let Some(log) = log {
            let (graph, jobs) = (Arc::clone(&inner.graph), Arc::clone(&self.jobs));
            self.logger = Some(Logger::start(log, graph, jobs, Arc::clone(&inner.clock))?);
        }
        if inner.conf.receiver_storage_level == MEMORY_AND_DISK {
            let (graph, jobs) = (Arc::clone(&inner.graph), Arc::clone(&self.jobs));
            let (clock, bus) = (Arc::clone(&inner.clock), Arc::clone(&inner.bus));
            self.spiller = Some(Spiller::start(graph, jobs, clock, bus)?);
        }
        let bound = |rings| {
            let interval = inner.graph.batch_interval();
            inner.conf.ring_bound(interval, available_bytes(), rings)
        };
        self.receivers.start(
            &inner.graph,
            bound,
            &inner.placement,
            &inner.clock,
            &inner.bus,
            &self.jobs,
        )?;
        let interval = inner.graph.batch_interval();
        let grid = self.checkpoints.as_ref().map_or(interval, |it| it.grid());
        self.generator = Some(Generator::start(
            Arc::clone(&inner.graph),
            Arc::clone(&self.jobs),
            self.logger.as_ref(),
            self.spiller.as_ref(),
            Arc::clone(&inner.clock),
            CutTimes {
                last,
                grid,
                block_interval: inner.conf.block_interval,
                max_queued_batches: inner.conf.max_queued_batches,
            },
            on_drained(self.checkpoints.clone()),
        )?);
        Ok(())
    }
}

/// What back-pressure estimates with, if it is on.
fn estimator(inner: &Inner) -> Result<Option<PidRateEstimator>> {
    let conf = &inner.conf;
    if !conf.backpressure_enabled {
        return Ok(None);
    }
    let options = PidOptions {
        proportional: conf.backpressure_pid_proportional,
        integral: conf.backpressure_pid_integral,
        derivative: conf.backpressure_pid_derivative,
        min_rate: conf.backpressure_pid_min_rate,
    };
    PidRateEstimator::new(inner.graph.batch_interval(), options).map(Some)
}

/// What changes the number of workers, if anything does.
fn scaling(inner: &Inner) -> Option<Scaling> {
    let (conf, executor) = (&inner.conf, inner.graph.executor());
    if !conf.dynamic_allocation_enabled {
        return None;
    }
    let most = conf.dynamic_allocation_max_workers;
    let most = most.unwrap_or(usize::MAX).min(executor.workers());
    let options = ScalingOptions {
        batch_interval: inner.graph.batch_interval(),
        scaling_interval: conf.dynamic_allocation_scaling_interval,
        up_ratio: conf.dynamic_allocation_scaling_up_ratio,
        down_ratio: conf.dynamic_allocation_scaling_down_ratio,
        least: conf.dynamic_allocation_min_workers.min(most),
        most,
    };
    let start = inner.clock.now_nanos();
    Some(Scaling::new(options, Arc::clone(executor), start))
}
