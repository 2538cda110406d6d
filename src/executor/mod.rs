//! Core-local worker pools, and the one way in which data is worked on.
//!
//! There is a rayon pool per NUMA node. A piece of work is `n` indexed tasks
//! (the partitions of a data set) folded by every worker into a state of its
//! own: a partial table, a sum, a list. Worker `w` of `W` takes the tasks
//! `w, w + W, ...` first, in every batch the same ones, so that what belongs to
//! a partition stays in that core's cache; what was received on one of several nodes
//! is taken first by the workers of that node. Only then a worker takes what others have
//! not begun. Work that is too small to be worth waking anybody, by its weight or by what
//! such work [took before](paces), is done by the calling thread; where it is not much
//! larger, that thread takes the part of one worker, and as many others are woken as find
//! something to do.
//!
//! A task that fails or panics is [tried again](work), as its input is unchanged: of work
//! whose tasks share a state all tasks in that state, else the task alone. One that
//! uses up its input ([`consume`](Executor::consume)) can only be tried again together with
//! what made the input, which is the [`stage`](Executor::stage) around both.
//!
//! Invariants: a task never waits (no lock is held across tasks, no action
//! starts inside one); a task that fails too often ends that piece of work, not the
//! process; what tasks did beside their results counts once if all of them succeed,
//! and else not at all.

mod paces;
mod pool;
mod spares;
mod stopwatch;
mod work;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::block::Memory;
use crate::cpu::placement::Placement;
use crate::cpu::topology::Topology;
use crate::error::{Error, Result};
use crate::sync::{lock, unpoisoned};
use crate::task::{self, Scope, Stage, in_task};
use paces::Paces;
use pool::NodePool;
pub(crate) use spares::{Spare, Spares};
use stopwatch::Stopwatch;
use work::{Again, Attempts, Work};

/// Work that is expected to be done sooner than another thread would wake up.
const SMALL: usize = 4096;
/// The weight of a task that may be large for all that is known: two of them are
/// worth waking somebody.
pub(crate) const UNKNOWN: usize = SMALL;
/// Work that is expected to be done so soon that waking the workers counts: the calling
/// thread takes the part of one.
const SOON: usize = 16 * SMALL;
/// How long the calling thread works alone, if that takes longer than was expected.
const ALONE: Duration = Duration::from_micros(50);
/// So long behind work that they had a part in, workers are mostly awake.
const AWAKE: Duration = Duration::from_micros(200);
/// Work that took less before is done by the calling thread, whatever its weight.
const BRIEF: Duration = Duration::from_micros(20);

/// The worker pools of one context.
#[derive(Debug)]
pub(crate) struct Executor {
    pools: Vec<NodePool>,
    workers: usize,
    /// How many of them take part in new work. Only the number matters, so it is
    /// relaxed.
    active: AtomicUsize,
    default_parallelism: usize,
    /// How often a task may fail until its work does.
    task_max_failures: usize,
    memory: Arc<Memory>,
    paces: Paces,
    /// When it was started; and when workers had last a part in work beside the calling
    /// thread, in nanoseconds since then. Decides only who is woken, so it is relaxed.
    started: Stopwatch,
    beside: AtomicU64,
}

/// A partition in the pieces that several workers can share, each of them a task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pieces {
    pub(crate) count: usize,
    /// The node whose workers take them first, as an index into the pools.
    pub(crate) home: Option<usize>,
}

impl Executor {
    /// Starts `workers` threads (one per allowed core if `None`), pinned if asked.
    /// Work fails when a task of it has failed `task_max_failures` times. `memory` bounds
    /// what is kept beyond its batch.
    pub(crate) fn start(
        workers: Option<usize>,
        default_parallelism: Option<usize>,
        pin: bool,
        task_max_failures: usize,
        memory: Memory,
    ) -> Result<(Self, Placement)> {
        Self::start_on(
            &Topology::detect(),
            workers,
            default_parallelism,
            pin,
            task_max_failures,
            memory,
        )
    }

