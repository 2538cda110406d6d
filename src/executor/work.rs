//! One piece of work: tasks that threads take, and what is tried again when one fails.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::paces::Kind;
use super::stopwatch::Stopwatch;
use super::{Pieces, pool};
use crate::error::{Error, Result};
use crate::sync::{lock, unpoisoned};
use crate::task::{self, Effects, Scope};

/// What is tried again when a task fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// The task alone, as it leaves the state as it was.
    Task,
    /// All tasks that are in the state, in a new one: it is half changed.
    State,
    /// Nothing.
    Nothing,
}

/// The attempts at a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempts {
    pub(super) again: Again,
    /// The number of the first one here: the work may have been tried before.
    pub(super) first: usize,
    /// How many there are in all.
    pub(super) most: usize,
}

struct Task {
    partition: usize,
    piece: usize,
    home: Option<usize>,
    /// The state that it is in; 0 as long as nobody has taken it.
    state: AtomicU32,
}

impl Task {
    fn is_taken(&self) -> bool {
        self.state.load(Ordering::Relaxed) != 0
    }
}

/// One call of [`Executor::fold`](super::Executor::fold): which tasks are taken, what
/// those that ran did beside their results, and the first error.
pub(super) struct Work {
    tasks: Vec<Task>,
    /// How many workers of each home have not begun yet; empty if no task has one.
    late: Vec<AtomicUsize>,
    attempts: Attempts,
    /// How many states were begun.
    states: AtomicU32,
    /// Nanoseconds that threads have spent in it, all together.
    spent: AtomicU64,
    has_failed: AtomicBool,
    error: Mutex<Option<Error>>,
    /// Of the states that were not lost.
    effects: Mutex<Vec<Effects>>,
}

