//! A table by key whose rows are shared with the batches that were made of it.

use std::any::Any;
use std::fmt;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::bits::Bits;
use super::index::Index;
use super::size::{StateSize, room};
use super::spare::{clear, drop_in_the_end, move_together};
use crate::arch;
use crate::block::Str;
use crate::error::Result;
use crate::hash::KeyHash;
use crate::rdd::pipe::{Chunk, Data};
use crate::rdd::{CHUNK, Partition};

/// One key in each row, found by an index.
///
/// A row keeps its place until it is removed, and its place is not used again
/// before [`settle`](Self::settle): who notes places can rely on them through one
/// step.
pub(crate) struct Table<K, V> {
    rows: Arc<Rows<K, V>>,
    index: Index,
    /// Places that can be used again.
    free: Vec<u32>,
    /// Places that were left since the table was settled.
    left: Vec<u32>,
    /// Bytes beside the rows that their keys have, those in places that were left too.
    text: usize,
}

/// The rows of a table: a partition of a batch.
///
/// A row that was removed stays as it is until its place is used again; the marks
/// tell.
#[derive(Clone)]
pub(crate) struct Rows<K, V> {
    entries: Vec<(K, V)>,
    /// The places of the rows that count.
    live: Bits,
    len: usize,
}

/// Keys whose rows are looked up together, so that their cache misses overlap.
pub(crate) const AHEAD: usize = 32;

/// The hashes of some keys, and where they most likely are.
pub(crate) type Ahead = [(u64, Option<u32>); AHEAD];

impl<K: Data + Hash + Eq, V: Data> Table<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            rows: Arc::new(Rows {
                entries: Vec::new(),
                live: Bits::default(),
                len: 0,
            }),
            index: Index::default(),
            free: Vec::new(),
            left: Vec::new(),
            text: 0,
        }
    }

    /// How much it keeps. Places that were left are not counted: which they are is known
    /// only when a step has ended.
    pub(crate) fn size(&self) -> StateSize {
        let rows = &self.rows;
        let bytes = room::<(K, V)>(rows.entries.capacity())
            + rows.live.bytes()
            + self.index.bytes()
            + self.text as u64;
        StateSize {
            keys: rows.len as u64,
            bytes,
        }
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len
    }

    /// All places that were ever used are below this.
    pub(crate) fn places(&self) -> usize {
        self.rows.entries.len()
    }

    /// For how many rows there is memory, in all lists together.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        let lists = [self.free.capacity(), self.left.capacity()];
        self.rows.entries.capacity() + self.index.capacity() + lists.iter().sum::<usize>()
    }

    /// Whether a place has a row.
    pub(crate) fn is_live(&self, place: u32) -> bool {
        self.rows.live.contains(place)
    }

    /// The places that have a row.
    pub(super) fn live(&self) -> &Bits {
        &self.rows.live
    }

    /// The row at a place that has one, or had one before this step: who asks knows.
    #[inline]
    pub(super) fn row_or_left(&self, place: u32) -> &(K, V) {
        &self.rows.entries[place as usize]
    }

    /// The rows as they are now. As long as somebody holds them, the next
    /// [`edit`](Self::edit) copies them.
    pub(crate) fn rows(&self) -> Arc<Rows<K, V>> {
        Arc::clone(&self.rows)
    }

    /// Access for one step of changes.
    pub(crate) fn edit(&mut self) -> Editor<'_, K, V> {
        Editor {
            rows: Arc::make_mut(&mut self.rows),
            index: &mut self.index,
            free: &mut self.free,
            left: &mut self.left,
            text: &mut self.text,
            hash: KeyHash::get(),
        }
    }

    /// Whether no row was removed since the table was settled.
    pub(crate) fn is_settled(&self) -> bool {
        self.left.is_empty()
    }

    /// The rows that were removed since the table was settled.
    pub(super) fn left(&self) -> impl Iterator<Item = (u32, &(K, V))> {
        let entries = &self.rows.entries;
        self.left
            .iter()
            .map(|&place| (place, &entries[place as usize]))
    }

    /// Ends a step: the places that it left can be used again. If most places are
    /// unused by now, the rows move together; then it gives the new place of each
    /// old one ([`GONE`](Self::GONE) for those that were left).
    pub(crate) fn settle(&mut self) -> Option<Vec<u32>> {
        self.free.extend_from_slice(&self.left);
        clear(&mut self.left);
        let unused = self.free.len();
        // What was removed is not dropped before its place is used again, so rows
        // that own memory stand closer. Each move is paid by as many removals as
        // it leaves rows out.
        let spare = if std::mem::needs_drop::<(K, V)>() {
            self.len() / 4
        } else {
            self.len()
        };
        (unused > spare + 64).then(|| self.move_together())
    }

    /// As [`settle`](Self::settle), and gives back all memory that is no row's.
    pub(crate) fn fit(&mut self) -> Vec<u32> {
        self.left = Vec::new();
        self.move_together()
    }

    /// The place of a row that is gone.
    pub(crate) const GONE: u32 = u32::MAX;

    fn move_together(&mut self) -> Vec<u32> {
        let rows = Arc::make_mut(&mut self.rows);
        let mut moved = vec![Self::GONE; rows.entries.len()];
        let hash = KeyHash::get();
        // Before anything is changed: a key's own `hash` may panic.
        let mut index = Index::with_capacity(rows.len);
        let mut kept = 0;
        for (place, (key, _)) in (0..).zip(&rows.entries) {
            if rows.live.contains(place) {
                moved[place as usize] = kept;
                index.insert(hash.hash(key), kept);
                kept += 1;
            }
        }
        let gone = move_together(&mut rows.entries, &moved);
        rows.live = Bits::all_below(rows.len);
        self.index = index;
        self.free = Vec::new();
        self.text = rows.entries.iter().map(|(key, _)| own_bytes(key)).sum();
        drop_in_the_end(gone);
        moved
    }
}

