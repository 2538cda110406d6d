//! The lives of a program, one after the other on what each leaves on the disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use shuttle::thread::{self, JoinHandle};

use super::events::{End, Event, INTERVAL, Plan, survives};
use super::outside::{Life, Received};
use super::program::{build, declare, outputs};
use super::truth::Truth;
use crate::checkpoint::{KEPT, file_name, times};
use crate::context::StreamingContext;
use crate::disk::sim::random::Random;
use crate::disk::sim::{Fault, SimDisk, Survives, with_disk};
use crate::error::Result;
use crate::sync::engine::AtomicBool;
use crate::time::{BatchTime, Clock, Duration, ManualClock, first_batch_time};

const DIR: &str = "/checkpoints";

/// A batch that could not be written to the log is tried again by then.
const RETRY: Duration = Duration::from_secs(1);

/// What came of seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) lives: u64,
    pub(super) batches: u64,
    /// Changes of the disk.
    pub(super) changes: u64,
    /// Tells apart what happened.
    pub(super) trace: u64,
}

impl Outcome {
    pub(super) fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        self.batches += other.batches;
        self.changes += other.changes;
        // In any order.
        self.trace = self.trace.wrapping_add(other.trace);
    }
}

/// Lives all lives of the program that a seed stands for.
///
/// # Panics
/// If anything is not as it has to be.
pub(super) fn run(seed: u64, tells: bool) -> Outcome {
    let mut chance = Random::new(seed);
    let plan = Plan::choose(&mut chance);
    let mut truth = Truth::new(plan, tells);
    truth.note(format!("{plan:?}"));
    let mut lives = Lives {
        plan,
        chance,
        disk: SimDisk::new(),
        now: BatchTime::from_millis(0),
        life: Life::first(truth),
        newest: i64::MIN,
        safe_from: i64::MIN,
        outcome: Outcome::default(),
    };
    for _ in 0..plan.lives {
        lives.live();
        // Here, where no context is left that would be dropped in a panic.
        lives.life.with(|truth| truth.check());
    }
    lives.live_in_peace();
    let Lives {
        life, mut outcome, ..
    } = lives;
    life.with(|truth| {
        truth.check_end(&outputs(&plan));
        truth.check();
        outcome.batches = truth.batches() as u64;
        outcome.trace = truth.trace();
    });
    outcome
}

struct Lives {
    plan: Plan,
    chance: Random,
    disk: SimDisk,
    /// When the last life ended.
    now: BatchTime,
    life: Life,
    /// The newest checkpoint that was there when a life began.
    newest: i64,
    /// From this checkpoint on each can be gone on from. When the newest ones cannot be read,
    /// those that are left are fewer than are kept, until others come.
    safe_from: i64,
    outcome: Outcome,
}

/// A program that runs.
struct Running {
    ssc: StreamingContext,
    clock: ManualClock,
    /// Its first batch comes behind this one.
    behind: BatchTime,
    received: Option<Received>,
    /// Threads of the receiver's source.
    storing: Vec<JoinHandle<()>>,
}

/// A graceful stop on a thread of its own.
struct Stopping {
    thread: JoinHandle<Result<()>>,
    has_ended: Arc<AtomicBool>,
}

impl Lives {
    /// A life with all that can go wrong.
    fn live(&mut self) {
        let checkpoints = self.checkpoints();
        if self.chance.below(6) == 0 {
            self.damage_some(&checkpoints);
        }
        let begun = self.disk.operations();
        if self.plan.holds_failed && self.chance.below(10) == 0 {
            let (well, badly) = (self.chance.below(30), 1 + self.chance.below(5));
            self.happens(None, Event::FailDisk(well as u64, badly as u64, Fault::Io));
        }
        let Some(mut running) = self.start() else {
            self.end_disk(Survives::Written, None);
            return;
        };
        // Whatever it did until now can be cut off at any moment, if nobody has heard of it.
        let operations = self.disk.operations();
        if self.chance.below(8) == 0 && !self.life.with(|truth| truth.was_heard) {
            let at = begun + self.chance.below(operations - begun + 1);
            self.crash(at);
            let _ = running.ssc.stop(false);
            self.let_go(running);
            return;
        }
        for _ in 0..5 + self.chance.below(50) {
            let event = Event::choose(&mut self.chance, &self.plan);
            self.happens(Some(&mut running), event);
            if self.life.with(|truth| truth.is_wrong()) {
                break;
            }
        }
        match End::choose(&mut self.chance) {
            End::Graceful => self.stop(running),
            End::Hard => {
                self.life.with(|truth| truth.note("stop".to_owned()));
                let stopped = running.ssc.stop(false);
                self.end(running, stopped, false);
            }
            End::Interrupted => {
                let stopping = self.begin_stop(&running);
                (0..self.chance.below(300)).for_each(|_| thread::yield_now());
                let has_faults = self.life.with(|truth| truth.has_faults);
                self.crash_now();
                // Nobody hears how that ends.
                let _ = running.await_stop(stopping, has_faults);
                self.let_go(running);
            }
            End::Crash => {
                self.crash_now();
                let _ = running.ssc.stop(false);
                self.let_go(running);
            }
        }
    }

