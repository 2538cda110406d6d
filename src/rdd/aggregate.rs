//! Keyed aggregation: a partial table per worker, then a merge per partition.

mod bucket;
mod partial;

use std::fmt;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::sync::Arc;

use bucket::{Bucket, Merger};
use partial::Partial;

use super::partition::{Partitions, at_rest, grouped};
use super::pipe::{Data, Pipe, Step};
use super::shuffle::{HashPartitioner, exchange};
use super::table::KeyTable;
use super::{Rdd, blame, pieces, weight};
use crate::error::Result;
use crate::executor::{Executor, Spare, Spares};

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

/// An aggregation by key that keeps the memory of its tables between batches.
pub(crate) struct Aggregate<K, V, C: Combine<V>> {
    combine: C,
    partitioner: HashPartitioner,
    /// A finer one by the same hash: each of its parts lies within a partition.
    buckets: HashPartitioner,
    /// The operation that this is, for errors.
    step: Step,
    /// Tables not in use; there was one for each worker.
    spare: Spares<KeyTable<K, C::Combined>>,
}

/// Entries of one partition that are merged at once: more would outgrow a core's own
/// cache.
const FIT: usize = 1 << 15;

/// If they do not fit they are merged in so many buckets, of all partitions together.
const BUCKETS: usize = 64;

