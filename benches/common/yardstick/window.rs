//! A sliding sum by key: a hashbrown table for each thread, of the keys in its range of
//! the hashes. The sums of each batch are added as it enters, and subtracted as it
//! leaves.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashTable;

use super::{Pairs, Team, mix, range_of};

/// The keys of one thread's range, with their sum and the number of batches that they
/// are in.
struct Part {
    range: usize,
    of: usize,
    length: usize,
    table: HashTable<(u64, i64, u32)>,
    /// The sums of the batch that enters.
    batch: HashTable<(u64, i64)>,
    panes: VecDeque<Pairs>,
}

impl Part {
    fn slide(&mut self, pairs: &Pairs) {
        for &(key, value) in pairs {
            let hash = mix(key);
            if range_of(hash, self.of) != self.range {
                continue;
            }
            match self.batch.find_mut(hash, |entry| entry.0 == key) {
                Some(entry) => entry.1 += value,
                None => {
                    self.batch
                        .insert_unique(hash, (key, value), |entry| mix(entry.0));
                }
            }
        }
        if self.panes.len() == self.length {
            let leaving = self.panes.pop_front().expect("it is full");
            leaving
                .into_iter()
                .for_each(|(key, value)| self.leave(key, value));
        }
        let pane: Pairs = self.batch.drain().collect();
        pane.iter().for_each(|&(key, value)| self.enter(key, value));
        self.panes.push_back(pane);
    }

    #[inline(always)]
    fn leave(&mut self, key: u64, value: i64) {
        let mut entry = self
            .table
            .find_entry(mix(key), |entry| entry.0 == key)
            .expect("it entered");
        let (_, sum, batches) = entry.get_mut();
        *sum -= value;
        *batches -= 1;
        if *batches == 0 {
            entry.remove();
        }
    }

    #[inline(always)]
    fn enter(&mut self, key: u64, value: i64) {
        let hash = mix(key);
        match self.table.find_mut(hash, |entry| entry.0 == key) {
            Some(entry) => {
                entry.1 += value;
                entry.2 += 1;
            }
            None => {
                self.table
                    .insert_unique(hash, (key, value, 1), |entry| mix(entry.0));
            }
        }
    }
}

/// The sums of the last batches.
pub(crate) struct Window(Team<Part, Arc<Pairs>>);

impl Window {
    pub(crate) fn new(threads: usize, length: usize) -> Self {
        let part = |range| Part {
            range,
            of: threads,
            length,
            table: HashTable::new(),
            batch: HashTable::new(),
            panes: VecDeque::new(),
        };
        let slide = |part: &mut Part, batch: Arc<Pairs>| part.slide(&batch);
        Self(Team::new((0..threads).map(part), slide))
    }

    /// One batch enters, and the oldest one leaves.
    pub(crate) fn slide(&self, batch: &Arc<Pairs>) {
        self.0.each(batch);
    }

    /// Calls `f` with all keys and their sums.
    pub(crate) fn rows(&self, mut f: impl FnMut(u64, i64)) {
        for part in self.0.parts() {
            part.table.iter().for_each(|&(key, sum, _)| f(key, sum));
        }
    }
}
