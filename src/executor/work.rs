//! One piece of work: tasks that threads take, and what is tried again when one fails.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::stopwatch::Stopwatch;
use crate::error::{Error, Result};
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
    /// The state that it is in; 0 as long as nobody has taken it.
    state: AtomicU32,
}

/// One call of [`Executor::fold`](super::Executor::fold): which tasks are taken, what
/// those that ran did beside their results, and the first error.
pub(super) struct Work {
    tasks: Vec<Task>,
    attempts: Attempts,
    /// How many states were begun.
    states: AtomicU32,
    has_failed: AtomicBool,
    error: Mutex<Option<Error>>,
    /// Of the states that were not lost.
    effects: Mutex<Vec<Effects>>,
}

impl Work {
    /// Each partition has so many pieces, which are a task each.
    pub(super) fn new(pieces: impl IntoIterator<Item = usize>, attempts: Attempts) -> Self {
        let tasks = pieces.into_iter().enumerate().flat_map(|(partition, n)| {
            (0..n).map(move |piece| Task {
                partition,
                piece,
                state: AtomicU32::new(0),
            })
        });
        Self {
            tasks: tasks.collect(),
            attempts,
            states: AtomicU32::new(0),
            has_failed: AtomicBool::new(false),
            error: Mutex::new(None),
            effects: Mutex::default(),
        }
    }

    /// How many tasks there are.
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Takes part in the work as number `worker` of `workers`, for `limit` at the most.
    /// Gives the states into which the tasks were folded that it got.
    pub(super) fn join_in<S>(
        &self,
        worker: usize,
        workers: usize,
        limit: Option<Duration>,
        init: &impl Fn() -> S,
        step: &impl Fn(&mut S, usize, usize) -> Result<()>,
    ) -> Vec<S> {
        let since = limit.map(|limit| (Stopwatch::start(), limit));
        let mut part = Part {
            work: self,
            init,
            step,
            scope: Scope::enter(),
            state: None,
            number: self.next_state(),
            done: Vec::new(),
        };
        // A worker's own tasks, and then all.
        let (mut task, mut stride) = (worker, workers);
        loop {
            if task >= self.len() {
                if stride == 1 {
                    break;
                }
                (task, stride) = (0, 1);
                continue;
            }
            if self.has_failed() {
                break;
            }
            if self.take(task, part.number) {
                let is_late = |(since, limit): &(Stopwatch, _)| since.elapsed() > *limit;
                if !part.run(task) || since.as_ref().is_some_and(is_late) {
                    break;
                }
            }
            task += stride;
        }
        part.close();
        part.done
    }

    /// Whether there is nothing left to do.
    pub(super) fn is_over(&self) -> bool {
        let is_taken = |task: &Task| task.state.load(Ordering::Relaxed) != 0;
        self.has_failed() || self.tasks.iter().all(is_taken)
    }

    /// Makes count what the tasks did.
    ///
    /// # Errors
    /// The first error of a task; then nothing of any counts.
    pub(super) fn commit(self) -> Result<()> {
        match self
            .error
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
        {
            Some(error) => Err(error),
            None => {
                let effects = self.effects.into_inner();
                task::commit(effects.unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    /// Relaxed everywhere: the number only decides who runs the task; what a task
    /// did is handed over when the pool's call returns.
    fn take(&self, task: usize, state: u32) -> bool {
        let slot = &self.tasks[task].state;
        slot.load(Ordering::Relaxed) == 0
            && slot
                .compare_exchange(0, state, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    fn next_state(&self) -> u32 {
        self.states.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    fn keep(&self, effects: Effects) {
        if !effects.is_empty() {
            let mut all = self.effects.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(effects);
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
        let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(error);
        false
    }
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
    /// None before the first task.
    state: Option<S>,
    /// The number of the state.
    number: u32,
    /// States that no further task goes into.
    done: Vec<S>,
}

impl<S, I, F> Part<'_, S, I, F>
where
    I: Fn() -> S,
    F: Fn(&mut S, usize, usize) -> Result<()>,
{
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
            let lost = (0..work.len()).filter(|&task| {
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
