//! Start, stop, and what lies between.

use std::panic::Location;
use std::sync::{Arc, MutexGuard};
use std::thread::JoinHandle;

use super::{Inner, StreamingContext, active};
use crate::cpu::thread;
use crate::dstream::{Graph, StreamingContextState};
use crate::error::{Error, Result};
use crate::listener::Bus;
use crate::scheduler::{Generator, JobScheduler, ReceiverTracker};
use crate::task::in_task;
use crate::time::{BatchTime, Duration, first_batch_time};

/// The least time that a graceful stop waits for the queued batches.
const LEAST_STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The threads of a running context.
pub(super) struct Running {
    receivers: ReceiverTracker,
    generator: Generator,
    jobs: Arc<JobScheduler>,
    job_threads: Vec<JoinHandle<()>>,
    bus_thread: JoinHandle<()>,
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
                inner.graph.set_phase(StreamingContextState::Stopped);
                active::leave(inner);
                inner.waiter.stopped();
                Err(error)
            }
        }
    }

    /// Stops the context for good.
    ///
    /// Gracefully: the receivers are stopped, everything they stored is cut and
    /// processed, then the threads end; it returns as soon as that is done, and
    /// gives up on receivers, and then on batches, after `graceful_stop_timeout`
    /// (ten batch intervals, at least ten seconds). Not gracefully: the jobs that
    /// are running end, the rest is dropped. Either way a job that is running is
    /// waited for. Stopping twice, or before a start, is no error; a second stop
    /// waits for the first.
    ///
    /// # Errors
    /// If the time ran out (what is left is named, and dropped), or when called
    /// on a thread of the context itself, such as inside an output operation,
    /// which would wait for itself: stop from another thread.
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
    pub(super) fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }

    pub(super) fn site(&self) -> &'static Location<'static> {
        *self.site_mut()
    }

    fn site_mut(&self) -> MutexGuard<'_, &'static Location<'static>> {
        self.site
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }

    fn stop(&self, graceful: bool) -> Result<()> {
        let _alone = self
            .stopping
            .lock()
            .unwrap_or_else(|poison| poison.into_inner());
        let running = {
            let mut running = self.running();
            // With the lock in hand: a start finds either both or neither.
            self.graph.set_phase(StreamingContextState::Stopped);
            running.take()
        };
        let Some(running) = running else {
            tracing::warn!("the context is not running: stop() does nothing");
            self.waiter.stopped();
            return Ok(());
        };
        let timeout = self.conf.graceful_stop_timeout.unwrap_or_else(|| {
            self.graph
                .batch_interval()
                .saturating_mul(10)
                .max(LEAST_STOP_TIMEOUT)
        });
        let result = running.stop(graceful.then_some(timeout), &self.graph, &self.bus);
        active::leave(self);
        // A closure that holds the context would keep it, and itself, for ever.
        self.graph.dismantle();
        self.waiter.stopped();
        result
    }

    /// The last handle goes away.
    pub(super) fn abandon(&self) {
        let Some(running) = self.running().take() else {
            return;
        };
        self.graph.set_phase(StreamingContextState::Stopped);
        active::leave(self);
        if thread::is_engine_thread() || in_task() {
            // On a thread of the context: it cannot wait for itself.
            running.release(&self.graph, &self.bus);
        } else if let Err(error) = running.stop(None, &self.graph, &self.bus) {
            tracing::error!(%error, "a dropped context did not stop cleanly");
        }
        self.waiter.stopped();
    }
}

impl Running {
    fn start(inner: &Inner) -> Result<Self> {
        let interval = inner.graph.batch_interval();
        let zero = first_batch_time(inner.clock.now_millis(), interval) - interval;
        let remember = match inner.conf.unpersist {
            true => inner.conf.remember,
            false => Some(Duration::MAX),
        };
        inner.graph.initialize(zero, remember);
        inner.graph.start_inputs()?;
        // Before any thread runs: a first job may ask.
        inner.graph.set_phase(StreamingContextState::Active);
        let jobs = Arc::new(JobScheduler::new(
            Arc::clone(&inner.graph),
            Arc::clone(&inner.clock),
            Arc::clone(&inner.bus),
            Arc::clone(&inner.waiter),
        ));
        Self::start_threads(inner, zero, Arc::clone(&jobs)).inspect_err(|_| {
            // The threads that did start.
            jobs.close();
            inner.bus.close();
            inner.graph.stop_inputs(false);
        })
    }

    fn start_threads(inner: &Inner, zero: BatchTime, jobs: Arc<JobScheduler>) -> Result<Self> {
        let refused = |cause| Error::io("a thread of the context cannot be started", cause);
        let bus = Arc::clone(&inner.bus);
        let bus_thread = thread::spawn("listeners", None, move || bus.run()).map_err(refused)?;
        let mut job_threads = Vec::new();
        for i in 0..inner.conf.concurrent_jobs {
            let jobs = Arc::clone(&jobs);
            job_threads.push(
                thread::spawn(format!("jobs-{i}"), None, move || jobs.run()).map_err(refused)?,
            );
        }
        let receivers =
            ReceiverTracker::start(&inner.graph, &inner.placement, &inner.clock, &inner.bus)?;
        let generator = Generator::start(
            Arc::clone(&inner.graph),
            Arc::clone(&jobs),
            Arc::clone(&inner.clock),
            zero,
            inner.conf.block_interval,
            inner.conf.max_queued_batches,
        )
        .inspect_err(|_| receivers.shut_down())?;
        Ok(Self {
            receivers,
            generator,
            jobs,
            job_threads,
            bus_thread,
        })
    }

    /// Ends all threads; `graceful` is how long the queued batches may take.
    fn stop(self, graceful: Option<Duration>, graph: &Graph, bus: &Bus) -> Result<()> {
        // First, so that everything that was stored is there to be cut.
        let stopped = self.receivers.stop(graceful.unwrap_or(LEAST_STOP_TIMEOUT));
        let drained = match graceful {
            Some(timeout) => {
                self.generator.drain();
                self.jobs.drain(timeout)
            }
            None => Ok(()),
        };
        self.generator.end();
        self.jobs.close();
        // A job that outlasts the time is left alone: it may never end.
        if drained.is_ok() {
            for thread in self.job_threads {
                if thread.join().is_err() {
                    tracing::error!("a job thread panicked");
                }
            }
        }
        graph.stop_inputs(drained.is_ok());
        bus.close();
        if self.bus_thread.join().is_err() {
            tracing::error!("the listeners' thread panicked");
        }
        stopped.and(drained)
    }

    /// Tells all threads to end without waiting for them.
    fn release(self, graph: &Graph, bus: &Bus) {
        self.receivers.shut_down();
        self.jobs.close();
        bus.close();
        self.generator.release();
        graph.stop_inputs(false);
    }
}