    /// As [`start`](Self::start), on these CPUs.
    fn start_on(
        topology: &Topology,
        workers: Option<usize>,
        default_parallelism: Option<usize>,
        pin: bool,
        task_max_failures: usize,
        memory: Memory,
    ) -> Result<(Self, Placement)> {
        let cores = topology
            .nodes
            .iter()
            .map(|node| node.cpus.len())
            .sum::<usize>();
        let workers = workers.unwrap_or(cores).max(1);
        let placement = Placement::plan(topology, workers, pin);
        let mut pools = Vec::new();
        let mut first = 0;
        for (node, slots) in placement.nodes().iter().enumerate() {
            let node = placement.has_homes().then_some(node);
            pools.push(NodePool::start(node, first, &slots.workers)?);
            first += slots.workers.len();
        }
        let default_parallelism = default_parallelism.unwrap_or(workers);
        Ok((
            Self {
                pools,
                workers,
                active: AtomicUsize::new(workers),
                default_parallelism,
                task_max_failures,
                memory: Arc::new(memory),
                paces: Paces::new(),
                started: Stopwatch::start(),
                beside: AtomicU64::new(0),
            },
            placement,
        ))
    }

    /// With so many workers, not pinned, no second attempts, and no bound on memory.
    #[cfg(test)]
    pub(crate) fn of(workers: usize) -> Self {
        Self::trying(workers, 1)
    }

    /// As [`of`](Self::of), but tasks may fail so often.
    #[cfg(test)]
    pub(crate) fn trying(workers: usize, task_max_failures: usize) -> Self {
        let memory = Memory::with_room(u64::MAX);
        Self::start(Some(workers), None, false, task_max_failures, memory)
            .expect("threads can be started")
            .0
    }

