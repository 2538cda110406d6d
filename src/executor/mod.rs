//! Core-local worker pools, and the one way in which data is worked on.
//!
//! There is a rayon pool per NUMA node. A piece of work is `n` indexed tasks
//! (the partitions of a data set) folded by every worker into a state of its
//! own: a partial table, a sum, a list. Worker `w` of `W` takes the tasks
//! `w, w + W, ...` first, in every batch the same ones, so that what belongs to
//! a partition stays in that core's cache; what was received on one of several nodes
//! is taken first by the workers of that node. Only then a worker takes what others have
//! not begun. Work that is too small to be worth waking anybody is done by the
//! calling thread; where it is not much larger, that thread begins with it while the
//! workers wake up.
//!
//! Invariants: a task never waits (no lock is held across tasks, no action
//! starts inside one); a panic in a task ends that piece of work, not the
//! process; what tasks did beside their results counts if all of them succeed,
//! and else not at all.

mod pool;
mod spares;
mod stopwatch;
mod work;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::block::Memory;
use crate::cpu::placement::Placement;
use crate::cpu::topology::Topology;
use crate::error::{Error, Result};
use crate::task::{Scope, in_task};
use pool::NodePool;
pub(crate) use spares::{Spare, Spares};
use work::Work;

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

/// A partition in the pieces that several workers can share, each of them a task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pieces {
    pub(crate) count: usize,
    /// The node whose workers take them first, as an index into the pools.
    pub(crate) home: Option<usize>,
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
        Self::start_on(
            &Topology::detect(),
            workers,
            default_parallelism,
            pin,
            memory,
        )
    }

    /// As [`start`](Self::start), on these CPUs.
    fn start_on(
        topology: &Topology,
        workers: Option<usize>,
        default_parallelism: Option<usize>,
        pin: bool,
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
                memory: Arc::new(memory),
            },
            placement,
        ))
    }

    /// With so many workers, not pinned, and no bound on memory.
    #[cfg(test)]
    pub(crate) fn of(workers: usize) -> Self {
        let memory = Memory::new(u64::MAX, std::env::temp_dir());
        Self::start(Some(workers), None, false, memory)
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
        let memory = Memory::new(u64::MAX, std::env::temp_dir());
        Self::start_on(&topology, Some(workers), None, true, memory)
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

    /// Folds partitions into one state per participating worker. `step` gets the
    /// partition and the piece.
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
        parts: impl IntoIterator<Item = Pieces>,
        weight: usize,
        init: impl Fn() -> S + Sync,
        step: impl Fn(&mut S, usize, usize) -> Result<()> + Sync,
    ) -> Result<Vec<S>> {
        self.check_outside()?;
        // Once: it may change.
        let active = self.active();
        let homes = self.pools.iter().filter(|pool| pool.is_home());
        let workers = homes.map(|pool| pool.active(active));
        let work = Work::new(parts, workers, &init, &step);
        let mut states = Vec::new();
        // A checker of models knows no other threads than those that it runs.
        let is_alone = work.is_one() || cfg!(shuttle);
        if is_alone || weight <= SMALL {
            states.push(work.alone((!is_alone).then_some(ALONE)));
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
        let step = |done: &mut Vec<(usize, R)>, i, _| {
            done.push((i, task(i)?));
            Ok(())
        };
        let states = self.fold(whole(homes), weight, Vec::new, step)?;
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

/// Partitions in one piece each.
fn whole(homes: impl IntoIterator<Item = Option<usize>>) -> impl Iterator<Item = Pieces> {
    homes.into_iter().map(|home| Pieces { count: 1, home })
}
