//! What a step changed in a table, so that it can be taken back.

use std::fmt;
use std::hash::Hash;
use std::mem;

use super::bits::Bits;
use super::spare::clear;
use super::table::{Editor, Table};
use crate::rdd::pipe::Data;

/// The changes of a step. It holds nothing of what the step did not touch.
pub(super) struct Undo<S> {
    /// What values were, oldest change first.
    replaced: Vec<(u32, S)>,
    /// Places that are in `replaced`; used only if a value owns memory. Then each
    /// is logged once in a step; a plain one costs less to log again than to look
    /// up.
    logged: Bits,
    inserted: Vec<u32>,
}

impl<S: Data> Undo<S> {
    const ONCE: bool = mem::needs_drop::<S>();

    pub(super) fn new() -> Self {
        Self {
            replaced: Vec::new(),
            logged: Bits::default(),
            inserted: Vec::new(),
        }
    }

    /// Sets the value in a row.
    #[inline]
    pub(super) fn replace(&mut self, place: u32, slot: &mut S, value: S) {
        let old = mem::replace(slot, value);
        if !Self::ONCE || self.logged.insert(place) {
            self.replaced.push((place, old));
        }
    }

    /// The value in a row will be changed where it is.
    #[inline]
    pub(super) fn keep(&mut self, place: u32, value: &S) {
        if !Self::ONCE || !self.logged.contains(place) {
            self.replaced.push((place, value.clone()));
            if Self::ONCE {
                self.logged.insert(place);
            }
        }
    }

    pub(super) fn insert<K>(
        &mut self,
        edit: &mut Editor<'_, K, S>,
        hash: u64,
        key: K,
        value: S,
    ) -> u32
    where
        K: Data + Hash + Eq,
    {
        let place = edit.insert(hash, key, value);
        self.inserted.push(place);
        place
    }

    /// About how much work it is to end the step.
    pub(super) fn weight(&self) -> usize {
        if Self::ONCE { self.replaced.len() } else { 0 }
    }

    /// What values were, the oldest change of a row first.
    pub(super) fn replaced(&self) -> impl Iterator<Item = (u32, &S)> {
        self.replaced.iter().map(|(place, old)| (*place, old))
    }

    /// The rows that the step changed or added, some perhaps twice.
    pub(super) fn changed(&self) -> impl Iterator<Item = u32> {
        let replaced = self.replaced().map(|(place, _)| place);
        replaced.chain(self.inserted.iter().copied())
    }

    /// Rows that were added, and perhaps removed again.
    pub(super) fn inserted(&self) -> &[u32] {
        &self.inserted
    }

    /// Makes the table what it was before the step, or when it was settled last.
    /// What the step had put there is dropped by [`clear`](Self::clear).
    pub(super) fn roll_back<K>(&mut self, table: &mut Table<K, S>)
    where
        K: Data + Hash + Eq,
    {
        if self.replaced.is_empty() && self.inserted.is_empty() && table.is_settled() {
            // To change a table whose rows are held would copy it.
            return;
        }
        let mut edit = table.edit();
        for (place, old) in self.replaced.iter_mut().rev() {
            mem::swap(edit.value_mut(*place), old);
        }
        // A row that the step both added and removed comes back, and goes again.
        edit.restore();
        for &place in &self.inserted {
            edit.remove(place);
        }
    }

    /// Ends the step, and drops what is not needed any more.
    pub(super) fn clear(&mut self) {
        if Self::ONCE {
            for &(place, _) in &self.replaced {
                self.logged.remove(place);
            }
        }
        clear(&mut self.inserted);
        clear(&mut self.replaced);
    }
}

impl<S> fmt::Debug for Undo<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undo")
            .field("replaced", &self.replaced.len())
            .field("inserted", &self.inserted.len())
            .finish_non_exhaustive()
    }
}
