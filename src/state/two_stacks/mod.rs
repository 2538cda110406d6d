//! A window over values that can be joined but not taken out again.

mod entries;
mod flips;

use std::collections::VecDeque;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use entries::{Entries, Entry, Stacks};
use flips::Flips;

use super::size::{check_entries, room};
use super::spare::{drop_in_the_end, move_together, put, shrink};
use super::table::{AHEAD, Editor, Rows, Table, TakeIn};
use super::{SlidingWindow, StateSize};
use crate::arch;
use crate::error::Result;
use crate::rdd::op::reduce_by_key::Reducer;
use crate::rdd::pipe::Data;
use crate::rdd::{Combine, Partition};

/// Each key has a queue of its entries made of two stacks (a folklore structure;
/// see Tangwongsan, Hirzel and Schneider, "Optimal and General Out-of-Order
/// Sliding-Window Aggregation", VLDB 2019, section 2):
///
/// * The *back* holds the newer entries, with their own values, and the joined
///   value of all of them.
/// * The *front* holds the older ones; each holds the joined value of itself and
///   all newer ones of the front.
///
/// So the whole is the oldest front entry's value joined with the back's. An entry
/// that enters goes to the back; one that leaves comes off the front, and when
/// that is empty, the back is *flipped*: walked from the newest to the oldest, and
/// made the front. Each entry is flipped at most once because the front ran
/// empty.
///
/// Keys that are in every pane would all be flipped in the same one. So each key
/// is also flipped when a pane comes whose turn it is, shortly before its front
/// would run empty; then the few entries of the front are joined with the back as
/// they are. All in all an entry costs some four calls of the function, and no
/// slide costs much more than another.
///
/// All entries stand in one queue, as they came. Those of a key are linked: in the
/// back to the next older one, in the front to the next newer one. A walk along
/// the links waits for memory at each entry, so many keys are flipped at a time.
///
/// The function may panic at any of its calls, and the step goes on with that call when it
/// is tried again. So an entry gets another value only when that is there, and how far
/// the step has come is seen from the entries that are there and from [`Flips`].
pub(crate) struct TwoStacks<K, V, F> {
    table: Table<K, V>,
    /// The stacks of the key in each row.
    keys: Vec<Stacks<V>>,
    entries: Entries<V>,
    /// The number of the first entry behind each pane.
    panes: VecDeque<u32>,
    /// Panes that entered so far.
    entered: u64,
    /// After how many panes it is a key's turn again.
    cycle: u32,
    flips: Flips,
    combine: Arc<Reducer<F>>,
}

impl<K: Data + Hash + Eq, V: Data, F> TwoStacks<K, V, F> {
    /// A window of `length` panes that slides by `slide` of them.
    pub(crate) fn new(combine: Arc<Reducer<F>>, length: u32, slide: u32) -> Self {
        Self {
            table: Table::new(),
            keys: Vec::new(),
            entries: Entries {
                queue: VecDeque::new(),
                first: 0,
            },
            panes: VecDeque::new(),
            entered: 0,
            // What entered a cycle ago leaves with the next slide.
            cycle: length.saturating_sub(slide).max(1),
            flips: Flips::default(),
            combine,
        }
    }

    /// Entries that were taken in of a pane that has not entered yet.
    fn entering(&self) -> usize {
        let all = self.entries.queue.len();
        self.panes
            .back()
            .map_or(all, |&end| all - self.entries.before(end))
    }
}

/// In which pane of a cycle a row has its turn.
fn turn(place: u32, cycle: u32) -> u32 {
    // Mixed, as rows of keys that came together stand together.
    let mixed = place.wrapping_mul(0x9e37_79b9);
    ((u64::from(mixed) * u64::from(cycle)) >> 32) as u32
}

/// A window into which a pane enters.
struct Entering<'w, V, F> {
    keys: &'w mut Vec<Stacks<V>>,
    entries: &'w mut Entries<V>,
    flips: &'w mut Flips,
    cycle: u32,
    /// The keys' turn that it is.
    on_turn: u32,
    combine: &'w Reducer<F>,
}

impl<K, V, F> TakeIn<K, V> for Entering<'_, V, F>
where
    K: Data + Hash + Eq,
    V: Data,
    F: Fn(V, V) -> V + Send + Sync + 'static,
{
    #[inline(always)]
    fn ahead(&self, place: u32) {
        arch::prefetch(&self.keys[place as usize]);
    }

    #[inline(always)]
    fn join(&mut self, edit: &mut Editor<'_, K, V>, place: u32, value: &V) {
        let number = self.entries.next();
        let own = value.clone();
        let stacks = &mut self.keys[place as usize];
        self.entries.queue.push_back(Entry {
            place,
            link: stacks.newest,
            value: own,
        });
        stacks.newest = number;
        stacks.back_len += 1;
        if turn(place, self.cycle) == self.on_turn {
            self.flips.keys.push((place, stacks.back_len));
        }
        match &mut stacks.back {
            Some(back) => self.combine.value(back, value.clone()),
            None => stacks.back = Some(value.clone()),
        }
        self.combine.value(edit.value_mut(place), value.clone());
    }

    #[inline(always)]
    fn add(&mut self, edit: &mut Editor<'_, K, V>, hash: u64, (key, value): &(K, V)) {
        let number = self.entries.next();
        let own = value.clone();
        let stacks = Stacks::new(number, value.clone());
        let place = edit.insert(hash, key.clone(), value.clone());
        // Dropped last, which is a value's own code.
        let old = put(self.keys, place, stacks);
        self.entries.queue.push_back(Entry {
            place,
            link: number,
            value: own,
        });
        drop(old);
    }
}

