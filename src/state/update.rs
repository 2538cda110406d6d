//! `update_state_by_key` on one partition: the values of a batch beside the state
//! of each key.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use hashbrown::HashTable;

use super::grouped::{Grouped, Groups};
use super::keyed::StatePartition;
use super::table::{Editor, Rows};
use crate::rdd::Arrived;
use crate::rdd::pipe::Data;

/// The values of a batch by key. The groups are the places of a table, and behind
/// them the keys that it does not have, in the order in which they came.
struct Cogroup<K, V> {
    values: Grouped<V>,
    new: NewKeys<K>,
}

impl<K: Data + Hash + Eq, V: Data> Cogroup<K, V> {
    fn new<S: Data>(edit: &Editor<'_, K, S>, places: usize, mut records: Arrived<(K, V)>) -> Self {
        let len = records.len();
        let mut group_of = Vec::with_capacity(len);
        let mut values = Vec::with_capacity(len);
        let mut new = NewKeys::new();
        for list in records.lists() {
            let mut records = list.drain(..);
            while records.len() > 0 {
                let ahead = edit.look_ahead(records.as_slice(), |_| ());
                for ((hash, near), (key, value)) in ahead.into_iter().zip(records.by_ref()) {
                    let group = edit
                        .find_near(near, hash, &key)
                        .unwrap_or_else(|| (places + new.find_or_add(hash, key)) as u32);
                    group_of.push(group);
                    values.push(value);
                }
            }
        }
        Self {
            values: Grouped::new(places + new.keys.len(), &group_of, values),
            new,
        }
    }
}

/// The keys of a batch that have no state, with their hashes.
struct NewKeys<K> {
    keys: Vec<(u64, K)>,
    index: HashTable<usize>,
}

impl<K: Eq> NewKeys<K> {
    fn new() -> Self {
        Self {
            keys: Vec::new(),
            index: HashTable::new(),
        }
    }

    fn find_or_add(&mut self, hash: u64, key: K) -> usize {
        let keys = &mut self.keys;
        if let Some(&number) = self.index.find(hash, |&number| keys[number].1 == key) {
            return number;
        }
        let number = keys.len();
        keys.push((hash, key));
        self.index
            .insert_unique(hash, number, |&number| keys[number].0);
        number
    }
}

impl<K: Data + Hash + Eq, S: Data> StatePartition<K, S> {
    /// Calls `f` for each key that has a state or values, with its values and its
    /// state; what it returns is the new state, nothing takes it away.
    ///
    /// Costs what all keys and the records cost.
    pub(crate) fn update<V: Data, F>(&mut self, records: Arrived<(K, V)>, f: F)
    where
        F: Fn(&K, &[V], Option<&S>) -> Option<S>,
    {
        let places = self.table.places();
        let mut edit = self.table.edit();
        let Cogroup { values, new } = Cogroup::new(&edit, places, records);
        for place in 0..places {
            let at = place as u32;
            if !edit.is_live(at) {
                continue;
            }
            let (key, state) = edit.row_mut(at);
            match f(key, values.of(place), Some(state)) {
                Some(new) => self.undo.replace(at, state, new),
                None => edit.remove(at),
            }
        }
        for (number, (hash, key)) in new.keys.into_iter().enumerate() {
            if let Some(state) = f(&key, values.of(places + number), None) {
                self.undo.insert(&mut edit, hash, key, state);
            }
        }
    }

    /// The records of a batch beside the state, as it is now.
    pub(crate) fn entries<V: Data>(&mut self, records: Arrived<(K, V)>) -> StateEntries<K, V, S> {
        let places = self.table.places();
        let Cogroup { values, new } = Cogroup::new(&self.table.edit(), places, records);
        StateEntries {
            rows: self.table.rows(),
            next: 0,
            places: places as u32,
            new_keys: new.keys.into_iter(),
            values: values.into_groups(),
        }
    }
}

/// All keys of a partition that have a state or values in a batch: each with its
/// values, in the order in which they came, and a copy of its state.
///
/// What [`update_state_by_partition`](crate::DStream::update_state_by_partition)
/// gives to its function.
pub struct StateEntries<K, V, S> {
    rows: Arc<Rows<K, S>>,
    /// The next place to look at, below `places`.
    next: u32,
    places: u32,
    new_keys: std::vec::IntoIter<(u64, K)>,
    values: Groups<V>,
}

impl<K: Data, V, S: Data> Iterator for StateEntries<K, V, S> {
    type Item = (K, Vec<V>, Option<S>);

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.places {
            let row = self.rows.row(self.next);
            self.next += 1;
            let values = self.values.next_group();
            if let Some((key, state)) = row {
                return Some((key.clone(), values, Some(state.clone())));
            }
        }
        let (_, key) = self.new_keys.next()?;
        Some((key, self.values.next_group(), None))
    }
}

impl<K, V, S> fmt::Debug for StateEntries<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateEntries").finish_non_exhaustive()
    }
}