    /// The checkpoints that are there, the newest first.
    fn checkpoints(&mut self) -> Vec<i64> {
        let times = times(&self.disk, Path::new(DIR)).unwrap_or_default();
        let times: Vec<_> = times.iter().rev().map(|time| time.as_millis()).collect();
        let newest = times.first().copied().unwrap_or(i64::MIN);
        if newest < self.newest {
            self.safe_from = newest;
        }
        self.newest = newest;
        times
    }

    /// The newest checkpoints cannot be read any more, all but one of those that are kept at
    /// the most.
    fn damage_some(&mut self, checkpoints: &[i64]) {
        let safe = checkpoints.partition_point(|&time| time >= self.safe_from);
        let most = safe.min(KEPT).saturating_sub(1);
        let damaged = match self.chance.below(2) {
            0 => most,
            _ => self.chance.below(most + 1),
        };
        self.life
            .with(|truth| truth.note(format!("{damaged} of {checkpoints:?} are damaged")));
        for &time in &checkpoints[..damaged] {
            let path = Path::new(DIR).join(file_name(BatchTime::from_millis(time)));
            let half = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2);
            self.disk.damage(&path, half).expect("it is there");
        }
    }

    /// The last life, in which nothing goes wrong any more.
    fn live_in_peace(&mut self) {
        let Some(running) = self.start() else {
            return;
        };
        // New batches; a graceful stop may have cut some before their time.
        let until = running.boundary().max(running.behind) + 2 * INTERVAL;
        while running.boundary() < until {
            running.clock.advance(INTERVAL);
        }
        running.ssc.await_batch(running.boundary());
        self.stop(running);
    }

    /// Starts the program on what is on the disk. None if the disk does not let it.
    fn start(&mut self) -> Option<Running> {
        self.outcome.lives += 1;
        let life = self.life.next();
        life.with(|truth| truth.note(format!("a life begins at {}", self.now)));
        let clock = ManualClock::new(self.now.as_millis());
        let started = self.try_start(&life, clock);
        self.life = life;
        match started {
            Ok(running) => {
                let behind = running.behind.as_millis();
                if behind < self.newest {
                    self.safe_from = behind;
                }
                Some(running)
            }
            Err(error) => {
                self.life.with(|truth| {
                    truth.note(format!("it could not start: {error}"));
                    if !truth.has_faults {
                        truth.blame(format!("it could not start: {error}"));
                    }
                });
                None
            }
        }
    }

    fn try_start(&self, life: &Life, clock: ManualClock) -> Result<Running> {
        with_disk(&self.disk, || {
            let ssc = StreamingContext::get_or_create(DIR, || build(&self.plan, &clock))?;
            let zero = first_batch_time(self.now.as_millis(), INTERVAL) - INTERVAL;
            let behind = ssc.recovered_time().unwrap_or(zero);
            life.with(|truth| truth.begin_life(behind));
            let received = declare(&ssc, &self.plan, life)?;
            ssc.start()?;
            Ok(Running {
                ssc,
                behind,
                clock,
                received,
                storing: Vec::new(),
            })
        })
    }

    fn happens(&mut self, running: Option<&mut Running>, event: Event) {
        self.life.with(|truth| truth.note(format!("{event:?}")));
        match event {
            Event::FailDisk(well, badly, fault) => {
                self.life.with(|truth| truth.has_faults = true);
                let first = self.disk.calls() + well;
                self.disk.fail(first..first + badly, fault);
            }
            Event::Produce(count) => self.life.with(|truth| truth.available += count),
            Event::Refuse(refusal, times) => self.life.with(|truth| {
                truth.refusals.extend(std::iter::repeat_n(refusal, times));
            }),
            Event::FailOutput => self.life.with(|truth| truth.output_fails = true),
            Event::Yield(times) => (0..times).for_each(|_| thread::yield_now()),
            _ => {}
        }
        let Some(running) = running else {
            return;
        };
        match event {
            Event::Pass(batches) => running.clock.advance(INTERVAL * batches),
            Event::PassHalf => running.clock.advance(INTERVAL / 2),
            // A batch that cannot be written to the log is tried again when time passes.
            Event::Await => {
                let is_tried_again = self.life.with(|truth| truth.has_faults);
                if !is_tried_again && running.boundary() > running.behind {
                    running.ssc.await_batch(running.boundary());
                }
            }
            Event::Store(stores, count) => {
                if let Some(received) = running.received.clone() {
                    let storing = thread::spawn(move || received.store(stores, count));
                    running.storing.push(storing);
                }
            }
            Event::Restart => {
                if let Some(received) = &running.received {
                    received.restart();
                }
            }
            _ => {}
        }
    }

    /// Begins to stop as it should, with a disk that works again.
    fn begin_stop(&self, running: &Running) -> Stopping {
        self.disk.mend();
        self.life
            .with(|truth| truth.note("graceful stop".to_owned()));
        let (ssc, has_ended) = (running.ssc.clone(), Arc::<AtomicBool>::default());
        let ended = Arc::clone(&has_ended);
        let thread = thread::spawn(move || {
            let stopped = ssc.stop(true);
            ended.store(true, Ordering::SeqCst);
            stopped
        });
        Stopping { thread, has_ended }
    }

    /// Stops as it should.
    fn stop(&mut self, running: Running) {
        let stopping = self.begin_stop(&running);
        let has_faults = self.life.with(|truth| truth.has_faults);
        let stopped = running.await_stop(stopping, has_faults);
        self.end(running, stopped, true);
    }

    fn end(&mut self, running: Running, stopped: Result<()>, graceful: bool) {
        self.let_go(running);
        self.life.with(|truth| match stopped {
            Ok(()) if graceful => truth.stopped(),
            Ok(()) => {}
            Err(error) if truth.has_faults => truth.note(format!("the stop: {error}")),
            Err(error) => truth.blame(format!("the stop: {error}")),
        });
        let survives = survives(&mut self.chance, &self.plan);
        self.end_disk(survives, None);
    }

    fn crash_now(&mut self) {
        // No thread does anything between the two.
        let at = self.disk.operations();
        self.crash(at);
    }

    /// The process, or the machine, is gone when the disk was changed so often. Its threads are
    /// still there, but are seen and heard no more.
    fn crash(&mut self, at: usize) {
        self.life.with(|truth| {
            truth.note("crash".to_owned());
            truth.end_life();
        });
        let survives = survives(&mut self.chance, &self.plan);
        self.end_disk(survives, Some(at));
    }

    /// Waits for the source's threads, and drops the context.
    fn let_go(&mut self, running: Running) {
        let away = INTERVAL * self.chance.below(4) as u32;
        self.now = BatchTime::from_millis(running.clock.now_millis()) + away;
        for storing in running.storing {
            storing.join().expect("it does not panic");
        }
    }

    /// The next life begins with what is left on the disk behind this one.
    fn end_disk(&mut self, survives: Survives, at: Option<usize>) {
        let at = at.unwrap_or_else(|| self.disk.operations());
        self.outcome.changes += at as u64;
        let changes = format!("{:?}", self.disk);
        self.life.with(|truth| {
            truth.note(format!("{survives:?} of the disk after {at}"));
            truth.note_changes(&changes);
            if truth.life == self.life.number() {
                truth.end_life();
            }
        });
        self.disk = self.disk.crash(at, survives);
    }
}

impl Running {
    /// Waits for a stop. If something may have to be tried again, time passes.
    fn await_stop(&self, stopping: Stopping, is_tried_again: bool) -> Result<()> {
        while is_tried_again && !stopping.has_ended.load(Ordering::SeqCst) {
            self.clock.advance(RETRY);
            (0..200).for_each(|_| thread::yield_now());
        }
        stopping.thread.join().expect("it does not panic")
    }

    /// The batch time of the last boundary.
    fn boundary(&self) -> BatchTime {
        BatchTime::from_millis(self.clock.now_millis()).floor(INTERVAL)
    }
}
