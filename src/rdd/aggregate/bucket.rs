//! Entries on their way from the workers' tables to a partition.

use std::hash::Hash;

use hashbrown::HashTable;

use crate::hash::KeyHash;
use crate::rdd::shuffle::HashPartitioner;

/// Entries of the keys in a range of hashes.
pub(super) struct Bucket<K, C> {
    entries: Vec<(K, C)>,
    /// So many of the first entries have keys that differ from each other.
    unique: usize,
}

impl<K, C> Bucket<K, C> {
    fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn into_entries(self) -> Vec<(K, C)> {
        self.entries
    }
}

impl<K, C> IntoIterator for Bucket<K, C> {
    type Item = (K, C);
    type IntoIter = std::vec::IntoIter<(K, C)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// One worker's buckets; none as long as there are no entries.
pub(super) struct Buckets<K, C> {
    buckets: Vec<Bucket<K, C>>,
    len: usize,
    /// When there are so many entries, it is time to join those of equal keys.
    limit: usize,
}

/// The memory that entries of equal keys may take.
const FREE_BYTES: usize = if cfg!(test) { 256 << 10 } else { 128 << 20 };

impl<K: Hash + Eq, C> Buckets<K, C> {
    pub(super) fn new() -> Self {
        Self {
            buckets: Vec::new(),
            len: 0,
            limit: Self::FREE,
        }
    }

    /// So many entries may have equal keys, and as many more as there are keys.
    const FREE: usize = FREE_BYTES / (size_of::<(K, C)>() + 1);

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds entries; the `partitioner` is the same each time.
    pub(super) fn extend(
        &mut self,
        entries: impl ExactSizeIterator<Item = (K, C)>,
        partitioner: HashPartitioner,
    ) {
        let n = partitioner.partitions();
        if self.buckets.is_empty() {
            // Somewhat more than the even share.
            let share = entries.len() / n;
            self.buckets.extend((0..n).map(|_| Bucket {
                entries: Vec::with_capacity(share + share / 8),
                unique: 0,
            }));
        }
        self.len += entries.len();
        if let [bucket] = &mut self.buckets[..] {
            bucket.entries.extend(entries);
            return;
        }
        let hash = KeyHash::get();
        for entry in entries {
            let bucket = partitioner.of(hash.hash(&entry.0));
            self.buckets[bucket].entries.push(entry);
        }
    }

    /// As [`extend`](Self::extend), by entries with different keys.
    pub(super) fn extend_unique(
        &mut self,
        entries: impl ExactSizeIterator<Item = (K, C)>,
        partitioner: HashPartitioner,
    ) {
        let were_empty = self.len == 0;
        self.extend(entries, partitioner);
        if were_empty {
            for bucket in &mut self.buckets {
                bucket.unique = bucket.len();
            }
        }
    }

    /// Joins entries of equal keys, if there may be too many of them: memory is
    /// bounded by the number of keys, not of records.
    pub(super) fn keep_small(&mut self, join: impl Fn(&mut C, C)) {
        if self.len < self.limit {
            return;
        }
        let mut merger = Merger::default();
        for (i, bucket) in self.buckets.iter_mut().enumerate() {
            let before = bucket.len();
            let entries = std::mem::take(&mut bucket.entries);
            let unique = bucket.unique;
            bucket.entries = merger.merge(vec![Bucket { entries, unique }], &join);
            bucket.unique = bucket.len();
            if i == 0 && bucket.unique > before / 4 * 3 {
                // They are as different in all buckets.
                break;
            }
        }
        self.len = self.buckets.iter().map(Bucket::len).sum();
        self.limit = Self::FREE + 2 * self.len;
    }

    /// The buckets, or as many empty ones.
    pub(super) fn into_vec(mut self, partitioner: HashPartitioner) -> Vec<Bucket<K, C>> {
        self.extend(std::iter::empty(), partitioner);
        self.buckets
    }
}

/// Makes one list of the buckets of all workers; keeps its memory for the next one.
#[derive(Default)]
pub(super) struct Merger {
    /// Where the entry of a key is.
    index: HashTable<u32>,
    /// How many entries the list before had.
    last: usize,
}

impl Merger {
    /// The entries of some buckets, those of one key joined.
    pub(super) fn merge<K: Hash + Eq, C>(
        &mut self,
        mut buckets: Vec<Bucket<K, C>>,
        join: impl Fn(&mut C, C),
    ) -> Vec<(K, C)> {
        // Into the one with the most different keys: the fewest entries are moved.
        let largest = (0..buckets.len()).max_by_key(|&i| buckets[i].unique);
        let Some(largest) = largest else {
            return Vec::new();
        };
        let Bucket {
            mut entries,
            unique,
        } = buckets.swap_remove(largest);
        let rest = entries.split_off(unique);
        let others = rest.len() + buckets.iter().map(Bucket::len).sum::<usize>();
        if others == 0 {
            return entries;
        }
        // Neighbouring lists are about as long.
        entries.reserve(others.min(self.last.saturating_sub(unique)));
        let hash = KeyHash::get();
        let index = &mut self.index;
        index.clear();
        index.reserve(unique, |_| 0);
        for (place, (key, _)) in entries.iter().enumerate() {
            index.insert_unique(hash.hash(key), as_place(place), |_| 0);
        }
        for (key, combined) in rest.into_iter().chain(buckets.into_iter().flatten()) {
            let hashed = hash.hash(&key);
            match index.find(hashed, |&place| entries[place as usize].0 == key) {
                Some(&place) => join(&mut entries[place as usize].1, combined),
                None => {
                    let place = as_place(entries.len());
                    entries.push((key, combined));
                    index.insert_unique(hashed, place, |&place| {
                        hash.hash(&entries[place as usize].0)
                    });
                }
            }
        }
        self.last = entries.len() + entries.len() / 16;
        entries
    }
}

fn as_place(place: usize) -> u32 {
    u32::try_from(place).expect("a bucket has less than 2^32 keys")
}
