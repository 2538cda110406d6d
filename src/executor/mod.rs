//! Core-local worker pools, and the one way in which data is worked on.
//!
//! There is a rayon pool per NUMA node. A piece of work is `n` indexed tasks
//! (the partitions of a data set) folded by every worker into a state of its
//! own: a partial table, a sum, a list. Worker `w` of `W` takes the tasks
//! `w, w + W, ...` first, in every batch the same ones, so that what belongs to
//! a partition stays in that core's cache; only then it takes what others have
//! not begun. Work that is too small to be worth waking anybody is done by the
//! calling thread; where it is not much larger, that thread begins with it while the
//! workers wake up.
//!
//! Invariants: a task never waits (no lock is held across tasks, no action
//! starts inside one); a panic in a task ends that piece of work, not the
//! process; what tasks did beside their results counts if all of them succeed,
//! and else not at all.

mod pool;
mod stopwatch;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::block::Memory;
use crate::cpu::placement::Placement;
use crate::cpu::topology::Topology;
use crate::error::{Error, Result};
use crate::task::{Effects, Scope, in_task};
use pool::NodePool;
use stopwatch::Stopwatch;

/// Work that is expected to be done sooner than another thread would wake up.
const SMALL: usize = 4096;
/// The weight of a task that may be large for all that is known: two of them are
/// worth waking somebody.
pub(crate) const UNKNOWN: usize = SMALL;
/// Work that is expected to be done so soon that waking the workers counts: the calling
/// thread begins with it meanwhile.
const SOON: usize = 16 * SMALL;
/// How long the calling thread works before it only waits for the workers.
const ALONE: Duration = Duration::from_micros(50);

/// The worker pools of one context.
#[derive(Debug)]
pub(crate) struct Executor {
    pools: Vec<NodePool>,
    workers: usize,
    /// How many of them take part in new work. Only the number matters, so it is
    /// relaxed.
    active: AtomicUsize,
    default_parallelism: usize,
    memory: Arc<Memory>,
}

impl Executor {
    /// Starts `workers` threads (one per allowed core if `None`), pinned if asked.
    /// `memory` bounds what is kept beyond its batch.
    pub(crate) fn start(
        workers: Option<usize>,
        default_parallelism: Option<usize>,
        pin: bool,
        memory: Memory,
    ) -> Result<(Self, Placement)> {
        let topology = Topology::detect();
        let cores = topology
            .nodes
            .iter()
            .map(|node| node.cpus.len())
            .sum::<usize>();
        let workers = workers.unwrap_or(cores).max(1);
        let placement = Placement::plan(&topology, workers, pin);
        let mut pools = Vec::new();
        let mut first = 0;
        for slots in placement.nodes() {
            pools.push(NodePool::start(first, &slots.workers)?);
            first += slots.workers.len();
        }
        let default_parallelism = default_parallelism.unwrap_or(workers);
        Ok((
            Self {
                pools,
                workers,
                active: AtomicUsize::new(workers),
                default_parallelism,
                memory: Arc::new(memory),
            },
            placement,
        ))
    }

    /// With so many workers, not pinned, and no bound on memory.
    #[cfg(test)]
    pub(crate) fn of(workers: usize) -> Self {
        let memory = Memory::with_room(u64::MAX);
        Self::start(Some(workers), None, false, memory)
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

    /// Folds the partitions `0..n` into one state per participating worker.
    ///
    /// `weight` is the expected work, about the number of records. The states
    /// come in no particular order; there is at least one.
    ///
    /// # Errors
    /// The first error or panic of a task; which partition is in the message. Then no
    /// [effect](crate::task::Effect) of any task counts. An error too when called
    /// from inside a task.
    pub(crate) fn fold<S: Send>(
        &self,
        n: usize,
        weight: usize,
        init: impl Fn() -> S + Sync,
        step: impl Fn(&mut S, usize) -> Result<()> + Sync,
    ) -> Result<Vec<S>> {
        let whole = (0..n).map(|_| 1);
        self.fold_pieces(whole, weight, init, |state, i, _| step(state, i))
    }

    /// As [`fold`](Self::fold), of partitions that several workers can share: each
    /// of its `pieces` is a task. `step` gets the partition and the piece.
    pub(crate) fn fold_pieces<S: Send>(
        &self,
        pieces: impl IntoIterator<Item = usize>,
        weight: usize,
        init: impl Fn() -> S + Sync,
        step: impl Fn(&mut S, usize, usize) -> Result<()> + Sync,
    ) -> Result<Vec<S>> {
        self.check_outside()?;
        let work = Work::new(pieces, &init, &step);
        let n = work.tasks.len();
        // Once: it may change.
        let active = self.active();
        let mut states = Vec::new();
        if n <= 1 || weight <= SMALL {
            let limit = if n <= 1 { None } else { Some(ALONE) };
            states.push(work.alone(limit));
        }
        if !work.is_done() {
            let shared = Mutex::new(Vec::with_capacity(active));
            let body = |worker| {
                let state = work.join_in(worker, active);
                shared
                    .lock()
                    .unwrap_or_else(|poison| poison.into_inner())
                    .extend(state);
            };
            pool::run_on_all(&self.pools, active, &body, || {
                // A program that asks for one worker gets one.
                if weight <= SOON && active > 1 {
                    states.push(work.alone(Some(ALONE)));
                }
            });
            states.extend(
                shared
                    .into_inner()
                    .unwrap_or_else(|poison| poison.into_inner()),
            );
        }
        work.into_result(states)
    }

    /// Runs the tasks `0..n` and returns what they give, in order.
    pub(crate) fn map<R: Send>(
        &self,
        n: usize,
        weight: usize,
        task: impl Fn(usize) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let states = self.fold(n, weight, Vec::new, |done: &mut Vec<(usize, R)>, i| {
            done.push((i, task(i)?));
            Ok(())
        })?;
        let mut all: Vec<_> = states.into_iter().flatten().collect();
        all.sort_unstable_by_key(|&(i, _)| i);
        Ok(all.into_iter().map(|(_, result)| result).collect())
    }

    /// Runs user code that belongs to no partition, on the calling thread: a panic
    /// is an error here too.
    pub(crate) fn once<R>(&self, task: impl FnOnce() -> R) -> Result<R> {
        self.check_outside()?;
        let scope = Scope::enter();
        let result = catch_unwind(AssertUnwindSafe(task))
            .map_err(|payload| Error::from_panic(payload, "the merge of all partitions"))?;
        scope.leave().commit()?;
        Ok(result)
    }
}

struct Task {
    partition: usize,
    piece: usize,
    /// Set once by the worker that takes the task.
    taken: AtomicBool,
}

/// One call of [`Executor::fold`]: which tasks are taken, what those that ran did
/// beside their results, and the first error.
struct Work<'w, I, F> {
    init: &'w I,
    step: &'w F,
    tasks: Vec<Task>,
    failed: AtomicBool,
    error: Mutex<Option<Error>>,
    /// Of each thread whose tasks had any.
    effects: Mutex<Vec<Effects>>,
}

