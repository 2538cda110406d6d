//! The thread that cuts the batches.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::JobScheduler;
use crate::cpu::thread;
use crate::dstream::Graph;
use crate::error::{Error, Result};
use crate::time::{BatchTime, Clock, Duration, WaitResult, Wake};

/// Handle to the generator's thread.
#[derive(Debug)]
pub(crate) struct Generator {
    wake: Wake,
    /// Written by who stops the context, read by the thread.
    drain: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Generator {
    /// Starts cutting at `zero + batch interval`.
    pub(crate) fn start(
        graph: Arc<Graph>,
        jobs: Arc<JobScheduler>,
        clock: Arc<dyn Clock>,
        zero: BatchTime,
        block_interval: Duration,
        max_queued_batches: usize,
    ) -> Result<Self> {
        let wake = Wake::new();
        let drain = Arc::new(AtomicBool::new(false));
        let cutter = Cutting {
            graph,
            jobs,
            clock,
            block_interval,
            max_queued_batches,
            wake: wake.clone(),
            drain: Arc::clone(&drain),
        };
        let thread = thread::spawn("generator", None, move || cutter.run(zero))
            .map_err(|cause| Error::io("the batch generator's thread cannot be started", cause))?;
        Ok(Self {
            wake,
            drain,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Tells the thread to end, without waiting for it.
    pub(crate) fn release(&self) {
        self.wake.wake();
    }

    /// Tells the thread to cut what waits at once, as batches of the next times
    /// on the grid, and then to end.
    pub(crate) fn drain(&self) {
        // Release: seen by the thread that the wake below wakes.
        self.drain.store(true, Ordering::Release);
        self.wake.wake();
    }

    /// Ends the thread and waits for it; what was not cut stays where it is.
    pub(crate) fn end(&self) {
        self.drain.store(false, Ordering::Release);
        self.wake.wake();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the batch generator panicked");
        }
    }
}

/// What the thread works with.
struct Cutting {
    graph: Arc<Graph>,
    jobs: Arc<JobScheduler>,
    clock: Arc<dyn Clock>,
    block_interval: Duration,
    max_queued_batches: usize,
    wake: Wake,
    drain: Arc<AtomicBool>,
}

impl Cutting {
    fn run(&self, zero: BatchTime) {
        let interval = self.graph.batch_interval();
        let mut batch = zero + interval;
        let mut block = zero + self.block_interval;
        loop {
            let next = batch.min(block);
            let deadline = next.as_millis().saturating_mul(1_000_000);
            if self.clock.wait_until(deadline, &self.wake) == WaitResult::Woken {
                break;
            }
            // At a boundary of both the batch's own cut ends the block.
            if next == batch {
                self.generate(batch);
                batch = batch + interval;
            } else {
                for input in self.graph.inputs() {
                    input.end_block();
                }
            }
            if next == block {
                block = block + self.block_interval;
            }
        }
        // Asked each time: a source that never stops would keep it here.
        while self.drain.load(Ordering::Acquire)
            && self.graph.inputs().iter().any(|input| input.is_waiting())
        {
            self.cut(batch);
            batch = batch + interval;
        }
    }

    fn generate(&self, time: BatchTime) {
        if self.jobs.backlog() >= self.max_queued_batches {
            // The data stays where it is; a later batch takes it.
            tracing::warn!(%time, "too many batches are queued: no batch is cut at this time");
            self.jobs.pass(time);
            return;
        }
        self.cut(time);
    }

    fn cut(&self, time: BatchTime) {
        let inputs = self
            .graph
            .inputs()
            .iter()
            .map(|input| input.cut(time))
            .collect();
        self.graph.set_last_cut(time);
        self.jobs.submit(time, inputs);
    }
}

impl Drop for Cutting {
    /// However the thread ends, nobody waits for further batches.
    fn drop(&mut self) {
        self.jobs.seal();
    }
}
