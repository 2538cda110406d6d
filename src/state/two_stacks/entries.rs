//! The entries of a window in one queue, and the stacks that each key has of them.

use std::collections::VecDeque;

use crate::arch;
use crate::rdd::op::reduce_by_key::Reducer;
use crate::rdd::pipe::Data;

pub(super) struct Stacks<V> {
    pub(super) newest: u32,
    /// Of the front, if there is one.
    pub(super) oldest: u32,
    /// The newest entry of the front, if there is one.
    pub(super) front: Option<u32>,
    pub(super) back: Option<V>,
    pub(super) back_len: u32,
}

pub(super) struct Entry<V> {
    pub(super) place: u32,
    /// The next older entry of the key in the back, the next newer one in the
    /// front; nothing sensible at the ends.
    pub(super) link: u32,
    pub(super) value: V,
}

/// Entries by their number, which counts up from the first and may wrap around.
pub(super) struct Entries<V> {
    pub(super) queue: VecDeque<Entry<V>>,
    /// The number of the oldest.
    pub(super) first: u32,
}

impl<V> Entries<V> {
    pub(super) fn next(&self) -> u32 {
        self.first.wrapping_add(self.queue.len() as u32)
    }

    #[inline]
    pub(super) fn at(&self, number: u32) -> &Entry<V> {
        &self.queue[self.before(number)]
    }

    #[inline]
    pub(super) fn at_mut(&mut self, number: u32) -> &mut Entry<V> {
        let index = self.before(number);
        &mut self.queue[index]
    }

    /// How many entries there are before the one of this number.
    pub(super) fn before(&self, number: u32) -> usize {
        number.wrapping_sub(self.first) as usize
    }

    /// Asks for the cache line of an entry, if there is such a one.
    #[inline]
    pub(super) fn prefetch(&self, number: u32) {
        if let Some(entry) = self.queue.get(self.before(number)) {
            arch::prefetch(entry);
        }
    }

    pub(super) fn pop(&mut self) {
        // First, as a value's own `drop` may panic.
        self.first = self.first.wrapping_add(1);
        self.queue.pop_front();
    }
}

impl<V: Data> Stacks<V> {
    pub(super) fn new(entry: u32, value: V) -> Self {
        Self {
            newest: entry,
            oldest: entry,
            front: None,
            back: Some(value),
            back_len: 1,
        }
    }

    /// The back was made the front, or the newer part of it, down to the entry
    /// `oldest`.
    pub(super) fn flipped(&mut self, oldest: u32, entries: &mut Entries<V>) {
        match self.front {
            Some(front) => entries.at_mut(front).link = oldest,
            None => self.oldest = oldest,
        }
        self.front = Some(self.newest);
        self.back = None;
        self.back_len = 0;
    }

    /// The joined value of all entries, of which the front's begin with `oldest`.
    pub(super) fn total<F>(&self, oldest: u32, entries: &Entries<V>, combine: &Reducer<F>) -> V
    where
        F: Fn(V, V) -> V,
    {
        let front = &entries.at(oldest).value;
        match &self.back {
            Some(back) => join(front, back, combine),
            None => front.clone(),
        }
    }
}

/// Neither value changes, also if the function panics.
#[inline(always)]
pub(super) fn join<V: Clone, F: Fn(V, V) -> V>(older: &V, newer: &V, combine: &Reducer<F>) -> V {
    (combine.0)(older.clone(), newer.clone())
}
