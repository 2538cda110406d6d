//! A running sum by key: a hashbrown table for each thread, of the keys in its range
//! of the hashes.

use std::sync::Arc;

use hashbrown::HashTable;

use super::{Pairs, Team, mix, range_of};

/// The sums of the keys in one thread's range.
struct Part {
    range: usize,
    of: usize,
    sums: HashTable<(u64, i64)>,
    /// The total of the sums that the last work read or handed out.
    told: i64,
}

impl Part {
    fn work(&mut self, work: Work) {
        match work {
            Work::Add(pairs) => self.add(&pairs, |_| {}),
            Work::AddAndTell(pairs) => {
                let mut told = 0;
                self.add(&pairs, |sum| told += sum);
                self.told = told;
            }
            Work::Scan => self.told = self.sums.iter().map(|entry| entry.1).sum(),
        }
    }

    #[inline(always)]
    fn add(&mut self, pairs: &Pairs, mut tell: impl FnMut(i64)) {
        for &(key, value) in pairs {
            let hash = mix(key);
            if range_of(hash, self.of) != self.range {
                continue;
            }
            let sum = match self.sums.find_mut(hash, |entry| entry.0 == key) {
                Some(entry) => {
                    entry.1 += value;
                    entry.1
                }
                None => {
                    self.sums
                        .insert_unique(hash, (key, value), |entry| mix(entry.0));
                    value
                }
            };
            tell(sum);
        }
    }
}

#[derive(Clone)]
enum Work {
    Add(Arc<Pairs>),
    /// Adds, and hands out the new sum of each pair.
    AddAndTell(Arc<Pairs>),
    /// Only reads all sums.
    Scan,
}

/// The running sums.
pub(crate) struct State(Team<Part, Work>);

impl State {
    pub(crate) fn new(threads: usize) -> Self {
        let part = |range| Part {
            range,
            of: threads,
            sums: HashTable::new(),
            told: 0,
        };
        Self(Team::new((0..threads).map(part), Part::work))
    }

    /// Adds the values of a batch.
    pub(crate) fn add(&self, batch: &Arc<Pairs>) {
        self.0.each(&Work::Add(Arc::clone(batch)));
    }

    /// As [`add`](Self::add), and gives the total of the new sums, one for each pair.
    pub(crate) fn add_and_tell(&self, batch: &Arc<Pairs>) -> i64 {
        self.0.each(&Work::AddAndTell(Arc::clone(batch)));
        self.told()
    }

    /// Reads all sums, and gives their total.
    pub(crate) fn scan(&self) -> i64 {
        self.0.each(&Work::Scan);
        self.told()
    }

    fn told(&self) -> i64 {
        self.0.parts().map(|part| part.told).sum()
    }

    /// Calls `f` with all keys and their sums.
    pub(crate) fn rows(&self, mut f: impl FnMut(u64, i64)) {
        for part in self.0.parts() {
            part.sums.iter().for_each(|&(key, sum)| f(key, sum));
        }
    }
}
