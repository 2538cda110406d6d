//! A window over values that can be joined but not taken out again.

use std::collections::VecDeque;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use super::size::room;
use super::spare::{clear, shrink};
use super::table::{AHEAD, LookUp, Rows, Table};
use super::{SlidingWindow, StateSize};
use crate::arch;
use crate::error::Result;
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
pub(crate) struct TwoStacks<K, V, C> {
    table: Table<K, V>,
    /// The stacks of the key in each row.
    keys: Vec<Stacks<V>>,
    entries: Entries<V>,
    /// How many entries belong to each pane.
    panes: VecDeque<usize>,
    /// Panes that entered so far.
    entered: u64,
    /// After how many panes it is a key's turn again.
    cycle: u32,
    /// Rows whose keys have to be flipped, and how many entries of each.
    flips: Vec<(u32, u32)>,
    combine: Arc<C>,
}

struct Stacks<V> {
    newest: u32,
    /// Of the front, if there is one.
    oldest: u32,
    /// The newest entry of the front, if there is one.
    front: Option<u32>,
    back: Option<V>,
    back_len: u32,
}

struct Entry<V> {
    place: u32,
    /// The next older entry of the key in the back, the next newer one in the
    /// front; nothing sensible at the ends.
    link: u32,
    value: V,
}

/// Entries by their number, which counts up from the first and may wrap around.
struct Entries<V> {
    queue: VecDeque<Entry<V>>,
    /// The number of the oldest.
    first: u32,
}

impl<V> Entries<V> {
    fn next(&self) -> u32 {
        self.first.wrapping_add(self.queue.len() as u32)
    }

    #[inline]
    fn at(&mut self, number: u32) -> &mut Entry<V> {
        &mut self.queue[number.wrapping_sub(self.first) as usize]
    }

    /// Asks for the cache line of an entry, if there is such a one.
    #[inline]
    fn prefetch(&self, number: u32) {
        if let Some(entry) = self.queue.get(number.wrapping_sub(self.first) as usize) {
            arch::prefetch(entry);
        }
    }

    fn pop(&mut self) -> Option<(u32, Entry<V>)> {
        let entry = self.queue.pop_front()?;
        let number = self.first;
        self.first = number.wrapping_add(1);
        Some((number, entry))
    }
}

impl<V: Data> Stacks<V> {
    fn new(entry: u32, value: V) -> Self {
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
    fn flipped(&mut self, oldest: u32, entries: &mut Entries<V>) {
        match self.front {
            Some(front) => entries.at(front).link = oldest,
            None => self.oldest = oldest,
        }
        self.front = Some(self.newest);
        self.back = None;
        self.back_len = 0;
    }

    /// The joined value of all entries; there must be a front.
    fn total<C>(&self, entries: &mut Entries<V>, combine: &C) -> V
    where
        C: Combine<V, Combined = V>,
    {
        let mut total = entries.at(self.oldest).value.clone();
        if let Some(back) = &self.back {
            combine.value(&mut total, back.clone());
        }
        total
    }
}

impl<K: Data + Hash + Eq, V: Data, C> TwoStacks<K, V, C> {
    /// A window of `length` panes that slides by `slide` of them.
    pub(crate) fn new(combine: Arc<C>, length: u32, slide: u32) -> Self {
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
            flips: Vec::new(),
            combine,
        }
    }
}

/// In which pane of a cycle a row has its turn.
fn turn(place: u32, cycle: u32) -> u32 {
    // Mixed, as rows of keys that came together stand together.
    let mixed = place.wrapping_mul(0x9e37_79b9);
    ((u64::from(mixed) * u64::from(cycle)) >> 32) as u32
}

/// Keys that are walked at the same time.
const TOGETHER: usize = 16;

/// A walk along the entries of a key, from `at` over `left` more.
struct Walk<V> {
    place: u32,
    at: u32,
    left: u32,
    /// The entry behind, with its joined value.
    newer: Option<(u32, V)>,
}

/// Makes the newest `len` entries of each key's back the newer part of its front.
fn flip<V, C>(
    flips: &mut Vec<(u32, u32)>,
    keys: &mut [Stacks<V>],
    entries: &mut Entries<V>,
    combine: &C,
) where
    V: Data,
    C: Combine<V, Combined = V>,
{
    let (mut joins, mut walks) = (Vec::new(), Vec::new());
    for some in flips.chunks(TOGETHER) {
        join_fronts(some, keys, entries, combine, &mut joins);
        walks.extend(some.iter().map(|&(place, left)| Walk {
            place,
            at: keys[place as usize].newest,
            left,
            newer: None,
        }));
        while !walks.is_empty() {
            walks.retain_mut(|walk| {
                let entry = entries.at(walk.at);
                let older = entry.link;
                if let Some((number, value)) = walk.newer.take() {
                    combine.value(&mut entry.value, value);
                    entry.link = number;
                }
                walk.left -= 1;
                if walk.left == 0 {
                    keys[walk.place as usize].flipped(walk.at, entries);
                    return false;
                }
                walk.newer = Some((walk.at, entry.value.clone()));
                walk.at = older;
                entries.prefetch(older);
                true
            });
        }
    }
    clear(flips);
}

