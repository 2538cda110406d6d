//! A window over values that can be taken out again.

use std::collections::VecDeque;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use super::bits::Bits;
use super::size::{check_entries, room};
use super::spare::{move_together, put, shrink};
use super::table::{AHEAD, Editor, Rows, Table, TakeIn};
use super::{SlidingWindow, StateSize};
use crate::arch;
use crate::error::Result;
use crate::rdd::pipe::Data;
use crate::rdd::{Combine, Partition};

/// The value of each key is changed in place by what enters and what leaves. A
/// key lives as long as there are entries of it: its row has the number of the newest one,
/// as a value does not tell (+1 and -1 make zero). So the row goes with that entry, and what
/// enters again with the same pane is joined with it.
///
/// Entries hold the place of their row, so one that leaves finds it without its
/// key. Each entry costs one look-up and one call of each function; what is joined with it
/// another look-up and two calls.
///
/// An entry stays until those that leave with it are taken out, so what a panic has left
/// half changed can be made anew of the entries.
pub(crate) struct InverseWindow<K, V, C, I> {
    table: Table<K, V>,
    /// The number of the newest entry of the key in each row.
    newest: Vec<u32>,
    /// The number of the oldest entry; it may wrap around.
    first: u32,
    /// The entries of all panes, oldest first: their rows, and their values. Apart,
    /// as padding would be a quarter of what passes through memory.
    places: VecDeque<u32>,
    values: VecDeque<V>,
    /// How many of them belong to each pane.
    panes: VecDeque<usize>,
    combine: Arc<C>,
    inverse: Arc<I>,
}

impl<K: Data + Hash + Eq, V: Data, C, I> InverseWindow<K, V, C, I> {
    pub(crate) fn new(combine: Arc<C>, inverse: Arc<I>) -> Self {
        Self {
            table: Table::new(),
            newest: Vec::new(),
            first: 0,
            places: VecDeque::new(),
            values: VecDeque::new(),
            panes: VecDeque::new(),
            combine,
            inverse,
        }
    }
}

impl<K, V, C, I> InverseWindow<K, V, C, I>
where
    K: Data + Hash + Eq,
    V: Data,
    I: Combine<V, Combined = V>,
{
    /// Takes the entries of the oldest pane out.
    fn take_out(&mut self) {
        let Some(left) = self.panes.front_mut() else {
            return;
        };
        let mut edit = self.table.edit();
        while *left > 0 {
            let some = (*left).min(AHEAD);
            for &place in self.places.range(..some) {
                edit.prefetch_row(place);
                arch::prefetch(&self.newest[place as usize]);
            }
            let numbers = || (0..some as u32).map(|i| self.first.wrapping_add(i));
            for (&place, number) in self.places.range(..some).zip(numbers()) {
                if self.newest[place as usize] == number {
                    edit.prefetch_removal(place);
                }
            }
            let values = self.values.range(..some);
            for ((&place, value), number) in self.places.range(..some).zip(values).zip(numbers()) {
                if self.newest[place as usize] == number {
                    edit.remove(place);
                } else {
                    self.inverse.value(edit.value_mut(place), value.clone());
                }
            }
            self.places.drain(..some);
            self.values.drain(..some);
            self.first = self.first.wrapping_add(some as u32);
            *left -= some;
        }
    }
}

/// A window into which a pane enters.
struct Entering<'w, V, C> {
    newest: &'w mut Vec<u32>,
    places: &'w mut VecDeque<u32>,
    values: &'w mut VecDeque<V>,
    /// How many entries there were before.
    before: usize,
    /// The number of the first one of the pane.
    begin: u32,
    combine: &'w C,
}

impl<K, V, C> TakeIn<K, V> for Entering<'_, V, C>
where
    K: Data + Hash + Eq,
    V: Data,
    C: Combine<V, Combined = V>,
{
    #[inline(always)]
    fn ahead(&self, place: u32) {
        arch::prefetch(&self.newest[place as usize]);
    }

    #[inline(always)]
    fn join(&mut self, edit: &mut Editor<'_, K, V>, place: u32, value: &V) {
        self.combine.value(edit.value_mut(place), value.clone());
        let number = self.next();
        let newest = &mut self.newest[place as usize];
        let at = newest.wrapping_sub(self.begin) as usize;
        if at < self.places.len() - self.before {
            let own = &mut self.values[self.before + at];
            return self.combine.value(own, value.clone());
        }
        *newest = number;
        self.places.push_back(place);
        self.values.push_back(value.clone());
    }

    #[inline(always)]
    fn add(&mut self, edit: &mut Editor<'_, K, V>, hash: u64, (key, value): &(K, V)) {
        let place = edit.insert(hash, key.clone(), value.clone());
        put(self.newest, place, self.next());
        self.places.push_back(place);
        self.values.push_back(value.clone());
    }
}

impl<V, C> Entering<'_, V, C> {
    /// The number of the next entry.
    #[inline(always)]
    fn next(&self) -> u32 {
        let entered = self.places.len() - self.before;
        self.begin.wrapping_add(entered as u32)
    }
}

