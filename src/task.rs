//! What a thread knows while it runs tasks.
//!
//! A thread that takes part in a piece of work opens a [`Scope`] and runs its
//! tasks in it. What they do beside their results, such as adding to an
//! accumulator, is an [`Effect`]: each thread keeps its own, nothing is shared
//! per call, and they are committed when the whole piece of work has succeeded,
//! or else dropped. Some pieces of work count together only: those of a [`Stage`],
//! which is run again if a task of it fails that has used up its input.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem;

use crate::error::Result;
use crate::sync::engine::thread_local;

/// What the tasks of one thread did beside their results.
pub(crate) trait Effect: Any + Send {
    /// Makes it count. May call code of the program's.
    fn commit(self: Box<Self>) -> Result<()>;
}

/// An effect, and what it is on.
struct Entry {
    key: usize,
    effect: Box<dyn Effect>,
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    // Boxed, so that taking them out and putting them back moves one word.
    static EFFECTS: Cell<Option<Box<Effects>>> = const { Cell::new(None) };
    static STAGE: RefCell<Option<Open>> = const { RefCell::new(None) };
}

/// Whether this thread is running a task now.
#[inline]
pub(crate) fn in_task() -> bool {
    INSIDE.with(Cell::get)
}

/// Changes the effect that the tasks of this thread have on what `key` names;
/// `make` gives it before the first change.
///
/// The key is an address that the effect keeps from being used again.
#[inline]
pub(crate) fn change_effect<E: Effect>(
    key: usize,
    make: impl FnOnce() -> E,
    change: impl FnOnce(&mut E),
) {
    debug_assert!(in_task(), "nobody would commit it");
    EFFECTS.with(|cell| {
        let effects = cell.take();
        let mut held = Held { cell, effects };
        let entries = &mut held.effects.get_or_insert_default().0;
        let at = entries.iter().position(|entry| entry.key == key);
        let at = at.unwrap_or_else(|| {
            let effect = Box::new(make());
            entries.push(Entry { key, effect });
            entries.len() - 1
        });
        let effect: &mut dyn Any = &mut *entries[at].effect;
        change(effect.downcast_mut().expect("a key names one thing"));
    });
}

/// The effects of this thread while one of them changes: that runs code of the
/// program's, which may have other effects, or panic and go on.
struct Held<'c> {
    cell: &'c Cell<Option<Box<Effects>>>,
    effects: Option<Box<Effects>>,
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        let mut effects = self.effects.take();
        if let (Some(effects), Some(mut meanwhile)) = (&mut effects, self.cell.take()) {
            effects.0.append(&mut meanwhile.0);
        }
        self.cell.set(effects);
    }
}

/// This thread runs tasks of one piece of work until the scope is left.
///
/// A task of another piece can run inside of it, where a closure of the program's
/// waits for the pool: each keeps its own effects.
pub(crate) struct Scope {
    outer_inside: bool,
    outer_effects: Option<Box<Effects>>,
}

impl Scope {
    pub(crate) fn enter() -> Self {
        Self {
            outer_inside: INSIDE.with(|inside| inside.replace(true)),
            outer_effects: EFFECTS.with(Cell::take),
        }
    }

    /// What the tasks did, since the scope was entered or this was asked last.
    #[inline]
    pub(crate) fn take(&mut self) -> Effects {
        EFFECTS
            .with(Cell::take)
            .map(|effects| *effects)
            .unwrap_or_default()
    }

    /// What the tasks did.
    pub(crate) fn leave(mut self) -> Effects {
        self.take()
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        INSIDE.with(|inside| inside.set(self.outer_inside));
        let outer = self.outer_effects.take();
        drop(EFFECTS.with(|effects| effects.replace(outer)));
    }
}

/// What one thread did in a piece of work; of no consequence unless committed.
#[derive(Default)]
#[must_use = "what the tasks did counts only if it is committed"]
pub(crate) struct Effects(Vec<Entry>);

impl Effects {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes all of them count, also behind one that fails.
    ///
    /// # Errors
    /// The first error.
    pub(crate) fn commit(self) -> Result<()> {
        let each = self.0.into_iter().map(|entry| entry.effect.commit());
        each.fold(Ok(()), Result::and)
    }
}

/// Makes the effects of a piece of work count: at once, or together with the stage
/// that the work is a part of.
///
/// # Errors
/// The first error.
pub(crate) fn commit(effects: Vec<Effects>) -> Result<()> {
    if effects.is_empty() {
        return Ok(());
    }
    let kept = STAGE.with(|stage| match &mut *stage.borrow_mut() {
        Some(open) => {
            open.effects.extend(effects);
            None
        }
        None => Some(effects),
    });
    commit_all(kept.unwrap_or_default())
}

/// Not with the thread's stage borrowed: this may call code of the program's.
fn commit_all(effects: Vec<Effects>) -> Result<()> {
    let each = effects.into_iter().map(Effects::commit);
    each.fold(Ok(()), Result::and)
}

/// One run of work on this thread that is run again as a whole.
#[derive(Default)]
struct Open {
    attempt: usize,
    effects: Vec<Effects>,
    is_used_up: bool,
}

