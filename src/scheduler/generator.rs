//! The thread that cuts the batches.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::logger::{Desk, Task};
use super::spiller::Bell;
use super::{JobScheduler, Logger, Spiller};
use crate::cpu::thread::{self, Thread};
use crate::dstream::Graph;
use crate::error::{Error, Result};
use crate::receiver::log::ReceiverLog;
use crate::sync::engine::AtomicBool;
use crate::time::{BatchTime, Clock, Deadline, Duration, WaitResult, Wake};

/// Batches that were missed are cut one by one, if they are not more.
const MISSED: u128 = 1000;

/// The longest time for which one batch stands in place of many: a directory is looked
/// at often enough to know when its files came.
const LONGEST: Duration = Duration::from_secs(30);

/// When a generator cuts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutTimes {
    /// The first batch comes behind this one.
    pub(crate) last: BatchTime,
    /// What is drained at the end goes up to a multiple of this behind the zero time.
    pub(crate) grid: Duration,
    pub(crate) block_interval: Duration,
    /// While so many batches are queued nothing is cut.
    pub(crate) max_queued_batches: usize,
}

/// Called before a batch is cut that is to empty the inputs at the end, perhaps before its
/// time. If it fails, that batch is not cut.
pub(crate) type OnDrained = Box<dyn Fn(BatchTime) -> Result<()> + Send>;

/// Handle to the generator's thread.
#[derive(Debug)]
pub(crate) struct Generator {
    wake: Wake,
    /// Written by who stops the context, read by the thread.
    drain: Arc<AtomicBool>,
    thread: Thread,
}

impl Generator {
    /// Starts cutting.
    pub(crate) fn start(
        graph: Arc<Graph>,
        jobs: Arc<JobScheduler>,
        logger: Option<&Logger>,
        spiller: Option<&Spiller>,
        clock: Arc<dyn Clock>,
        times: CutTimes,
        on_drained: OnDrained,
    ) -> Result<Self> {
        let wake = Wake::new();
        let drain = Arc::new(AtomicBool::new(false));
        let cutter = Cutting {
            graph,
            jobs,
            logged: logger.map(|logger| (logger.log(), logger.desk())),
            spills: spiller.map(Spiller::bell),
            clock,
            grid: times.grid,
            block_interval: times.block_interval,
            max_queued_batches: times.max_queued_batches,
            on_drained,
            wake: wake.clone(),
            drain: Arc::clone(&drain),
        };
        let thread = thread::spawn("generator", &[], move || {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| cutter.run(times.last))) {
                // A clock or a subscriber of the program's own may do that. No
                // batch will come any more: whoever waits must know.
                let what = "the batch generator";
                cutter.jobs.report(Error::from_panic(payload, what));
            }
        })
        .map_err(|cause| Error::io("the batch generator's thread cannot be started", cause))?;
        Ok(Self {
            wake,
            drain,
            thread,
        })
    }

    /// Tells the thread to cut what waits at once, as batches of the next times
    /// on the grid, and then to end.
    pub(crate) fn drain(&self) {
        // Release: seen by the thread that the wake below wakes.
        self.drain.store(true, Ordering::Release);
        self.wake.wake();
    }

    /// Tells the thread to end; what was not cut stays where it is.
    pub(crate) fn end(&self) {
        self.drain.store(false, Ordering::Release);
        self.wake.wake();
    }

    /// Waits for the thread's end until the deadline; says whether it came.
    #[must_use]
    pub(crate) fn join(self, deadline: Deadline) -> bool {
        self.thread.join(deadline.rest())
    }
}

/// What the thread works with.
struct Cutting {
    graph: Arc<Graph>,
    jobs: Arc<JobScheduler>,
    /// Batches go this way, if there is a log.
    logged: Option<(Arc<ReceiverLog>, Arc<Desk>)>,
    /// Who makes room in memory, if anybody does.
    spills: Option<Arc<Bell>>,
    clock: Arc<dyn Clock>,
    grid: Duration,
    block_interval: Duration,
    max_queued_batches: usize,
    on_drained: OnDrained,
    wake: Wake,
    drain: Arc<AtomicBool>,
}