/// Access to a table for one step of changes.
pub(crate) struct Editor<'t, K, V> {
    rows: &'t mut Rows<K, V>,
    index: &'t mut Index,
    free: &'t mut Vec<u32>,
    left: &'t mut Vec<u32>,
    text: &'t mut usize,
    hash: KeyHash,
}

/// Who takes in what [`Editor::look_up`] hands over. Not closures: these are in the loop over
/// records, and have to be compiled into it.
pub(super) trait TakeIn<K, V> {
    /// A record will be found at this place, most likely: the time to ask for what
    /// belongs to it.
    fn ahead(&self, place: u32);

    /// A value for the key of this row.
    fn join(&mut self, edit: &mut Editor<'_, K, V>, place: u32, value: &V);

    /// A record whose key has no row.
    fn add(&mut self, edit: &mut Editor<'_, K, V>, hash: u64, record: &(K, V));
}

impl<K: Data + Hash + Eq, V: Data> Editor<'_, K, V> {
    pub(crate) fn hash(&self, key: &K) -> u64 {
        self.hash.hash(key)
    }

    /// Looks ahead for the keys of the first [`AHEAD`] records; tells `each` where
    /// one most likely is, so that it can ask for what belongs to the row.
    #[inline]
    pub(crate) fn look_ahead<W>(&self, records: &[(K, W)], mut each: impl FnMut(u32)) -> Ahead {
        let mut ahead = [(0, None); AHEAD];
        for ((hash, _), (key, _)) in ahead.iter_mut().zip(records) {
            *hash = self.hash(key);
            self.index.prefetch(*hash);
        }
        for ((hash, near), _) in ahead.iter_mut().zip(records) {
            // The first with the same tag is nearly always the right one.
            *near = self.index.find(*hash, |_| true);
            if let Some(place) = *near {
                self.prefetch_row(place);
                each(place);
            }
        }
        ahead
    }

    /// As [`find`](Self::find), after a look ahead said where to look first; the
    /// table may have changed since.
    #[inline(always)]
    pub(crate) fn find_near(&self, near: Option<u32>, hash: u64, key: &K) -> Option<u32> {
        match near {
            Some(near) if *self.key(near) == *key && self.is_live(near) => Some(near),
            _ => self.find(hash, key),
        }
    }

    /// Whether a place has a row.
    #[inline]
    pub(crate) fn is_live(&self, place: u32) -> bool {
        self.rows.live.contains(place)
    }

    /// Asks for the cache line of a row.
    #[inline]
    pub(crate) fn prefetch_row(&self, place: u32) {
        if let Some(entry) = self.rows.entries.get(place as usize) {
            arch::prefetch(entry);
        }
    }

    /// Asks for the cache line that removing a row will change; the row should have
    /// come by now.
    #[inline]
    pub(crate) fn prefetch_removal(&self, place: u32) {
        let (key, _) = &self.rows.entries[place as usize];
        self.index.prefetch(self.hash(key));
    }

    /// The place of a key.
    #[inline]
    pub(crate) fn find(&self, hash: u64, key: &K) -> Option<u32> {
        let entries = &self.rows.entries;
        self.index
            .find(hash, |place| entries[place as usize].0 == *key)
    }

    /// Makes room for `more` rows.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.rows.entries.reserve(more);
        self.index.reserve(more);
    }

