//! Keyed aggregation: a partial table per worker, then a merge per partition.

use std::fmt;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

use super::pipe::{Chunk, Data, Pipe, Sink, Step};
use super::shuffle::{HashPartitioner, exchange};
use super::table::KeyTable;
use super::{Rdd, blame, pieces, weight};
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

/// Keys with what their values became.
type Entries<K, V, C> = Vec<(K, <C as Combine<V>>::Combined)>;

/// An aggregation by key that keeps the memory of its tables between batches.
pub(crate) struct Aggregate<K, V, C: Combine<V>> {
    combine: C,
    partitioner: HashPartitioner,
    /// The operation that this is, for errors.
    step: Step,
    /// Tables not in use; there was one for each worker.
    spare: Mutex<Vec<KeyTable<K, C::Combined>>>,
}

/// Records that are hashed before the first of them is looked up, so that their
/// cache misses overlap.
const AHEAD: usize = 32;

/// Up to this size tables are used directly. Looking ahead probes twice; that pays
/// only where nearly every miss goes to memory: on a quiet machine word count
/// (tables of 3 MiB) is a quarter faster without.
const NEAR_BYTES: usize = 8 << 20;

/// What one worker makes of the records that it sees.
///
/// One table for all partitions: it is taken apart at the end, which costs once per
/// key what choosing a table would cost for each record.
struct Partial<K, V, C: Combine<V>> {
    table: KeyTable<K, C::Combined>,
    /// Records on their way into a large table.
    waiting: Vec<(K, V)>,
}

impl<K: Hash + Eq, V, C: Combine<V>> Partial<K, V, C> {
    /// Puts the waiting records into the table, in their order.
    fn look_ahead(&mut self, combine: &C) {
        let hash = KeyHash::get();
        let table = &mut self.table;
        let mut waiting = self.waiting.drain(..);
        let mut hashes = [0; AHEAD];
        loop {
            let ahead = &waiting.as_slice()[..waiting.len().min(AHEAD)];
            if ahead.is_empty() {
                return;
            }
            for ((key, _), slot) in ahead.iter().zip(&mut hashes) {
                *slot = hash.hash(key);
                table.prefetch(*slot);
            }
            for (hash, (key, value)) in hashes.into_iter().zip(&mut waiting) {
                table.upsert(
                    hash,
                    key,
                    value,
                    |value| combine.first(value),
                    |combined, value| combine.value(combined, value),
                );
            }
        }
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

    /// Runs the aggregation over a data set; the result by partition.
    pub(crate) fn run<P>(
        &self,
        input: &Rdd<(K, V), P>,
        executor: &Executor,
    ) -> Result<Vec<Vec<(K, C::Combined)>>>
    where
        P: Pipe<Out = (K, V)>,
    {
        let parts = input.data.partitions(executor)?;
        let partials = executor
            .fold_pieces(
                pieces(&parts),
                weight(&parts),
                || self.partial(),
                |partial, part, piece| {
                    parts[part].piece(piece, &mut |chunk| {
                        self.take_in(&*input.pipe, chunk, partial);
                        ControlFlow::Continue(())
                    })
                },
            )
            .map_err(|error| input.blame(Some(self.step), error))?;
        let distinct = partials.iter().map(|partial| partial.table.len()).sum();
        let tables: Vec<_> = partials
            .into_iter()
            .map(|partial| Mutex::new(partial.table))
            .collect();
        let records = executor
            .map(tables.len(), distinct, |i| {
                Ok(self.take_apart(&mut lock(&tables[i])))
            })
            .and_then(|lists| {
                exchange(executor, self.partitions(), lists, distinct, |lists| {
                    self.merge(lists)
                })
            })
            .map_err(|error| blame(&[self.step], error))?;
        self.give_back(tables);
        Ok(records)
    }

    fn partial(&self) -> Partial<K, V, C> {
        let table = lock(&self.spare).pop();
        Partial {
            table: table.unwrap_or_else(KeyTable::new),
            waiting: Vec::new(),
        }
    }

    /// Takes empty tables back.
    fn give_back(&self, tables: Vec<Mutex<KeyTable<K, C::Combined>>>) {
        let mut spare = lock(&self.spare);
        for table in tables {
            spare.push(table.into_inner().unwrap_or_else(PoisonError::into_inner));
        }
        // Also of those that no worker took: a batch may have needed more.
        spare.iter_mut().for_each(KeyTable::end_batch);
    }

    #[inline]
    fn take_in<P>(&self, pipe: &P, chunk: Chunk<'_, P::In>, partial: &mut Partial<K, V, C>)
    where
        P: Pipe<Out = (K, V)>,
    {
        if partial.table.bytes() <= NEAR_BYTES {
            let mut direct = Direct {
                table: &mut partial.table,
                combine: &self.combine,
                hash: KeyHash::get(),
            };
            pipe.feed(chunk, &mut direct);
        } else {
            pipe.feed(chunk, &mut partial.waiting);
            partial.look_ahead(&self.combine);
        }
    }

    /// The entries of a table, a list for each partition. The table is empty then.
    fn take_apart(&self, table: &mut KeyTable<K, C::Combined>) -> Vec<Entries<K, V, C>> {
        let n = self.partitions();
        if table.len() == 0 {
            // Taking nothing out of a large table costs as much as clearing it.
            return (0..n).map(|_| Vec::new()).collect();
        }
        if n == 1 {
            return vec![table.take_all().collect()];
        }
        let hash = KeyHash::get();
        // Room for somewhat more than the even share.
        let room = table.len() / n + table.len() / n / 8;
        let mut lists: Vec<_> = (0..n).map(|_| Vec::with_capacity(room)).collect();
        for entry in table.take_all() {
            lists[self.partitioner.of(hash.hash(&entry.0))].push(entry);
        }
        lists
    }

    /// The lists of one partition, made one.
    fn merge(&self, mut lists: Vec<Entries<K, V, C>>) -> Entries<K, V, C> {
        // Into the longest: the fewest entries are moved.
        let longest = (0..lists.len())
            .max_by_key(|&i| lists[i].len())
            .unwrap_or_default();
        if lists.is_empty() {
            return Vec::new();
        }
        let mut entries = lists.swap_remove(longest);
        let others = lists.iter().map(Vec::len).sum::<usize>();
        if others == 0 {
            return entries;
        }
        let hash = KeyHash::get();
        // Places of the entries.
        let mut index = HashTable::<u32>::with_capacity(entries.len() + others);
        for (place, (key, _)) in entries.iter().enumerate() {
            index.insert_unique(hash.hash(key), as_place(place), |_| 0);
        }
        for (key, combined) in lists.into_iter().flatten() {
            let hash = hash.hash(&key);
            match index.find(hash, |&place| entries[place as usize].0 == key) {
                Some(&place) => self
                    .combine
                    .combined(&mut entries[place as usize].1, combined),
                None => {
                    index.insert_unique(hash, as_place(entries.len()), |_| 0);
                    entries.push((key, combined));
                }
            }
        }
        entries
    }
}

fn as_place(place: usize) -> u32 {
    u32::try_from(place).expect("a partition has less than 2^32 keys")
}

fn lock<T>(cell: &Mutex<T>) -> MutexGuard<'_, T> {
    cell.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K, V, C: Combine<V>> fmt::Debug for Aggregate<K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aggregate")
            .field("partitioner", &self.partitioner)
            .finish_non_exhaustive()
    }
}
