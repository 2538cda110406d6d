//! What the function of `map_with_state` sees of the state of a key.

use std::fmt;

use super::undo::Undo;
use crate::rdd::pipe::Data;

/// The state of one key, during a call of the function of
/// [`map_with_state`](crate::DStream::map_with_state).
///
/// What a call changes is seen by the next call for the same key, in the same
/// batch or a later one. If any call of a batch panics, all changes of that batch
/// are taken back.
///
/// A state that holds [`Str`](crate::Str)s which came with the records should
/// [`compact`](crate::Str::compact) them: otherwise they keep the blocks in which
/// they were received.
///
/// # Examples
/// ```
/// use millstream::State;
///
/// /// Counts the calls for a key, and forgets it at the third one.
/// fn every_third(key: &'static str, _: Option<()>, state: &mut State<'_, u32>) -> bool {
///     let calls = state.get_option().copied().unwrap_or_default() + 1;
///     if calls == 3 {
///         state.remove();
///     } else {
///         state.update(calls);
///     }
///     calls == 3
/// }
/// # let _ = every_third;
/// ```
pub struct State<'s, S> {
    /// The row of the key, if it has one.
    row: Option<Row<'s, S>>,
    /// The state of a key that had none.
    new: Option<S>,
    removed: bool,
    timing_out: bool,
}

/// A value in a table.
struct Row<'s, S> {
    place: u32,
    value: &'s mut S,
    undo: &'s mut Undo<S>,
}

impl<'s, S: Data> State<'s, S> {
    /// The state of a key that has a row.
    pub(super) fn of_row(
        place: u32,
        value: &'s mut S,
        undo: &'s mut Undo<S>,
        timing_out: bool,
    ) -> Self {
        Self {
            row: Some(Row { place, value, undo }),
            new: None,
            removed: false,
            timing_out,
        }
    }

    /// The state of a key that has none.
    pub(super) fn absent() -> Self {
        Self {
            row: None,
            new: None,
            removed: false,
            timing_out: false,
        }
    }

    pub(super) fn is_removed(&self) -> bool {
        self.removed
    }

    /// The state that a key has now which had none.
    pub(super) fn into_new(self) -> Option<S> {
        self.new
    }

    /// Whether the key has a state.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.get_option().is_some()
    }

    /// The state of the key.
    ///
    /// # Panics
    /// If it has none, which fails the batch.
    #[must_use]
    #[track_caller]
    pub fn get(&self) -> &S {
        match self.get_option() {
            Some(state) => state,
            None => panic!("State::get: the key has no state; use `exists` or `get_option`"),
        }
    }

    /// The state of the key, if it has one.
    #[doc(alias = "getOption")]
    #[must_use]
    pub fn get_option(&self) -> Option<&S> {
        match &self.row {
            _ if self.removed => None,
            Some(row) => Some(row.value),
            None => self.new.as_ref(),
        }
    }

    /// The state of the key, if it has one, to be changed where it is. Costs a
    /// clone of it, for the case that the batch fails: one per key and batch if it
    /// owns memory, else one per call.
    ///
    /// # Panics
    /// If the key is timing out, which fails the batch.
    #[track_caller]
    pub fn get_mut(&mut self) -> Option<&mut S> {
        self.assert_not_timing_out("get_mut");
        match &mut self.row {
            _ if self.removed => None,
            Some(row) => {
                row.undo.keep(row.place, row.value);
                Some(row.value)
            }
            None => self.new.as_mut(),
        }
    }

    /// Gives the key a new state.
    ///
    /// # Panics
    /// If the state was removed in this call, or the key is timing out; that fails
    /// the batch.
    #[track_caller]
    pub fn update(&mut self, state: S) {
        self.assert_not_timing_out("update");
        assert!(
            !self.removed,
            "State::update: the state was removed in this call; a key that keeps a state must \
             not be removed"
        );
        match &mut self.row {
            Some(row) => row.undo.replace(row.place, row.value, state),
            None => self.new = Some(state),
        }
    }

    /// Takes the state away from the key, if it has one.
    ///
    /// # Panics
    /// If the state was removed in this call before, or the key is timing out, as
    /// then its state goes anyway; that fails the batch.
    #[track_caller]
    pub fn remove(&mut self) {
        self.assert_not_timing_out("remove");
        assert!(
            !self.removed,
            "State::remove: the state was already removed in this call"
        );
        self.removed = true;
        self.new = None;
    }

    /// Whether this call is the last one for the key, as it was idle for longer
    /// than the time-out. There is no record then, and the state is removed after
    /// the call.
    #[doc(alias = "isTimingOut")]
    #[must_use]
    pub fn is_timing_out(&self) -> bool {
        self.timing_out
    }

    #[track_caller]
    fn assert_not_timing_out(&self, method: &str) {
        assert!(
            !self.timing_out,
            "State::{method}: the key is timing out, and its state is removed after this call; \
             ask `is_timing_out` before"
        );
    }
}

impl<S: fmt::Debug + Data> fmt::Debug for State<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("state", &self.get_option())
            .field("timing_out", &self.timing_out)
            .finish_non_exhaustive()
    }
}