    /// Adds a row for a key that has none. Not a part of the loops over records, which
    /// mostly find one.
    #[inline(never)]
    pub(crate) fn insert(&mut self, hash: u64, mut key: K, value: V) -> u32 {
        settle_key(&mut key);
        *self.text += own_bytes(&key);
        let entries = &mut self.rows.entries;
        let place = match self.free.pop() {
            Some(place) => {
                let entry = &mut entries[place as usize];
                *self.text -= own_bytes(&entry.0);
                *entry = (key, value);
                place
            }
            None => {
                let place = u32::try_from(entries.len())
                    .ok()
                    .filter(|&place| place != u32::MAX)
                    .expect("a partition of state has less than 2^32 - 1 keys");
                entries.push((key, value));
                place
            }
        };
        self.index.insert(hash, place);
        self.rows.mark(place, true);
        place
    }

    /// Removes a row. It stays readable until the table is settled.
    pub(crate) fn remove(&mut self, place: u32) {
        let hash = self.hash.hash(&self.rows.entries[place as usize].0);
        if self.index.remove(hash, place) {
            self.rows.mark(place, false);
            self.left.push(place);
        }
    }

    /// Puts back the rows that were removed since the table was settled.
    pub(crate) fn restore(&mut self) {
        // One after the other, as a key's own `hash` may panic.
        while let Some(&place) = self.left.last() {
            let hash = self.hash.hash(&self.rows.entries[place as usize].0);
            self.index.insert(hash, place);
            self.rows.mark(place, true);
            self.left.pop();
        }
    }

    /// Hands over each record of a pane but the first `known`.
    pub(super) fn look_up(
        &mut self,
        pane: &dyn Partition<(K, V)>,
        mut known: usize,
        into: &mut impl TakeIn<K, V>,
    ) -> Result<()> {
        pane.chunks(&mut |chunk| {
            let records = match chunk {
                Chunk::Shared(records) => records,
                Chunk::Owned(records) => records,
            };
            let (old, new) = records.split_at(known.min(records.len()));
            known -= old.len();
            for records in new.chunks(AHEAD) {
                let ahead = self.look_ahead(records, |place| into.ahead(place));
                for (record, (hash, near)) in records.iter().zip(ahead) {
                    match self.find_near(near, hash, &record.0) {
                        Some(place) => into.join(self, place, &record.1),
                        None => into.add(self, hash, record),
                    }
                }
            }
            ControlFlow::Continue(())
        })
    }

    #[inline]
    pub(crate) fn key(&self, place: u32) -> &K {
        &self.rows.entries[place as usize].0
    }

    #[inline]
    pub(crate) fn row_mut(&mut self, place: u32) -> (&K, &mut V) {
        let (key, value) = &mut self.rows.entries[place as usize];
        (key, value)
    }

    #[inline]
    pub(crate) fn value_mut(&mut self, place: u32) -> &mut V {
        &mut self.rows.entries[place as usize].1
    }
}

/// A key stays for long: a string must not keep the block that it was received in.
fn settle_key<K: Data>(key: &mut K) {
    if let Some(text) = (key as &mut dyn Any).downcast_mut::<Str>() {
        *text = std::mem::take(text).compact();
    }
}

/// What a settled key has beside itself, as far as that is known.
fn own_bytes<K: Data>(key: &K) -> usize {
    let text = (key as &dyn Any).downcast_ref::<Str>();
    text.map_or(0, Str::own_bytes)
}

impl<K, V> Rows<K, V> {
    fn mark(&mut self, place: u32, live: bool) {
        if live {
            self.live.insert(place);
            self.len += 1;
        } else {
            self.live.remove(place);
            self.len -= 1;
        }
    }

    /// The row at a place, if there is one.
    pub(crate) fn row(&self, place: u32) -> Option<&(K, V)> {
        let live = self.live.contains(place);
        live.then(|| &self.entries[place as usize])
    }
}

impl<K: Data, V: Data> Partition<(K, V)> for Rows<K, V> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, (K, V)>) -> ControlFlow<()>) -> Result<()> {
        let mut gathered = Vec::new();
        for (number, rows) in self.entries.chunks(CHUNK).enumerate() {
            let first = number * CHUNK;
            let count = self.live.count(first, CHUNK);
            let flow = if count == rows.len() {
                each(Chunk::Shared(rows))
            } else if count == 0 {
                ControlFlow::Continue(())
            } else {
                let kept = (first as u32..)
                    .zip(rows)
                    .filter(|&(place, _)| self.live.contains(place));
                gathered.clear();
                gathered.extend(kept.map(|(_, row)| row.clone()));
                each(Chunk::Owned(&mut gathered))
            };
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn count(&self) -> Option<usize> {
        Some(self.len)
    }

    fn weight(&self) -> usize {
        self.len
    }
}

impl<K, V> fmt::Debug for Rows<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("len", &self.len)
            .field("places", &self.entries.len())
            .finish()
    }
}

