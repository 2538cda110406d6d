//! A window over values that can be taken out again.

use std::collections::VecDeque;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use super::size::room;
use super::spare::shrink;
use super::table::{AHEAD, LookUp, Rows, Table};
use super::{SlidingWindow, StateSize};
use crate::arch;
use crate::error::Result;
use crate::rdd::pipe::Data;
use crate::rdd::{Combine, Partition};

/// The value of each key is changed in place by what enters and what leaves. A
/// key lives as long as there are entries of it: that is counted, as a value does
/// not tell (+1 and -1 make zero).
///
/// Entries hold the place of their row, so one that leaves finds it without its
/// key. Each entry costs one look-up and one call of each function.
///
/// An entry stays until those that leave with it are taken out, so what a panic has left
/// half changed can be made anew of the entries.
pub(crate) struct InverseWindow<K, V, C, I> {
    table: Table<K, V>,
    /// Entries of the key in each row.
    counts: Vec<u32>,
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
            counts: Vec::new(),
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
                arch::prefetch(&self.counts[place as usize]);
            }
            for &place in self.places.range(..some) {
                if self.counts[place as usize] == 1 {
                    edit.prefetch_removal(place);
                }
            }
            let values = self.values.range(..some);
            for (&place, value) in self.places.range(..some).zip(values) {
                let count = &mut self.counts[place as usize];
                *count -= 1;
                if *count == 0 {
                    edit.remove(place);
                } else {
                    self.inverse.value(edit.value_mut(place), value.clone());
                }
            }
            self.places.drain(..some);
            self.values.drain(..some);
            *left -= some;
        }
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
        let Self {
            table,
            counts,
            places,
            values,
            combine,
            ..
        } = self;
        places.reserve(pane.count().unwrap_or_default());
        values.reserve(pane.count().unwrap_or_default());
        table.edit().look_up(pane, |look_up| {
            let (edit, hash, place, (key, value)) = match look_up {
                LookUp::Ahead(place) => return arch::prefetch(&counts[place as usize]),
                LookUp::Record {
                    edit,
                    hash,
                    place,
                    record,
                } => (edit, hash, place, record),
            };
            let place = match place {
                Some(place) => {
                    combine.value(edit.value_mut(place), value.clone());
                    counts[place as usize] += 1;
                    place
                }
                None => {
                    let place = edit.insert(hash, key.clone(), value.clone());
                    match counts.get_mut(place as usize) {
                        Some(count) => *count = 1,
                        // Rows are added one at a time.
                        None => counts.push(1),
                    }
                    place
                }
            };
            places.push_back(place);
            values.push_back(value.clone());
        })?;
        self.panes.push_back(self.places.len() - before);
        Ok(())
    }

    fn mend(&mut self) {
        // Of a pane that did not enter.
        let entries = self.panes.iter().sum();
        self.places.truncate(entries);
        self.values.truncate(entries);
        self.counts.clear();
        self.counts.resize(self.table.places(), 0);
        let mut edit = self.table.edit();
        edit.restore();
        for (&place, value) in self.places.iter().zip(&self.values) {
            let count = &mut self.counts[place as usize];
            match *count {
                0 => *edit.value_mut(place) = value.clone(),
                _ => self.combine.value(edit.value_mut(place), value.clone()),
            }
            *count += 1;
        }
        for (place, &count) in (0..).zip(&self.counts) {
            if count == 0 && edit.is_live(place) {
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
            let mut counts = vec![0; self.table.places()];
            for (count, place) in self.counts.iter().zip(moved) {
                if let Some(slot) = counts.get_mut(place as usize) {
                    *slot = *count;
                }
            }
            self.counts = counts;
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
        size.bytes += room::<u32>(self.counts.capacity() + self.places.capacity())
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
        let room = window.places.capacity() + window.values.capacity() + window.counts.capacity();
        assert!(room < 10_000, "{room}");
        assert!(window.table.room() < 10_000, "{}", window.table.room());
    }
}