impl<K, V, C> Aggregate<K, V, C>
where
    K: Data + Hash + Eq,
    V: Data,
    C: Combine<V>,
{
    pub(crate) fn new(combine: C, partitions: usize, step: Step) -> Self {
        let partitions = partitions.max(1);
        Self {
            combine,
            partitioner: HashPartitioner::new(partitions),
            buckets: HashPartitioner::new(partitions * BUCKETS.div_ceil(partitions)),
            step,
            spare: Spares::new(),
        }
    }

    pub(crate) fn step(&self) -> Step {
        self.step
    }

    pub(crate) fn partitions(&self) -> usize {
        self.partitioner.partitions()
    }

    /// Runs the aggregation over a data set. Belongs into a
    /// [`stage`](Executor::stage): what the workers made is used up as it is merged.
    pub(crate) fn run<P>(
        &self,
        input: &Rdd<(K, V), P>,
        executor: &Executor,
    ) -> Result<Partitions<(K, C::Combined)>>
    where
        P: Pipe<Out = (K, V)>,
    {
        self.run_into(input, executor, |list| list)
    }

    /// As [`run`](Self::run), with something made of each list of entries.
    pub(crate) fn run_into<P, R: Data>(
        &self,
        input: &Rdd<(K, V), P>,
        executor: &Executor,
        finish: impl Fn(Vec<(K, C::Combined)>) -> Vec<R> + Sync,
    ) -> Result<Partitions<R>>
    where
        P: Pipe<Out = (K, V)>,
    {
        let partials = self.partials(input, executor)?;
        self.merged(partials, executor, finish)
    }

    fn merged<R: Data>(
        &self,
        partials: Vec<Partial<K, V, C>>,
        executor: &Executor,
        finish: impl Fn(Vec<(K, C::Combined)>) -> Vec<R> + Sync,
    ) -> Result<Partitions<R>> {
        let len = entries(&partials);
        let fits = partials.len() == 1 || len / self.partitions() <= FIT;
        let buckets = if fits && !partials.iter().any(Partial::has_spilled) {
            self.partitioner
        } else {
            self.buckets
        };
        let mergers = Spares::new();
        let lists = self.exchange(partials, buckets, len, executor, |column| {
            let mut merger = mergers.take(Merger::default);
            let entries = merger.merge(column, |into, other| {
                self.combine.combined(into, other);
            });
            mergers.put(merger);
            finish(entries)
        })?;
        Ok(grouped(&at_rest(lists), self.partitions()))
    }

    /// As [`run`](Self::run), but what several workers have for a key may stay apart: if
    /// they met few of the same keys, joining costs more than it saves who takes all in.
    /// Belongs into a [`stage`](Executor::stage), too.
    pub(crate) fn run_apart<P>(
        &self,
        input: &Rdd<(K, V), P>,
        executor: &Executor,
    ) -> Result<Partitions<(K, C::Combined)>>
    where
        P: Pipe<Out = (K, V)>,
    {
        let partials = self.partials(input, executor)?;
        let is_joined = partials.iter().any(Partial::has_spilled)
            || executor
                .once(|| share_keys(&partials))
                .map_err(|error| blame(&[self.step], error))?;
        if is_joined {
            return self.merged(partials, executor, |list| list);
        }
        // Nothing is left to do for the task that gets them.
        let lists = self.exchange(partials, self.partitioner, 0, executor, |column| {
            column.into_iter().map(Bucket::into_entries).collect()
        })?;
        let lists = lists.into_iter().flat_map(|lists: Vec<_>| lists);
        Ok(grouped(&at_rest(lists), self.partitions()))
    }

    /// What each worker makes of its records.
    fn partials<P>(
        &self,
        input: &Rdd<(K, V), P>,
        executor: &Executor,
    ) -> Result<Vec<Partial<K, V, C>>>
    where
        P: Pipe<Out = (K, V)>,
    {
        let parts = input.data.partitions(executor)?;
        executor
            .fold(
                pieces(&parts),
                weight(&parts),
                || Partial::new(self.spare.take(KeyTable::new)),
                |partial, part, piece| {
                    parts[part].piece(piece, &mut |chunk| {
                        partial.take_in(&*input.pipe, chunk, &self.combine, self.buckets);
                        ControlFlow::Continue(())
                    })
                },
            )
            .map_err(|error| input.blame(Some(self.step), error))
    }

    /// Gives the entries of each bucket to one `finish`, and takes the tables back.
    fn exchange<R: Send>(
        &self,
        partials: Vec<Partial<K, V, C>>,
        buckets: HashPartitioner,
        weight: usize,
        executor: &Executor,
        finish: impl Fn(Vec<Bucket<K, C::Combined>>) -> R + Sync,
    ) -> Result<Vec<R>> {
        let len = entries(&partials);
        executor
            .consume_at(partials, Partial::home, len, |_, mut partial| {
                let bucketed = partial.take_apart(buckets);
                Ok((bucketed, partial.into_table()))
            })
            .and_then(|taken_apart| {
                let (bucketed, tables): (Vec<_>, Vec<_>) = taken_apart.into_iter().unzip();
                self.give_back(tables);
                exchange(executor, buckets.partitions(), bucketed, weight, &finish)
            })
            .map_err(|error| blame(&[self.step], error))
    }

    /// Takes empty tables back.
    fn give_back(&self, tables: Vec<Spare<KeyTable<K, C::Combined>>>) {
        tables.into_iter().for_each(|table| self.spare.put(table));
        // Also of those that no worker took: a batch may have needed more.
        self.spare.for_each(KeyTable::end_batch);
    }
}

fn entries<K: Hash + Eq, V, C: Combine<V>>(partials: &[Partial<K, V, C>]) -> usize {
    partials.iter().map(Partial::len).sum()
}

/// Whether many keys came to several workers, by those of some entries.
fn share_keys<K: Hash + Eq, V, C: Combine<V>>(partials: &[Partial<K, V, C>]) -> bool {
    let largest = (0..partials.len()).max_by_key(|&i| partials[i].len());
    let Some(largest) = largest else {
        return false;
    };
    let mut sample = 0;
    let mut again = 0;
    for key in partials[largest].keys().take(SAMPLE) {
        let others = partials.iter().enumerate().filter(|&(i, _)| i != largest);
        sample += 1;
        again += others.filter(|(_, partial)| partial.has(key)).count();
    }
    // To join entries costs about half of what each costs that enters a window, where it
    // is looked up again.
    again > sample / 2
}

/// From so many entries it is told whether workers met the same keys.
const SAMPLE: usize = 64;

impl<K, V, C: Combine<V>> fmt::Debug for Aggregate<K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aggregate")
            .field("partitioner", &self.partitioner)
            .finish_non_exhaustive()
    }
}