impl<K, V, C, I> SlidingWindow<K, V> for InverseWindow<K, V, C, I>
where
    K: Data + Hash + Eq,
    V: Data,
    C: Combine<V, Combined = V>,
    I: Combine<V, Combined = V>,
{
    fn leave(&mut self) {
        if self.leaving() > 0 {
            // To change a table whose rows are held would copy it.
            self.take_out();
        }
        self.panes.pop_front();
    }

    fn enter(&mut self, pane: &dyn Partition<(K, V)>) -> Result<()> {
        if pane.count() == Some(0) {
            self.panes.push_back(0);
            return Ok(());
        }
        let before = self.places.len();
        check_entries(before, pane.count())?;
        let mut entering = Entering {
            newest: &mut self.newest,
            places: &mut self.places,
            values: &mut self.values,
            before,
            begin: self.first.wrapping_add(before as u32),
            combine: &*self.combine,
        };
        self.table.edit().look_up(pane, 0, &mut entering)?;
        self.panes.push_back(self.places.len() - before);
        Ok(())
    }

    fn mend(&mut self) {
        // Of a pane that did not enter.
        let entries = self.panes.iter().sum();
        self.places.truncate(entries);
        self.values.truncate(entries);
        self.newest.resize(self.table.places(), 0);
        let mut edit = self.table.edit();
        edit.restore();
        let mut seen = Bits::default();
        let entries = self.places.iter().zip(&self.values);
        for (i, (&place, value)) in (0..).zip(entries) {
            match seen.insert(place) {
                true => *edit.value_mut(place) = value.clone(),
                false => self.combine.value(edit.value_mut(place), value.clone()),
            }
            self.newest[place as usize] = self.first.wrapping_add(i);
        }
        for place in 0..self.newest.len() as u32 {
            if edit.is_live(place) && !seen.contains(place) {
                edit.remove(place);
            }
        }
    }

    fn takes_repeats(&self) -> bool {
        true
    }

    fn settle(&mut self) {
        shrink(&mut self.places);
        shrink(&mut self.values);
        if let Some(moved) = self.table.settle() {
            for place in &mut self.places {
                *place = moved[*place as usize];
            }
            move_together(&mut self.newest, &moved);
        }
    }

    fn rows(&self) -> Arc<Rows<K, V>> {
        self.table.rows()
    }

    fn leaving(&self) -> usize {
        self.panes.front().copied().unwrap_or_default()
    }

    fn size(&self) -> StateSize {
        let mut size = self.table.size();
        size.bytes += room::<u32>(self.newest.capacity() + self.places.capacity())
            + room::<V>(self.values.capacity())
            + room::<usize>(self.panes.capacity());
        size
    }
}

impl<K, V, C, I> fmt::Debug for InverseWindow<K, V, C, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InverseWindow")
            .field("panes", &self.panes.len())
            .field("entries", &self.places.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdd::at_rest;
    use crate::rdd::op::reduce_by_key::Reducer;

    #[test]
    fn entries_are_told_apart_where_their_numbers_wrap_around() {
        let sum = Arc::new(Reducer(|a: u64, b: u64| a + b));
        let minus = Arc::new(Reducer(|a: u64, b: u64| a - b));
        let mut window = InverseWindow::new(sum, minus);
        window.first = u32::MAX - 1;
        for pane in [[(1, 1), (2, 20), (1, 2)], [(3, 7), (1, 4), (3, 8)]] {
            window.enter(&*at_rest([pane.to_vec()])[0]).unwrap();
        }
        let rows = |window: &InverseWindow<_, _, _, _>| {
            let rows = window.table.rows();
            (0..3)
                .filter_map(|place| rows.row(place).copied())
                .collect::<Vec<_>>()
        };
        assert_eq!(window.panes, [2, 2]);
        assert_eq!(rows(&window), [(1, 7), (2, 20), (3, 15)]);
        window.leave();
        window.settle();
        assert_eq!(rows(&window), [(1, 4), (3, 15)]);
        window.leave();
        window.settle();
        assert_eq!(rows(&window), []);
    }

    #[test]
    fn nothing_stays_of_a_peak() {
        let sum = Arc::new(Reducer(|a: u64, b: u64| a + b));
        let minus = Arc::new(Reducer(|a: u64, b: u64| a - b));
        let mut window = InverseWindow::new(sum, minus);
        for keys in [10, 200_000, 10, 10] {
            let pane = (0..keys).map(|key| (key, 1)).collect();
            window.enter(&*at_rest([pane])[0]).unwrap();
            window.settle();
        }
        for _ in 0..3 {
            window.leave();
            window.settle();
        }
        assert_eq!(window.rows().count(), Some(10));
        let room = window.places.capacity() + window.values.capacity() + window.newest.capacity();
        assert!(room < 10_000, "{room}");
        assert!(window.table.room() < 10_000, "{}", window.table.room());
    }
}
