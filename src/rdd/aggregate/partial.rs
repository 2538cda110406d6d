//! What one worker makes of its records.

use std::hash::Hash;

use super::Combine;
use super::bucket::{Bucket, Buckets};
use crate::executor::Spare;
use crate::hash::KeyHash;
use crate::rdd::pipe::{Chunk, Pipe, Sink};
use crate::rdd::shuffle::HashPartitioner;
use crate::rdd::table::KeyTable;

/// A table may take so much memory: beyond it most of what a record touches comes
/// from far away. (The tests have small tables, which need few records.)
const TABLE_BYTES: usize = if cfg!(test) { 64 << 10 } else { 12 << 20 };

/// Records that are counted before it is decided whether a table is worth while.
const SAMPLE: usize = if cfg!(test) { 128 } else { 4096 };

/// Records that go past the table once it was found not to be.
const PAST: usize = if cfg!(test) { 4096 } else { 1 << 22 };

/// A table of what a worker has seen, and what it had no room for.
///
/// One table for all partitions: it is taken apart at the end, which costs once per
/// key what choosing a table would cost for each record. When it has outgrown the
/// caches it is taken apart earlier: its entries go to buckets by their hash, more
/// than there are partitions, so that a bucket can later be merged in a table that
/// fits. If the table meets few keys again, as one of many equally frequent keys
/// does, records go straight to the buckets.
pub(super) struct Partial<K, V, C: Combine<V>> {
    table: Spare<KeyTable<K, C::Combined>>,
    spilled: Buckets<K, C::Combined>,
    /// Records on their way to somewhere else than the table.
    waiting: Vec<(K, V)>,
    sample: Sample,
    /// Records that still go past the table.
    past: usize,
}

/// What the table did for some records.
#[derive(Default)]
struct Sample {
    records: usize,
    /// Those whose key was there.
    hits: usize,
}

impl<K: Hash + Eq, V, C: Combine<V>> Partial<K, V, C> {
    pub(super) fn new(table: Spare<KeyTable<K, C::Combined>>) -> Self {
        Self {
            table,
            spilled: Buckets::new(),
            waiting: Vec::new(),
            sample: Sample::default(),
            past: 0,
        }
    }

    /// The node that the table is on; see [`Spare::home`].
    pub(super) fn home(&self) -> Option<usize> {
        self.table.home()
    }

    /// Entries, of which some may have the same key.
    pub(super) fn len(&self) -> usize {
        self.table.len() + self.spilled.len()
    }

    /// The keys in the table.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.table.keys()
    }

    /// Whether a key is in the table.
    pub(super) fn has(&self, key: &K) -> bool {
        self.table.has(key)
    }

    pub(super) fn has_spilled(&self) -> bool {
        self.spilled.len() > 0
    }

    /// How many entries a table has room for.
    const ROOM: usize = {
        let places = (TABLE_BYTES / (size_of::<(K, C::Combined)>() + 1)) | 4;
        // Of the places, of which a table has a power of two, one in four stays
        // free for the records of one more chunk.
        (1 << places.ilog2()) / 4 * 3
    };

    /// Takes in what a chain makes of a chunk.
    #[inline]
    pub(super) fn take_in<P>(
        &mut self,
        pipe: &P,
        chunk: Chunk<'_, P::In>,
        combine: &C,
        buckets: HashPartitioner,
    ) where
        P: Pipe<Out = (K, V)>,
    {
        let is_sampling = self.table.len() > Self::ROOM / 8 && self.sample.records < SAMPLE;
        if self.past == 0 && !is_sampling {
            let mut direct = Direct {
                table: &mut self.table,
                combine,
                hash: KeyHash::get(),
            };
            pipe.feed(chunk, &mut direct);
        } else {
            pipe.feed(chunk, &mut self.waiting);
            self.take_waiting(combine, buckets);
        }
        if self.table.len() >= Self::ROOM {
            self.spill(combine, buckets);
        }
    }

    /// Puts the waiting records where they belong.
    #[inline(never)]
    fn take_waiting(&mut self, combine: &C, buckets: HashPartitioner) {
        let n = self.waiting.len();
        if self.past > 0 {
            self.past = self.past.saturating_sub(n);
            let entries = self.waiting.drain(..);
            let entries = entries.map(|(key, value)| (key, combine.first(value)));
            self.spilled.extend(entries, buckets);
            self.spilled
                .keep_small(|into, other| combine.combined(into, other));
            return;
        }
        let before = self.table.len();
        let mut direct = Direct {
            table: &mut self.table,
            combine,
            hash: KeyHash::get(),
        };
        direct.push_all(self.waiting.drain(..));
        self.sample.records += n;
        self.sample.hits += n - (self.table.len() - before);
        // As many keys there seem to be, if all are as frequent.
        let Sample { records, hits } = self.sample;
        let keys = self.table.len().saturating_mul(records) / hits.max(1);
        if records >= SAMPLE && keys > Self::ROOM + Self::ROOM / 2 {
            self.past = PAST;
            self.spill(combine, buckets);
        }
    }

    #[inline(never)]
    fn spill(&mut self, combine: &C, buckets: HashPartitioner) {
        self.spilled.extend_unique(self.table.take_all(), buckets);
        self.spilled
            .keep_small(|into, other| combine.combined(into, other));
        self.sample = Sample::default();
    }

    /// All entries in buckets, and the table, which is empty now.
    pub(super) fn take_apart(&mut self, buckets: HashPartitioner) -> Vec<Bucket<K, C::Combined>> {
        let mut all = std::mem::replace(&mut self.spilled, Buckets::new());
        if self.table.len() > 0 {
            // Taking nothing out of a large table costs as much as clearing it.
            all.extend_unique(self.table.take_all(), buckets);
        }
        all.into_vec(buckets)
    }

    pub(super) fn into_table(self) -> Spare<KeyTable<K, C::Combined>> {
        self.table
    }
}

/// Records straight into a table.
struct Direct<'t, K, V, C: Combine<V>> {
    table: &'t mut KeyTable<K, C::Combined>,
    combine: &'t C,
    hash: KeyHash,
}

impl<K: Hash + Eq, V, C: Combine<V>> Sink<(K, V)> for Direct<'_, K, V, C> {
    #[inline(always)]
    fn push(&mut self, (key, value): (K, V)) {
        self.table.upsert(
            self.hash.hash(&key),
            key,
            value,
            |value| self.combine.first(value),
            |combined, value| self.combine.value(combined, value),
        );
    }
}