impl<'w, S, I, F> Work<'w, I, F>
where
    I: Fn() -> S + Sync,
    F: Fn(&mut S, usize, usize) -> Result<()> + Sync,
{
    fn new(pieces: impl IntoIterator<Item = usize>, init: &'w I, step: &'w F) -> Self {
        let tasks = pieces.into_iter().enumerate().flat_map(|(partition, n)| {
            (0..n).map(move |piece| Task {
                partition,
                piece,
                taken: AtomicBool::new(false),
            })
        });
        Self {
            init,
            step,
            tasks: tasks.collect(),
            failed: AtomicBool::new(false),
            error: Mutex::new(None),
            effects: Mutex::default(),
        }
    }

    /// Relaxed everywhere: the flag only decides who runs the task; what a task
    /// did is handed over when the pool's call returns.
    fn take(&self, task: usize) -> Option<&Task> {
        let task = &self.tasks[task];
        let taken = task.taken.load(Ordering::Relaxed) || task.taken.swap(true, Ordering::Relaxed);
        (!taken).then_some(task)
    }

    fn is_done(&self) -> bool {
        let is_taken = |task: &Task| task.taken.load(Ordering::Relaxed);
        self.failed.load(Ordering::Relaxed) || self.tasks.iter().all(is_taken)
    }

    /// The calling thread works alone, for `limit` at the most.
    fn alone(&self, limit: Option<Duration>) -> S {
        let since = Stopwatch::start();
        let scope = Scope::enter();
        let mut state = (self.init)();
        for task in 0..self.tasks.len() {
            let Some(task) = self.take(task) else {
                continue;
            };
            if !self.run(&mut state, task) {
                break;
            }
            if limit.is_some_and(|limit| since.elapsed() > limit) {
                break;
            }
        }
        self.keep(scope.leave());
        state
    }

    /// What worker `worker` of `workers` makes of the tasks that it gets.
    fn join_in(&self, worker: usize, workers: usize) -> Option<S> {
        let n = self.tasks.len();
        let scope = Scope::enter();
        let mut state = None;
        let own = (worker..n).step_by(workers);
        for task in own.chain(0..n) {
            if self.failed.load(Ordering::Relaxed) {
                break;
            }
            let Some(task) = self.take(task) else {
                continue;
            };
            if !self.run(state.get_or_insert_with(|| (self.init)()), task) {
                break;
            }
        }
        self.keep(scope.leave());
        state
    }

    fn keep(&self, effects: Effects) {
        if !effects.is_empty() {
            self.effects
                .lock()
                .unwrap_or_else(|poison| poison.into_inner())
                .push(effects);
        }
    }

    fn run(&self, state: &mut S, task: &Task) -> bool {
        let &Task {
            partition, piece, ..
        } = task;
        // A state that a panic left half changed is dropped with the work.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.step)(state, partition, piece)));
        let error = match outcome {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => error,
            Err(payload) => Error::from_panic(payload, &format!("partition {partition}")),
        };
        self.failed.store(true, Ordering::Relaxed);
        let mut first = self
            .error
            .lock()
            .unwrap_or_else(|poison| poison.into_inner());
        first.get_or_insert(error);
        false
    }

    fn into_result(self, states: Vec<S>) -> Result<Vec<S>> {
        let error = self
            .error
            .into_inner()
            .unwrap_or_else(|poison| poison.into_inner());
        if let Some(error) = error {
            return Err(error);
        }
        let effects = self
            .effects
            .into_inner()
            .unwrap_or_else(|poison| poison.into_inner());
        let each = effects.into_iter().map(Effects::commit);
        each.fold(Ok(()), Result::and)?;
        Ok(states)
    }
}
