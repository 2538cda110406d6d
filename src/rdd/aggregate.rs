//! Keyed aggregation: a partial table per worker, then a merge per partition.

use std::fmt;
use std::hash::Hash;
use std::mem;
use std::sync::{Arc, Mutex};

use super::partition::{Partitions, at_rest};
use super::pipe::{Data, Pipe, Sink, Step};
use super::shuffle::{HashPartitioner, exchange};
use super::table::KeyTable;
use super::{Rdd, blame, weight};
use crate::error::Result;
use crate::executor::Executor;
use crate::hash::KeyHash;

/// How the values of a key become one result.
pub(crate) trait Combine<V>: Send + Sync + 'static {
    /// The result of a key, also while it is made.
    type Combined: Data;

    /// The result of the first value of a key.
    fn first(&self, value: V) -> Self::Combined;
    /// Takes one more value in.
    fn value(&self, combined: &mut Self::Combined, value: V);
    /// Joins two results.
    fn combined(&self, combined: &mut Self::Combined, other: Self::Combined);
}

/// Shared by the reduction of a batch and what joins its results later.
impl<V, C: Combine<V>> Combine<V> for Arc<C> {
    type Combined = C::Combined;

    #[inline(always)]
    fn first(&self, value: V) -> C::Combined {
        (**self).first(value)
    }

    #[inline(always)]
    fn value(&self, combined: &mut C::Combined, value: V) {
        (**self).value(combined, value);
    }

    fn combined(&self, combined: &mut C::Combined, other: C::Combined) {
        (**self).combined(combined, other);
    }
}

/// A table for each partition of the result, or all tables of one partition.
type Tables<K, V, C> = Vec<KeyTable<K, <C as Combine<V>>::Combined>>;

/// An aggregation by key that keeps the memory of its tables between batches.
pub(crate) struct Aggregate<K, V, C: Combine<V>> {
    combine: C,
    partitioner: HashPartitioner,
    /// The operation that this is, for errors.
    step: Step,
    /// Tables not in use, one list of `partitions` tables per worker.
    spare: Mutex<Vec<Tables<K, V, C>>>,
}

/// Records that are hashed before the first of them is looked up, so that their
/// cache misses overlap.
const AHEAD: usize = 32;

/// Up to this size tables are used directly. Looking ahead probes twice; that pays
/// only where nearly every miss goes to memory: on a quiet machine word count
/// (tables of 3 MiB) is a quarter faster without.
const NEAR_BYTES: usize = 8 << 20;

/// Where one worker's records go.
struct Partial<'t, K, V, C: Combine<V>> {
    tables: &'t mut [KeyTable<K, C::Combined>],
    /// Records on their way into the tables, and their hashes.
    pending: Vec<(K, V)>,
    hashes: [u64; AHEAD],
    /// Whether records wait at all.
    look_ahead: bool,
    combine: &'t C,
    partitioner: HashPartitioner,
    hash: KeyHash,
}

impl<'t, K: Hash + Eq, V, C: Combine<V>> Partial<'t, K, V, C> {
    fn new(
        tables: &'t mut [KeyTable<K, C::Combined>],
        combine: &'t C,
        partitioner: HashPartitioner,
    ) -> Self {
        // Decided once per partition: tables that outgrow the cache do so early.
        let look_ahead = tables.iter().map(KeyTable::bytes).sum::<usize>() > NEAR_BYTES;
        Self {
            tables,
            pending: Vec::with_capacity(if look_ahead { AHEAD } else { 0 }),
            hashes: [0; AHEAD],
            look_ahead,
            combine,
            partitioner,
            hash: KeyHash::get(),
        }
    }

    #[inline(always)]
    fn upsert(&mut self, hash: u64, key: K, value: V) {
        self.tables[self.partitioner.of(hash)].upsert(
            hash,
            key,
            value,
            |value| self.combine.first(value),
            |combined, value| self.combine.value(combined, value),
        );
    }

    /// Puts all pending records into their tables, in their order.
    #[inline(never)]
    fn flush(&mut self) {
        let mut pending = mem::take(&mut self.pending);
        for (i, (key, value)) in pending.drain(..).enumerate() {
            self.upsert(self.hashes[i], key, value);
        }
        self.pending = pending;
    }
}

