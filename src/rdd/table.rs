//! The table of keyed records.

use std::fmt;
use std::hash::Hash;

use hashbrown::HashTable;

use crate::hash::KeyHash;

/// Keys with a value each, found by a hash that is computed once per record.
pub(crate) struct KeyTable<K, V> {
    table: HashTable<(K, V)>,
    hash: KeyHash,
    /// Entries in this batch.
    used: usize,
    /// The most entries of the latest batches, of which older ones count less.
    recent: usize,
}

impl<K: Hash + Eq, V> KeyTable<K, V> {
    pub(crate) fn new() -> Self {
        Self::with_capacity(0)
    }

    /// A table with room for `n` keys.
    pub(crate) fn with_capacity(n: usize) -> Self {
        Self {
            table: HashTable::with_capacity(n),
            hash: KeyHash::get(),
            used: 0,
            recent: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Merges `with` into the value of `key`, or stores `first(with)` for it.
    #[inline(always)]
    pub(crate) fn upsert<W>(
        &mut self,
        hash: u64,
        key: K,
        with: W,
        first: impl FnOnce(W) -> V,
        merge: impl FnOnce(&mut V, W),
    ) {
        match self.table.find_mut(hash, |entry| entry.0 == key) {
            Some(entry) => merge(&mut entry.1, with),
            None => {
                let hasher = self.hash;
                self.table
                    .insert_unique(hash, (key, first(with)), |(key, _)| hasher.hash(key));
            }
        }
    }

    /// All keys, in no particular order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.table.iter().map(|(key, _)| key)
    }

    /// Whether `key` is there.
    pub(crate) fn has(&self, key: &K) -> bool {
        let hash = self.hash.hash(key);
        self.table.find(hash, |entry| entry.0 == *key).is_some()
    }

    /// The value of `key`.
    #[inline(always)]
    pub(crate) fn get_mut(&mut self, hash: u64, key: &K) -> Option<&mut V> {
        let entry = self.table.find_mut(hash, |entry| entry.0 == *key);
        entry.map(|entry| &mut entry.1)
    }

    /// Takes `key` out, if it is there.
    pub(crate) fn remove(&mut self, hash: u64, key: &K) -> Option<(K, V)> {
        let entry = self.table.find_entry(hash, |entry| entry.0 == *key);
        entry.ok().map(|entry| entry.remove().0)
    }

    /// Takes all entries out; the memory stays.
    pub(crate) fn take_all(&mut self) -> impl ExactSizeIterator<Item = (K, V)> {
        self.used = self.table.len();
        self.table.drain()
    }

    /// Ends a batch: the memory stays for the next one, unless it is far more than
    /// the latest batches needed.
    pub(crate) fn end_batch(&mut self) {
        self.recent = self.used.max(self.recent - self.recent / 8);
        self.used = 0;
        if self.table.capacity() > LARGE.max(self.recent.saturating_mul(16)) {
            self.table = HashTable::new();
        }
    }
}

impl<K, V> IntoIterator for KeyTable<K, V> {
    type Item = (K, V);
    type IntoIter = hashbrown::hash_table::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.table.into_iter()
    }
}

/// A table with more room than this is kept only if it was well used.
const LARGE: usize = 1 << 16;

impl<K, V> fmt::Debug for KeyTable<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyTable")
            .field("len", &self.table.len())
            .finish_non_exhaustive()
    }
}