/// The work on this thread is one run of a stage until it is left.
///
/// A stage inside of another one stands for itself: what it gives has to be kept, as
/// the outer one may be run again.
pub(crate) struct Stage {
    outer: Option<Open>,
}

impl Stage {
    /// The run with this number, from 1 on.
    pub(crate) fn enter(attempt: usize) -> Self {
        let open = Open {
            attempt,
            ..Open::default()
        };
        Self {
            outer: STAGE.with(|stage| stage.replace(Some(open))),
        }
    }

    /// The number of the run that this thread is in, if it is in any.
    pub(crate) fn attempt() -> Option<usize> {
        STAGE.with(|stage| stage.borrow().as_ref().map(|open| open.attempt))
    }

    /// A task has failed whose input is used up: if the work is to be tried again, then
    /// from the beginning of the stage.
    pub(crate) fn use_up() {
        STAGE.with(|stage| {
            if let Some(open) = &mut *stage.borrow_mut() {
                open.is_used_up = true;
            }
        });
    }

    /// Whether it failed so that it can be run again.
    pub(crate) fn is_used_up(&self) -> bool {
        STAGE.with(|stage| stage.borrow().as_ref().is_some_and(|open| open.is_used_up))
    }

    /// Makes count what its tasks did.
    ///
    /// # Errors
    /// The first error.
    pub(crate) fn commit(self) -> Result<()> {
        let effects = STAGE.with(|stage| match &mut *stage.borrow_mut() {
            Some(open) => mem::take(&mut open.effects),
            None => Vec::new(),
        });
        drop(self);
        commit_all(effects)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(STAGE.with(|stage| stage.replace(self.outer.take())));
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Effects").field(&self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::{Arc, Mutex};

    use super::*;

    type Log = Arc<Mutex<Vec<u32>>>;

    /// Appends its numbers to a log.
    struct Append(Log, Vec<u32>);

    impl Effect for Append {
        fn commit(self: Box<Self>) -> Result<()> {
            self.0.lock().unwrap().extend(self.1);
            Ok(())
        }
    }

    fn append(log: &Log, change: impl FnOnce(&mut Vec<u32>)) {
        let make = || Append(Arc::clone(log), Vec::new());
        change_effect(Arc::as_ptr(log).addr(), make, |append| {
            change(&mut append.1);
        });
    }

    #[test]
    fn effects_count_when_they_are_committed() {
        let (one, two) = (Log::default(), Log::default());
        let scope = Scope::enter();
        for n in [1, 2] {
            append(&one, |all| all.push(n));
            append(&two, |all| all.push(10 * n));
        }
        let effects = scope.leave();
        assert!(one.lock().unwrap().is_empty());
        effects.commit().unwrap();
        assert_eq!(*one.lock().unwrap(), [1, 2]);
        assert_eq!(*two.lock().unwrap(), [10, 20]);
    }

    #[test]
    fn effects_of_a_scope_that_is_dropped_are_dropped() {
        let log = Log::default();
        let scope = Scope::enter();
        append(&log, |all| all.push(1));
        drop(scope);
        assert!(!in_task());
        assert!(Scope::enter().leave().is_empty());
        assert_eq!(Arc::strong_count(&log), 1);
    }

    #[test]
    fn scopes_nest() {
        let log = Log::default();
        let outer = Scope::enter();
        append(&log, |all| all.push(1));
        let inner = Scope::enter();
        append(&log, |all| all.push(2));
        drop(inner.leave());
        assert!(in_task());
        append(&log, |all| all.push(3));
        outer.leave().commit().unwrap();
        assert!(!in_task());
        assert_eq!(*log.lock().unwrap(), [1, 3]);
    }

    #[test]
    fn an_effect_may_have_others_while_it_changes() {
        let (one, two) = (Log::default(), Log::default());
        let scope = Scope::enter();
        append(&one, |all| {
            append(&two, |all| all.push(2));
            append(&one, |all| all.push(3));
            all.push(1);
        });
        append(&two, |all| all.push(4));
        scope.leave().commit().unwrap();
        assert_eq!(*one.lock().unwrap(), [1, 3]);
        assert_eq!(*two.lock().unwrap(), [2, 4]);
    }

    #[test]
    fn a_panic_that_a_task_catches_loses_nothing() {
        let log = Log::default();
        let scope = Scope::enter();
        append(&log, |all| all.push(1));
        catch_unwind(AssertUnwindSafe(|| append(&log, |_| panic!("no")))).unwrap_err();
        append(&log, |all| all.push(2));
        scope.leave().commit().unwrap();
        assert_eq!(*log.lock().unwrap(), [1, 2]);
    }

    #[test]
    fn all_effects_are_committed_and_the_first_error_is_told() {
        struct Refuse(&'static str);
        impl Effect for Refuse {
            fn commit(self: Box<Self>) -> Result<()> {
                Err(crate::error::Error::illegal_state(self.0))
            }
        }
        let log = Log::default();
        let scope = Scope::enter();
        change_effect(0, || Refuse("first"), |_| ());
        change_effect(1, || Refuse("second"), |_| ());
        append(&log, |all| all.push(1));
        let error = scope.leave().commit().unwrap_err();
        assert_eq!(error.to_string(), "illegal state: first");
        assert_eq!(*log.lock().unwrap(), [1]);
    }
}