impl<K: Hash + Eq, V, C: Combine<V>> Sink<(K, V)> for Partial<'_, K, V, C> {
    #[inline(always)]
    fn push(&mut self, (key, value): (K, V)) {
        let hash = self.hash.hash(&key);
        if !self.look_ahead {
            self.upsert(hash, key, value);
            return;
        }
        let i = self.pending.len();
        self.hashes[i] = hash;
        self.tables[self.partitioner.of(hash)].prefetch(hash);
        self.pending.push((key, value));
        if i == AHEAD - 1 {
            self.flush();
        }
    }

    #[inline(always)]
    fn push_all(&mut self, records: impl Iterator<Item = (K, V)>) {
        let (kh, partitioner) = (self.hash, self.partitioner);
        let tables = &mut *self.tables;
        let combine = self.combine;
        records.for_each(|(key, value)| {
            let hash = kh.hash(&key);
            tables[partitioner.of(hash)].upsert(
                hash,
                key,
                value,
                |value| combine.first(value),
                |combined, value| combine.value(combined, value),
            );
        });
    }
}

impl<K, V, C> Aggregate<K, V, C>
where
    K: Data + Hash + Eq,
    V: Data,
    C: Combine<V>,
{
    pub(crate) fn new(combine: C, partitions: usize, step: Step) -> Self {
        let partitioner = HashPartitioner::new(partitions.max(1));
        Self {
            combine,
            partitioner,
            step,
            spare: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn step(&self) -> Step {
        self.step
    }

    pub(crate) fn partitions(&self) -> usize {
        self.partitioner.partitions()
    }

    /// Runs the aggregation over a data set.
    pub(crate) fn run<P>(
        &self,
        input: &Rdd<(K, V), P>,
        executor: &Executor,
    ) -> Result<Partitions<(K, C::Combined)>>
    where
        P: Pipe<Out = (K, V)>,
    {
        let parts = input.data.partitions(executor)?;
        let partials = executor
            .fold(
                parts.len(),
                weight(&parts),
                || self.take_spare(),
                |tables: &mut Tables<K, V, C>, i| {
                    let mut sink = Partial::new(tables, &self.combine, self.partitioner);
                    input.feed(&*parts[i], &mut sink)?;
                    sink.flush();
                    Ok(())
                },
            )
            .map_err(|error| input.blame(Some(self.step), error))?;
        let distinct = partials.iter().flatten().map(KeyTable::len).sum();
        let merged = exchange(
            executor,
            self.partitions(),
            partials,
            distinct,
            |mut tables| (self.merge(&mut tables), tables),
        )
        .map_err(|error| blame(&[self.step], error))?;
        let (records, tables): (Vec<_>, Vec<_>) = merged.into_iter().unzip();
        self.give_back(tables);
        Ok(at_rest(records))
    }

    /// The merged records of the tables of one partition, which are empty then.
    fn merge(&self, tables: &mut [KeyTable<K, C::Combined>]) -> Vec<(K, C::Combined)> {
        let hash = KeyHash::get();
        // Into the largest: the fewest records are moved.
        let largest = (0..tables.len())
            .max_by_key(|&i| tables[i].len())
            .unwrap_or_default();
        tables.swap(0, largest);
        let Some((into, others)) = tables.split_first_mut() else {
            return Vec::new();
        };
        for table in others {
            for (key, combined) in table.take_all() {
                let hash = hash.hash(&key);
                into.upsert(
                    hash,
                    key,
                    combined,
                    |combined| combined,
                    |into, combined| self.combine.combined(into, combined),
                );
            }
        }
        into.take_all()
    }

    fn take_spare(&self) -> Tables<K, V, C> {
        let spare = self
            .spare
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
            .pop();
        spare.unwrap_or_else(|| (0..self.partitions()).map(|_| KeyTable::new()).collect())
    }

    /// Takes empty tables back: `tables[p]` are those of partition `p`.
    fn give_back(&self, tables: Vec<Tables<K, V, C>>) {
        let mut columns: Vec<_> = tables.into_iter().map(Vec::into_iter).collect();
        let mut spare = self
            .spare
            .lock()
            .unwrap_or_else(|poison| poison.into_inner());
        loop {
            let row: Vec<_> = columns.iter_mut().filter_map(Iterator::next).collect();
            if row.len() < self.partitions() {
                break;
            }
            spare.push(row);
        }
    }
}

impl<K, V, C: Combine<V>> fmt::Debug for Aggregate<K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aggregate")
            .field("partitioner", &self.partitioner)
            .finish_non_exhaustive()
    }
}