impl Work {
    /// `workers` are those of each home that will [`join_in`](Self::join_in).
    pub(super) fn new(
        parts: impl IntoIterator<Item = Pieces>,
        workers: impl Iterator<Item = usize>,
        attempts: Attempts,
    ) -> Self {
        let partitions = parts.into_iter().enumerate();
        let tasks = partitions.flat_map(|(partition, Pieces { count, home })| {
            (0..count).map(move |piece| Task {
                partition,
                piece,
                home,
                state: AtomicU32::new(0),
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let late = match tasks.iter().any(|task| task.home.is_some()) {
            true => workers.map(AtomicUsize::new).collect(),
            false => Vec::new(),
        };
        Self {
            tasks,
            late,
            attempts,
            states: AtomicU32::new(0),
            spent: AtomicU64::new(0),
            has_failed: AtomicBool::new(false),
            error: Mutex::new(None),
            effects: Mutex::default(),
        }
    }

    /// Whether there is at most one task, which any thread may take: the calling one may be
    /// far from a home.
    pub(super) fn is_one(&self) -> bool {
        self.tasks.len() <= 1 && !self.has_homes()
    }

    /// Whether some tasks belong to the workers of a node.
    pub(super) fn has_homes(&self) -> bool {
        !self.late.is_empty()
    }

    /// Whether there is nothing left to do.
    pub(super) fn is_over(&self) -> bool {
        self.has_failed() || self.open() == 0
    }

    /// How many tasks nobody has taken.
    pub(super) fn open(&self) -> usize {
        self.tasks.iter().filter(|task| !task.is_taken()).count()
    }

    /// How long threads have worked on it, all together.
    pub(super) fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Ordering::Relaxed))
    }

    /// The calling thread takes part, for `limit` at the most. Gives the states into which
    /// the tasks were folded that it got.
    pub(super) fn alone<S>(
        &self,
        limit: Option<Duration>,
        init: &impl Fn() -> S,
        step: &impl Fn(&mut S, usize, usize) -> Result<()>,
    ) -> Vec<S> {
        let mut part = Part::new(self, init, step);
        for task in 0..self.tasks.len() {
            if !part.take(task) {
                continue;
            }
            if !part.run(task) || limit.is_some_and(|limit| part.since.elapsed() > limit) {
                break;
            }
        }
        part.end()
    }

    /// As [`alone`](Self::alone), of worker `worker` of `workers`.
    pub(super) fn join_in<S>(
        &self,
        worker: usize,
        workers: usize,
        init: &impl Fn() -> S,
        step: &impl Fn(&mut S, usize, usize) -> Result<()>,
    ) -> Vec<S> {
        let here = pool::node();
        let mut part = Part::new(self, init, step);
        let is_own = |task: usize| match self.tasks[task].home {
            None => task % workers == worker,
            home => home == here,
        };
        let mut own = (0..self.tasks.len()).filter(|&task| is_own(task));
        let first = own.find(|&task| part.take(task));
        if let Some(late) = here.and_then(|node| self.late.get(node)) {
            // Release: who learns that this worker has begun sees what it took.
            late.fetch_sub(1, Ordering::Release);
        }
        if first.is_none_or(|first| part.run(first)) && part.run_each(own).is_some() {
            while let Some(1..) = part.run_each(self.left_over())
                && !self.late.is_empty()
            {}
        }
        part.end()
    }

    /// The tasks to help others with. A node keeps one for each of its workers that is
    /// still to come: those are waking up, and near the data.
    fn left_over(&self) -> impl Iterator<Item = usize> {
        let open = |node| {
            let of_node = |task: &&Task| task.home == Some(node) && !task.is_taken();
            self.tasks.iter().filter(of_node).count()
        };
        let late = self.late.iter().enumerate();
        let mut free: Vec<usize> = late
            .map(|(node, late)| {
                // Acquire, and before the look at the tasks: see `join_in`.
                let late = late.load(Ordering::Acquire);
                open(node).saturating_sub(late)
            })
            .collect();
        (0..self.tasks.len()).filter(move |&i| {
            let task = &self.tasks[i];
            let Some(free) = task.home.and_then(|node| free.get_mut(node)) else {
                return true;
            };
            let helps = *free > 0 && !task.is_taken();
            *free -= usize::from(helps);
            helps
        })
    }

    /// Makes count what the tasks did.
    ///
    /// # Errors
    /// The first error of a task; then nothing of any counts.
    pub(super) fn commit(self) -> Result<()> {
        match unpoisoned(self.error.into_inner()) {
            Some(error) => Err(error),
            None => task::commit(unpoisoned(self.effects.into_inner())),
        }
    }

    fn next_state(&self) -> u32 {
        self.states.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    fn keep(&self, effects: Effects) {
        if !effects.is_empty() {
            lock(&self.effects).push(effects);
        }
    }

    /// An attempt failed. Tells whether there may be another one.
    fn note_failure(&self, task: usize, attempt: usize, failure: Failure) -> bool {
        let Attempts { again, most, .. } = self.attempts;
        let partition = self.tasks[task].partition;
        let what = match most {
            1 => format!("partition {partition}"),
            _ => format!("partition {partition} (attempt {attempt} of {most})"),
        };
        let error = match failure {
            Failure::Panic(payload) => Error::from_panic(payload, &what),
            Failure::Error(error) if most == 1 => error,
            Failure::Error(error) => {
                Error::new(error.kind(), format!("{what} failed")).with_source(error)
            }
        };
        if again != Again::Nothing && attempt < most && !self.has_failed() {
            tracing::warn!(partition, attempt, %error, "a task failed and is tried again");
            return true;
        }
        self.has_failed.store(true, Ordering::Relaxed);
        lock(&self.error).get_or_insert(error);
        false
    }
}

/// What the tasks of such work do.
pub(super) fn kind<S, I, F>(_init: &I, _step: &F) -> Kind
where
    I: Fn() -> S,
    F: Fn(&mut S, usize, usize) -> Result<()>,
{
    // One that is called seldom: to have the address of others keeps them from being
    // compiled into their callers.
    let try_again: fn(&mut _, usize, Failure) -> _ = Part::<S, I, F>::try_again;
    Kind::of(try_again as *const ())
}

/// How an attempt at a task failed.
enum Failure {
    Panic(Box<dyn Any + Send>),
    Error(Error),
}

/// What one thread makes of the tasks that it gets.
struct Part<'w, S, I, F> {
    work: &'w Work,
    init: &'w I,
    step: &'w F,
    scope: Scope,
    since: Stopwatch,
    /// None before the first task.
    state: Option<S>,
    /// The number of the state.
    number: u32,
    /// States that no further task goes into.
    done: Vec<S>,
}

impl<'w, S, I, F> Part<'w, S, I, F>
where
    I: Fn() -> S,
    F: Fn(&mut S, usize, usize) -> Result<()>,
{
    fn new(work: &'w Work, init: &'w I, step: &'w F) -> Self {
        Self {
            work,
            init,
            step,
            scope: Scope::enter(),
            since: Stopwatch::start(),
            state: None,
            number: work.next_state(),
            done: Vec::new(),
        }
    }

    /// Takes a task, unless somebody has it or the work has failed.
    ///
    /// Relaxed everywhere: the number only decides who runs the task; what a task did is
    /// handed over when the pool's call returns.
    fn take(&self, task: usize) -> bool {
        let slot = &self.work.tasks[task].state;
        let relaxed = Ordering::Relaxed;
        !self.work.has_failed()
            && slot.load(relaxed) == 0
            && slot
                .compare_exchange(0, self.number, relaxed, relaxed)
                .is_ok()
    }

    /// Runs those of the tasks that nobody has taken. Tells how many, unless one failed.
    fn run_each(&mut self, tasks: impl Iterator<Item = usize>) -> Option<usize> {
        let mut ran = 0;
        for task in tasks {
            if self.take(task) {
                ran += 1;
                if !self.run(task) {
                    return None;
                }
            }
        }
        Some(ran)
    }

    /// The states, when no further task is taken.
    fn end(mut self) -> Vec<S> {
        self.close();
        let spent = self.since.elapsed().as_nanos() as u64;
        self.work.spent.fetch_add(spent, Ordering::Relaxed);
        self.done
    }

    /// Runs a task, more than once if need be. Tells whether it succeeded.
    #[inline]
    fn run(&mut self, task: usize) -> bool {
        match self.attempt(task) {
            Ok(()) => true,
            Err(failure) => self.try_again(task, failure),
        }
    }

    #[inline]
    fn attempt(&mut self, task: usize) -> Result<(), Failure> {
        let &Task {
            partition, piece, ..
        } = &self.work.tasks[task];
        // What a panic leaves half changed is dropped, or was not touched.
        let step = AssertUnwindSafe(|| {
            let state = self.state.get_or_insert_with(self.init);
            (self.step)(state, partition, piece)
        });
        match catch_unwind(step) {
            Err(payload) => return Err(Failure::Panic(payload)),
            Ok(Err(error)) => return Err(Failure::Error(error)),
            Ok(Ok(())) => {}
        }
        if self.work.attempts.again == Again::Task {
            // Apart from what a later task does that fails.
            self.work.keep(self.scope.take());
        }
        Ok(())
    }

    /// Tries a task again that failed for the first time, and what was lost with it.
    /// Tells whether all of them succeeded.
    #[cold]
    fn try_again(&mut self, failed: usize, mut failure: Failure) -> bool {
        let work = self.work;
        let is_state_lost = work.attempts.again == Again::State;
        // With the number of its last attempt. The one that failed comes first: if it
        // fails again, nothing else is lost.
        let mut tasks = vec![(failed, work.attempts.first)];
        if is_state_lost {
            let lost = (0..work.tasks.len()).filter(|&task| {
                task != failed && work.tasks[task].state.load(Ordering::Relaxed) == self.number
            });
            tasks.extend(lost.map(|task| (task, work.attempts.first)));
        }
        'again: loop {
            drop(self.scope.take());
            if is_state_lost {
                self.state = None;
            }
            let (task, attempt) = &mut tasks[0];
            if !work.note_failure(*task, *attempt, failure) {
                return false;
            }
            *attempt += 1;
            for i in 0..tasks.len() {
                if let Err(again) = self.attempt(tasks[i].0) {
                    failure = again;
                    tasks.swap(0, i);
                    continue 'again;
                }
            }
            break;
        }
        if is_state_lost {
            // So that another failure does not cost all of this once more.
            self.close();
            self.number = work.next_state();
        }
        true
    }

    /// No further task goes into the state.
    fn close(&mut self) {
        self.work.keep(self.scope.take());
        if let Some(state) = self.state.take() {
            self.done.push(state);
        }
    }
}