impl<K, V, F> SlidingWindow<K, V> for TwoStacks<K, V, F>
where
    K: Data + Hash + Eq,
    V: Data,
    F: Fn(V, V) -> V + Send + Sync + 'static,
{
    fn leave(&mut self) {
        let mut left = self.leaving();
        if left == 0 && self.flips.keys.is_empty() {
            // To change a table whose rows are held would copy it.
            self.panes.pop_front();
            return;
        }
        let mut edit = self.table.edit();
        let Self {
            keys,
            entries,
            flips,
            combine,
            ..
        } = self;
        while left > 0 {
            let some = left.min(AHEAD);
            for entry in entries.queue.range(..some) {
                edit.prefetch_row(entry.place);
                arch::prefetch(&keys[entry.place as usize]);
                // The next oldest, if it is in the front.
                entries.prefetch(entry.link);
            }
            for (entry, i) in entries.queue.range(..some).zip(0..) {
                if keys[entry.place as usize].newest == entries.first.wrapping_add(i) {
                    edit.prefetch_removal(entry.place);
                }
            }
            for _ in 0..some {
                let number = entries.first;
                let &Entry { place, link, .. } = entries.at(number);
                let key = &mut keys[place as usize];
                if key.newest == number {
                    edit.remove(place);
                } else {
                    match key.front {
                        Some(front) if front != number => {
                            *edit.value_mut(place) = key.total(link, entries, combine);
                            key.oldest = link;
                        }
                        front => {
                            key.front = None;
                            // Without a front it is the back's oldest that leaves.
                            let alone = u32::from(front.is_none());
                            flips.keys.push((place, key.back_len - alone));
                        }
                    }
                }
                entries.pop();
            }
            left -= some;
        }
        flips.run(keys, entries, combine);
        for &(place, _) in &flips.keys {
            let key = &keys[place as usize];
            *edit.value_mut(place) = key.total(key.oldest, entries, combine);
        }
        flips.end();
        self.panes.pop_front();
    }

    fn enter(&mut self, pane: &dyn Partition<(K, V)>) -> Result<()> {
        let known = self.entering();
        check_entries(self.entries.queue.len() - known, pane.count())?;
        let on_turn = (self.entered % u64::from(self.cycle)) as u32;
        let Self {
            table,
            keys,
            entries,
            flips,
            combine,
            ..
        } = self;
        if pane.count() != Some(0) {
            // To change a table whose rows are held would copy it.
            entries.queue.reserve(pane.count().unwrap_or_default());
            let mut entering = Entering {
                keys,
                entries,
                flips,
                cycle: self.cycle,
                on_turn,
                combine,
            };
            table.edit().look_up(pane, known, &mut entering)?;
        }
        flips.run(keys, entries, combine);
        flips.end();
        self.panes.push_back(self.entries.next());
        self.entered += 1;
        Ok(())
    }

    fn mend(&mut self) {
        if self.entering() == 0 || self.flips.is_begun() {
            return;
        }
        // The last entry may not be in the joined values of its key yet.
        let Some(&Entry { place, .. }) = self.entries.queue.back() else {
            return;
        };
        let key = &mut self.keys[place as usize];
        let mut newest_first = Vec::new();
        let mut at = key.newest;
        for _ in 0..key.back_len {
            let entry = self.entries.at(at);
            newest_first.push(&entry.value);
            at = entry.link;
        }
        let joined = newest_first.into_iter().rev().cloned();
        key.back = joined.reduce(&self.combine.0);
        let total = match (key.front, &key.back) {
            (Some(_), _) => key.total(key.oldest, &self.entries, &self.combine),
            (None, Some(back)) => back.clone(),
            (None, None) => return,
        };
        *self.table.edit().value_mut(place) = total;
    }

    /// It counts the entries of a key by panes.
    fn takes_repeats(&self) -> bool {
        false
    }

    fn settle(&mut self) {
        shrink(&mut self.entries.queue);
        if let Some(moved) = self.table.settle() {
            for entry in &mut self.entries.queue {
                entry.place = moved[entry.place as usize];
            }
            drop_in_the_end(move_together(&mut self.keys, &moved));
        }
    }

    fn rows(&self) -> Arc<Rows<K, V>> {
        self.table.rows()
    }

    fn leaving(&self) -> usize {
        let end = self.panes.front();
        end.map_or(0, |&end| self.entries.before(end))
    }

    fn size(&self) -> StateSize {
        let mut size = self.table.size();
        size.bytes += room::<Stacks<V>>(self.keys.capacity())
            + room::<Entry<V>>(self.entries.queue.capacity())
            + room::<u32>(self.panes.capacity())
            + room::<(u32, u32)>(self.flips.keys.capacity());
        size
    }
}

impl<K, V, F> fmt::Debug for TwoStacks<K, V, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwoStacks")
            .field("panes", &self.panes.len())
            .field("entries", &self.entries.queue.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdd::at_rest;

    #[test]
    fn nothing_stays_of_a_peak() {
        let max = Arc::new(Reducer(u64::max));
        let mut window = TwoStacks::new(max, 3, 1);
        for (pane, keys) in [10, 200_000, 200_000, 10, 10, 10, 10]
            .into_iter()
            .enumerate()
        {
            if pane >= 3 {
                window.leave();
            }
            let pane = (0..keys).map(|key| (key, 1)).collect();
            window.enter(&*at_rest([pane])[0]).unwrap();
            window.settle();
        }
        assert_eq!(window.rows().count(), Some(10));
        let lists = [window.keys.capacity(), window.flips.keys.capacity()];
        let room = window.entries.queue.capacity() + lists.iter().sum::<usize>();
        assert!(room < 10_000, "{room}");
        assert!(window.table.room() < 10_000, "{}", window.table.room());
    }
}
