//! One piece of work: its tasks, and who takes which.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::stopwatch::Stopwatch;
use super::{Pieces, pool};
use crate::error::{Error, Result};
use crate::task::{Effects, Scope};

struct Task {
    partition: usize,
    piece: usize,
    home: Option<usize>,
    /// Set once by the worker that takes the task.
    taken: AtomicBool,
}

impl Task {
    fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }
}

/// One call of [`Executor::fold`](super::Executor::fold): which tasks are taken, what
/// those that ran did beside their results, and the first error.
pub(super) struct Work<'w, I, F> {
    init: &'w I,
    step: &'w F,
    tasks: Vec<Task>,
    /// How many workers of each home have not begun yet; empty if no task has one.
    late: Vec<AtomicUsize>,
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
    /// `workers` are those of each home that will [`join_in`](Self::join_in).
    pub(super) fn new(
        parts: impl IntoIterator<Item = Pieces>,
        workers: impl Iterator<Item = usize>,
        init: &'w I,
        step: &'w F,
    ) -> Self {
        let partitions = parts.into_iter().enumerate();
        let tasks = partitions.flat_map(|(partition, Pieces { count, home })| {
            (0..count).map(move |piece| Task {
                partition,
                piece,
                home,
                taken: AtomicBool::new(false),
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let late = match tasks.iter().any(|task| task.home.is_some()) {
            true => workers.map(AtomicUsize::new).collect(),
            false => Vec::new(),
        };
        Self {
            init,
            step,
            tasks,
            late,
            failed: AtomicBool::new(false),
            error: Mutex::new(None),
            effects: Mutex::default(),
        }
    }

    /// Relaxed everywhere: the flag only decides who runs the task; what a task
    /// did is handed over when the pool's call returns.
    fn take(&self, task: usize) -> Option<&Task> {
        let task = &self.tasks[task];
        let taken = task.is_taken() || task.taken.swap(true, Ordering::Relaxed);
        (!taken).then_some(task)
    }

    pub(super) fn is_done(&self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.tasks.iter().all(Task::is_taken)
    }

    /// Whether there is at most one task, which any thread may take: the calling one may be
    /// far from a home.
    pub(super) fn is_one(&self) -> bool {
        self.tasks.len() <= 1 && self.late.is_empty()
    }

    /// The calling thread works alone, for `limit` at the most.
    pub(super) fn alone(&self, limit: Option<Duration>) -> S {
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
    pub(super) fn join_in(&self, worker: usize, workers: usize) -> Option<S> {
        let here = pool::node();
        let scope = Scope::enter();
        let mut state = None;
        let own = (0..self.tasks.len()).filter(|&i| match self.tasks[i].home {
            None => i % workers == worker,
            home => home == here,
        });
        let mut own = own.filter_map(|i| self.take(i));
        let first = own.next();
        if let Some(late) = here.and_then(|node| self.late.get(node)) {
            // Release: who learns that this worker has begun sees what it took.
            late.fetch_sub(1, Ordering::Release);
        }
        self.run_each(&mut state, first.into_iter().chain(own));
        loop {
            let others = self.left_over().filter_map(|i| self.take(i));
            if !self.run_each(&mut state, others) || self.late.is_empty() {
                break;
            }
        }
        self.keep(scope.leave());
        state
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

    /// Runs tasks as they are taken; says whether there were any, and none failed.
    fn run_each<'t>(
        &'t self,
        state: &mut Option<S>,
        tasks: impl Iterator<Item = &'t Task>,
    ) -> bool {
        let mut any = false;
        for task in tasks {
            any = !self.failed.load(Ordering::Relaxed)
                && self.run(state.get_or_insert_with(|| (self.init)()), task);
            if !any {
                break;
            }
        }
        any
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

    pub(super) fn into_result(self, states: Vec<S>) -> Result<Vec<S>> {
        let error = self
            .error
            .into_inner()
            .unwrap_or_else(|poison| poison.into_inner());
        if let Some(error) = error {
            return Err(error);
        }
        debug_assert!(self.tasks.iter().all(Task::is_taken), "a task is left");
        let effects = self
            .effects
            .into_inner()
            .unwrap_or_else(|poison| poison.into_inner());
        let each = effects.into_iter().map(Effects::commit);
        each.fold(Ok(()), Result::and)?;
        Ok(states)
    }
}