    /// As on a machine with two nodes of four CPUs each. CPUs that there are not pin nobody.
    #[cfg(test)]
    pub(crate) fn on_two_nodes(workers: usize) -> Self {
        let sysfs = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/sysfs/two_nodes"
        );
        let topology = Topology::read(std::path::Path::new(sysfs), &[0, 1, 2, 3, 4, 5, 6, 7]);
        let memory = Memory::with_room(u64::MAX);
        Self::start_on(&topology, Some(workers), None, true, 1, memory)
            .expect("threads can be started")
            .0
    }

    /// How many partitions a shuffle makes unless told otherwise.
    pub(crate) fn default_parallelism(&self) -> usize {
        self.default_parallelism
    }

    /// How many workers there are.
    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    /// How many workers take part in new work.
    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Lets so many workers take part in new work: at least one, and no more than
    /// there are. The others sleep.
    pub(crate) fn set_active(&self, workers: usize) {
        let active = workers.clamp(1, self.workers);
        self.active.store(active, Ordering::Relaxed);
    }

    /// Counts what is kept beyond its batch.
    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// An error inside a task, which must not wait for other tasks.
    pub(crate) fn check_outside(&self) -> Result<()> {
        if in_task() {
            return Err(Error::illegal_state(
                "an action on an Rdd was called inside a task of another one: collect what it \
                 gives before, or join the two",
            ));
        }
        Ok(())
    }

    /// Folds partitions into some states, most often one per participating worker.
    /// Several workers can share a partition: each of its pieces is a task. `step` gets the
    /// partition and the piece.
    ///
    /// `weight` is the expected work, about the number of records. The states
    /// come in no particular order; there is at least one. A task that fails takes the
    /// state with it: all tasks in that are run again, in another one.
    ///
    /// # Errors
    /// The first error or panic of a task that has failed too often; which partition is in
    /// the message. Then no [effect](crate::task::Effect) of any task counts. An error too
    /// when called from inside a task.
    pub(crate) fn fold<S: Send>(
        &self,
        parts: impl IntoIterator<Item = Pieces>,
        weight: usize,
        init: impl Fn() -> S + Sync,
        step: impl Fn(&mut S, usize, usize) -> Result<()> + Sync,
    ) -> Result<Vec<S>> {
        self.run(parts, weight, self.attempts(Again::State), init, step)
    }

    fn run<S: Send>(
        &self,
        parts: impl IntoIterator<Item = Pieces>,
        weight: usize,
        attempts: Attempts,
        init: impl Fn() -> S + Sync,
        step: impl Fn(&mut S, usize, usize) -> Result<()> + Sync,
    ) -> Result<Vec<S>> {
        self.check_outside()?;
        // Once: it may change.
        let active = self.active();
        let homes = self.pools.iter().filter(|pool| pool.is_home());
        let workers = homes.map(|pool| pool.active(active));
        let work = Work::new(parts, workers, attempts);
        let alone = |limit| work.alone(limit, &init, &step);
        let mut states = Vec::new();
        // A checker of models knows no other threads than those that it runs.
        let is_alone = work.is_one() || cfg!(shuttle);
        let kind = work::kind(&init, &step);
        let is_soon = weight <= SOON;
        let is_brief = || {
            let expected = self.paces.expect(kind, weight);
            is_soon && expected.is_some_and(|time| time <= BRIEF)
        };
        if is_alone || weight <= SMALL || is_brief() {
            states = alone((!is_alone).then_some(ALONE));
        }
        if !work.is_over() {
            let shared = Mutex::new(Vec::with_capacity(active));
            let join_in = |worker, workers| {
                let states = work.join_in(worker, workers, &init, &step);
                lock(&shared).extend(states);
            };
            // A program that asks for one worker gets one, and the calling thread may be far
            // from a home.
            if is_soon && active > 1 && !work.has_homes() {
                // A thread that is woken is often put where the waking one runs, and they take
                // turns then, with a core beside them idle. One more finds that.
                let spare = usize::from(self.since_beside() > AWAKE);
                let helpers = work.open().min(active) - 1 + spare;
                let body = |worker| join_in(worker, helpers + 1);
                pool::run_beside(&self.pools, helpers, &body);
                self.note_beside();
            } else {
                pool::run_on_all(&self.pools, active, &|worker| join_in(worker, active));
            }
            states.extend(unpoisoned(shared.into_inner()));
        }
        let spent = work.spent();
        work.commit()?;
        if weight > SMALL && is_soon {
            self.paces.note(kind, weight, spent);
        }
        if states.is_empty() {
            states.push(init());
        }
        Ok(states)
    }

    fn since_beside(&self) -> Duration {
        let last = Duration::from_nanos(self.beside.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(last)
    }

    fn note_beside(&self) {
        let now = self.started.elapsed().as_nanos() as u64;
        self.beside.store(now, Ordering::Relaxed);
    }

    fn attempts(&self, again: Again) -> Attempts {
        Attempts {
            again,
            first: 1,
            most: self.task_max_failures,
        }
    }

    /// Runs the tasks `0..n` and returns what they give, in order. One that fails is run
    /// again by itself, and so has to leave everything as it was, or to go on from there.
    ///
    /// # Errors
    /// As [`fold`](Self::fold).
    pub(crate) fn map<R: Send>(
        &self,
        n: usize,
        weight: usize,
        task: impl Fn(usize) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        self.map_at((0..n).map(|_| None), weight, task)
    }

    /// As [`map`](Self::map), of a task for each of the `homes`: the node whose workers
    /// take it first, as an index into the pools.
    pub(crate) fn map_at<R: Send>(
        &self,
        homes: impl IntoIterator<Item = Option<usize>>,
        weight: usize,
        task: impl Fn(usize) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        self.map_as(homes, weight, self.attempts(Again::Task), task)
    }

    /// As [`map`](Self::map), but a task that fails is not tried again: it changes what it
    /// works on.
    pub(crate) fn map_once<R: Send>(
        &self,
        n: usize,
        weight: usize,
        task: impl Fn(usize) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let attempts = Attempts {
            again: Again::Nothing,
            first: 1,
            most: 1,
        };
        self.map_as((0..n).map(|_| None), weight, attempts, task)
    }

    /// Runs a task with each of the `inputs`, which it uses up, and returns what they
    /// give, in order. If one fails, the [`stage`](Self::stage) that this is in is run
    /// again.
    pub(crate) fn consume<I: Send, R: Send>(
        &self,
        inputs: Vec<I>,
        weight: usize,
        task: impl Fn(usize, I) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        self.consume_at(inputs, |_| None, weight, task)
    }

    /// As [`consume`](Self::consume); the workers of an input's `home` take it first.
    pub(crate) fn consume_at<I: Send, R: Send>(
        &self,
        inputs: Vec<I>,
        home: impl Fn(&I) -> Option<usize>,
        weight: usize,
        task: impl Fn(usize, I) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let homes: Vec<_> = inputs.iter().map(home).collect();
        let (first, most) = match Stage::attempt() {
            Some(attempt) => (attempt, self.task_max_failures),
            None => (1, 1),
        };
        let attempts = Attempts {
            again: Again::Nothing,
            first,
            most,
        };
        let inputs: Vec<_> = inputs.into_iter().map(|it| Mutex::new(Some(it))).collect();
        let results = self.map_as(homes, weight, attempts, |i| {
            let input = lock(&inputs[i]).take();
            task(i, input.expect("each task runs once"))
        });
        if results.is_err() {
            Stage::use_up();
        }
        results
    }

    fn map_as<R: Send>(
        &self,
        homes: impl IntoIterator<Item = Option<usize>>,
        weight: usize,
        attempts: Attempts,
        task: impl Fn(usize) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let push = |done: &mut Vec<(usize, R)>, i, _| {
            done.push((i, task(i)?));
            Ok(())
        };
        let states = self.run(whole(homes), weight, attempts, Vec::new, push)?;
        let mut all: Vec<_> = states.into_iter().flatten().collect();
        all.sort_unstable_by_key(|&(i, _)| i);
        Ok(all.into_iter().map(|(_, result)| result).collect())
    }

    /// Runs user code that belongs to no partition, on the calling thread: a panic
    /// is an error here too. It may use up what it works on: the [`stage`](Self::stage)
    /// that this is in is run again then.
    pub(crate) fn once<R>(&self, task: impl FnOnce() -> R) -> Result<R> {
        self.check_outside()?;
        let scope = Scope::enter();
        let result = catch_unwind(AssertUnwindSafe(task)).map_err(|payload| {
            Stage::use_up();
            Error::from_panic(payload, "the merge of all partitions")
        })?;
        task::commit(vec![scope.leave()])?;
        Ok(result)
    }

    /// Runs pieces of work of which later ones use up what earlier ones made. If a task
    /// fails that has used up its input, all are run again from theirs, which `compute` has to
    /// leave as it is. What the tasks did beside their results counts once, when all have
    /// succeeded.
    ///
    /// # Errors
    /// Those of `compute`.
    pub(crate) fn stage<R>(&self, compute: impl Fn() -> Result<R>) -> Result<R> {
        let mut attempt = 1;
        loop {
            let stage = Stage::enter(attempt);
            match compute() {
                Ok(result) => {
                    stage.commit()?;
                    return Ok(result);
                }
                Err(error) if stage.is_used_up() && attempt < self.task_max_failures => {
                    tracing::warn!(attempt, %error, "a stage failed and is run again");
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Partitions in one piece each.
fn whole(homes: impl IntoIterator<Item = Option<usize>>) -> impl Iterator<Item = Pieces> {
    homes.into_iter().map(|home| Pieces { count: 1, home })
}