impl Cutting {
    fn run(&self, last: BatchTime) {
        let interval = self.graph.batch_interval();
        let mut passed = Passed::default();
        let last = self.catch_up(last);
        let mut batch = last + interval;
        let mut block = last + self.block_interval;
        loop {
            let next = batch.min(block);
            let deadline = next.as_millis().saturating_mul(1_000_000);
            let rates = self.jobs.rates();
            rates.expect(deadline);
            if self.clock.wait_until(deadline, &self.wake) == WaitResult::Woken {
                rates.expect(i64::MAX);
                break;
            }
            rates.is_running(self.clock.now_nanos());
            // At a boundary of both the batch's own cut ends the block.
            if next == batch {
                self.generate(batch, &mut passed);
                batch = batch + interval;
            } else {
                for input in &*self.graph.inputs() {
                    input.end_block();
                }
                if let Some((_, desk)) = &self.logged {
                    desk.put(Task::Blocks);
                }
            }
            if let Some(bell) = &self.spills {
                bell.ring();
            }
            if next == block {
                block = block + self.block_interval;
            }
            self.jobs.watch();
        }
        // Asked each time: a source that never stops would keep it here.
        while self.drain.load(Ordering::Acquire)
            && (self.graph.inputs().iter().any(|input| input.is_waiting())
                || !(batch - interval).is_on_grid(self.graph.zero(), self.grid))
        {
            if let Err(error) = (self.on_drained)(batch) {
                self.jobs.report(error.in_batch(batch.as_millis()));
                break;
            }
            self.cut(batch);
            batch = batch + interval;
        }
    }

    /// Cuts for the time in which no process ran: few batches in place of many without
    /// data, unless there are not that many, and no more at a time than may be queued.
    /// Gives the last of them.
    fn catch_up(&self, mut last: BatchTime) -> BatchTime {
        let interval = self.graph.batch_interval();
        // These come again as they were, however many there are.
        while last + interval <= self.graph.noted_until()
            && self.jobs.await_room(self.max_queued_batches)
        {
            last = last + interval;
            self.cut(last);
        }
        let now = BatchTime::from_millis(self.clock.now_millis());
        let missed = (now - last).as_millis() / interval.as_millis();
        if missed > MISSED {
            let step = interval.saturating_mul((missed / MISSED) as u32 + 1);
            let longest =
                interval.saturating_mul((LONGEST.as_millis() / interval.as_millis()) as u32);
            let step = step.min(longest.max(interval));
            while last + step + interval <= now && self.jobs.await_room(self.max_queued_batches) {
                let next = last + step;
                // It is what it was.
                last = self
                    .next_restored()
                    .filter(|time| *time < next)
                    .unwrap_or(next);
                self.cut(last);
            }
        }
        last
    }

    fn generate(&self, time: BatchTime, passed: &mut Passed) {
        let waiting = self.logged.as_ref().map_or(0, |(_, desk)| desk.backlog());
        let queued = self.jobs.backlog() + waiting;
        if queued >= self.max_queued_batches {
            // The data stays where it is; a later batch takes it.
            passed.warn(time);
            match &self.logged {
                Some((_, desk)) => desk.put(Task::Skip(time, queued)),
                None => self.jobs.skip(time, queued),
            }
            return;
        }
        self.cut(time);
    }

    fn cut(&self, time: BatchTime) {
        let inputs = self.graph.inputs();
        if let Some((log, _)) = &self.logged {
            // In this order: what is not under way any more is in its ring.
            let under_way = log.first_under_way();
            let logged = inputs.iter().filter_map(|input| input.logged());
            let needed = logged.filter_map(|input| input.needed_behind(time));
            log.mark(time, needed.fold(under_way, u64::min));
        }
        let infos = inputs.iter().map(|input| input.cut(time)).collect();
        self.graph.set_last_cut(time);
        if let Some((_, desk)) = &self.logged {
            desk.put(Task::Batch(time, infos));
            return;
        }
        self.jobs.submit(time, infos);
        for input in &*inputs {
            input.queued();
        }
    }

    /// The next batch that has blocks of an earlier process.
    fn next_restored(&self) -> Option<BatchTime> {
        let inputs = self.graph.inputs();
        let logged = inputs.iter().filter_map(|input| input.logged());
        logged.filter_map(|input| input.next_restored()).min()
    }
}

impl Drop for Cutting {
    /// However the thread ends, nobody waits for further batches.
    fn drop(&mut self) {
        match &self.logged {
            // It does the same when all is logged.
            Some((_, desk)) => desk.close(),
            None => self.jobs.seal(),
        }
    }
}

/// Boundaries without a cut that nobody was warned of yet.
#[derive(Default)]
struct Passed {
    times: u64,
    warned: Option<BatchTime>,
}

impl Passed {
    /// Warns at most once a second: an overload may pass over hundreds of times
    /// in each.
    fn warn(&mut self, time: BatchTime) {
        self.times += 1;
        if self
            .warned
            .is_none_or(|warned| time >= warned + Duration::from_secs(1))
        {
            tracing::warn!(
                %time,
                times = self.times,
                "too many batches are queued: no batch is cut at this time"
            );
            *self = Self {
                times: 0,
                warned: Some(time),
            };
        }
    }
}