impl<K, V> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::block::TextRange;

    fn read<K: Data + Ord, V: Data + Ord>(rows: &Rows<K, V>) -> Vec<(K, V)> {
        let mut all = Vec::new();
        rows.chunks(&mut |chunk| {
            match chunk {
                Chunk::Shared(rows) => all.extend_from_slice(rows),
                Chunk::Owned(rows) => all.append(rows),
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(rows.count(), Some(all.len()));
        all.sort();
        all
    }

    #[test]
    fn rows_of_a_batch_that_is_held_do_not_change() {
        let mut table = Table::new();
        let mut edit = table.edit();
        let hash = edit.hash(&"a");
        let place = edit.insert(hash, "a", 1);
        let held = table.rows();
        *table.edit().value_mut(place) = 2;
        assert_eq!(read(&held), [("a", 1)]);
        assert_eq!(read(&table.rows()), [("a", 2)]);
    }

    #[test]
    fn a_place_is_not_used_again_before_the_table_is_settled() {
        let mut table = Table::new();
        let mut edit = table.edit();
        let first = edit.insert(edit.hash(&1), 1, ());
        edit.remove(first);
        let second = edit.insert(edit.hash(&2), 2, ());
        assert_ne!(first, second);
        assert_eq!(*edit.key(first), 1);
        assert_eq!(table.settle(), None);
        let mut edit = table.edit();
        assert_eq!(edit.insert(edit.hash(&3), 3, ()), first);
    }

    #[test]
    fn a_long_string_key_lets_go_of_its_block() {
        let mut lines = Vec::new();
        let range = TextRange::copy_of(b"a line that is longer than fits inline\n");
        range.lines_in(0..range.len(), |line| {
            lines.push(line);
            true
        });
        let line = lines.remove(0);
        let mut table = Table::new();
        let mut edit = table.edit();
        let place = edit.insert(edit.hash(&line), line.clone(), ());
        assert_eq!(*edit.key(place), line);
        assert_ne!(edit.key(place).as_ptr(), line.as_ptr());
    }

    /// Insert or add to a key, or remove it; or end the step.
    #[derive(Clone, Debug)]
    enum Change {
        Put(u16, u32),
        Remove(u16),
        Settle,
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            6 => (0..700_u16, any::<u32>()).prop_map(|(key, value)| Change::Put(key, value)),
            5 => (0..700_u16).prop_map(Change::Remove),
            1 => Just(Change::Settle),
        ]
    }

    proptest! {
        #[test]
        fn equals_a_plain_map(changes in proptest::collection::vec(change(), 0..3000)) {
            let mut table = Table::<u16, u32>::new();
            let mut plain = BTreeMap::new();
            // Where each key was seen last.
            let mut places = BTreeMap::new();
            for change in changes {
                match change {
                    Change::Put(key, value) => {
                        let mut edit = table.edit();
                        let hash = edit.hash(&key);
                        let found = edit.find(hash, &key);
                        prop_assert_eq!(found, places.get(&key).copied());
                        match found {
                            Some(place) => *edit.value_mut(place) = value,
                            None => {
                                places.insert(key, edit.insert(hash, key, value));
                            }
                        }
                        plain.insert(key, value);
                    }
                    Change::Remove(key) => {
                        let removed = plain.remove(&key);
                        if let Some(place) = places.remove(&key) {
                            let mut edit = table.edit();
                            prop_assert_eq!(Some(*edit.row_mut(place).1), removed);
                            edit.remove(place);
                        }
                    }
                    Change::Settle => {
                        if let Some(moved) = table.settle() {
                            for place in places.values_mut() {
                                *place = moved[*place as usize];
                            }
                            prop_assert_eq!(table.places(), plain.len());
                        }
                        prop_assert!(table.places() <= 2 * 700 + 64);
                    }
                }
                prop_assert_eq!(table.len(), plain.len());
            }
            let expected: Vec<_> = plain.into_iter().collect();
            prop_assert_eq!(read(&table.rows()), expected);
            let rows = table.rows();
            let by_place: BTreeMap<_, _> = (0..table.places() as u32)
                .filter_map(|place| Some((rows.row(place)?.0, place)))
                .collect();
            prop_assert_eq!(by_place, places);
        }
    }
}