/// A walk from the oldest entry of a key's front to the newest.
struct Join {
    place: u32,
    at: u32,
    newest: u32,
}

/// Joins the entries of each front with its back: they now reach up to the newest.
/// `joins` is empty, before and after.
fn join_fronts<V, C>(
    flips: &[(u32, u32)],
    keys: &[Stacks<V>],
    entries: &mut Entries<V>,
    combine: &C,
    joins: &mut Vec<Join>,
) where
    V: Data,
    C: Combine<V, Combined = V>,
{
    joins.extend(flips.iter().filter_map(|&(place, _)| {
        let key = &keys[place as usize];
        Some(Join {
            place,
            at: key.oldest,
            newest: key.front?,
        })
    }));
    while !joins.is_empty() {
        joins.retain_mut(|join| {
            let Some(back) = &keys[join.place as usize].back else {
                return false;
            };
            let entry = entries.at(join.at);
            combine.value(&mut entry.value, back.clone());
            let more = join.at != join.newest;
            join.at = entry.link;
            if more {
                entries.prefetch(join.at);
            }
            more
        });
    }
}

impl<K, V, C> SlidingWindow<K, V> for TwoStacks<K, V, C>
where
    K: Data + Hash + Eq,
    V: Data,
    C: Combine<V, Combined = V>,
{
    fn leave(&mut self) {
        let mut left = self.panes.pop_front().unwrap_or_default();
        if left == 0 {
            // To change a table whose rows are held would copy it.
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
                let Some((number, entry)) = entries.pop() else {
                    return;
                };
                let key = &mut keys[entry.place as usize];
                if key.newest == number {
                    edit.remove(entry.place);
                    continue;
                }
                match key.front {
                    Some(front) if front != number => {
                        key.oldest = entry.link;
                        *edit.value_mut(entry.place) = key.total(entries, &**combine);
                    }
                    front => {
                        key.front = None;
                        // Without a front it is the back's oldest that leaves.
                        let alone = u32::from(front.is_none());
                        flips.push((entry.place, key.back_len - alone));
                    }
                }
            }
            left -= some;
        }
        let emptied: Vec<_> = flips.iter().map(|&(place, _)| place).collect();
        flip(flips, keys, entries, &**combine);
        for place in emptied {
            *edit.value_mut(place) = keys[place as usize].total(entries, &**combine);
        }
    }

    fn enter(&mut self, pane: &dyn Partition<(K, V)>) -> Result<()> {
        if pane.count() == Some(0) {
            self.panes.push_back(0);
            self.entered += 1;
            return Ok(());
        }
        let before = self.entries.queue.len();
        let on_turn = (self.entered % u64::from(self.cycle)) as u32;
        let Self {
            table,
            keys,
            entries,
            cycle,
            flips,
            combine,
            ..
        } = self;
        entries.queue.reserve(pane.count().unwrap_or_default());
        table.edit().look_up(pane, |look_up| {
            let (edit, hash, place, (key, value)) = match look_up {
                LookUp::Ahead(place) => return arch::prefetch(&keys[place as usize]),
                LookUp::Record {
                    edit,
                    hash,
                    place,
                    record,
                } => (edit, hash, place, record),
            };
            let number = entries.next();
            let Some(place) = place else {
                let place = edit.insert(hash, key.clone(), value.clone());
                let stacks = Stacks::new(number, value.clone());
                match keys.get_mut(place as usize) {
                    Some(old) => *old = stacks,
                    // Rows are added one at a time.
                    None => keys.push(stacks),
                }
                entries.queue.push_back(Entry {
                    place,
                    link: number,
                    value: value.clone(),
                });
                return;
            };
            let stacks = &mut keys[place as usize];
            entries.queue.push_back(Entry {
                place,
                link: stacks.newest,
                value: value.clone(),
            });
            stacks.newest = number;
            stacks.back_len += 1;
            match &mut stacks.back {
                Some(back) => combine.value(back, value.clone()),
                None => stacks.back = Some(value.clone()),
            }
            combine.value(edit.value_mut(place), value.clone());
            if turn(place, *cycle) == on_turn {
                flips.push((place, stacks.back_len));
            }
        })?;
        flip(flips, keys, entries, &**combine);
        self.panes.push_back(self.entries.queue.len() - before);
        self.entered += 1;
        Ok(())
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
            // Rows keep their order when they move together.
            let mut places = moved.iter();
            self.keys.retain(|_| {
                places
                    .next()
                    .is_some_and(|&place| place != Table::<K, V>::GONE)
            });
            self.keys.shrink_to_fit();
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
        size.bytes += room::<Stacks<V>>(self.keys.capacity())
            + room::<Entry<V>>(self.entries.queue.capacity())
            + room::<usize>(self.panes.capacity())
            + room::<(u32, u32)>(self.flips.capacity());
        size
    }
}

impl<K, V, C> fmt::Debug for TwoStacks<K, V, C> {
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
    use crate::rdd::op::reduce_by_key::Reducer;

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
        let room =
            window.entries.queue.capacity() + window.keys.capacity() + window.flips.capacity();
        assert!(room < 10_000, "{room}");
        assert!(window.table.room() < 10_000, "{}", window.table.room());
    }
}
