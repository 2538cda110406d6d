//! Two keyed data sets brought together, key by key: joins, `cogroup`, the
//! operations on sets.
//!
//! Each worker sorts the records of both sides into buckets by the hash of their
//! key; then one task has all records of a bucket, from both sides. A join builds
//! a table over the smaller side and looks the other one up. There are more
//! buckets than partitions if a table would outgrow the nearest caches.

use std::hash::Hash;
use std::iter::Flatten;
use std::sync::Arc;
use std::vec::IntoIter;

use super::partition::{at_rest, grouped};
use super::pipe::{Data, Pipe, Step};
use super::shuffle::{HashPartitioner, exchange, records};
use super::table::KeyTable;
use super::{Map, Rdd, blame, weight};
use crate::error::Result;
use crate::executor::Executor;
use crate::hash::KeyHash;

/// Records of one side, in a list for each worker that saw some.
pub(super) struct Side<K, V>(Vec<Vec<(K, V)>>);

impl<K, V> Side<K, V> {
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }
}

impl<K: Hash + Eq, V> Side<K, V> {
    /// The keys of this side alone.
    pub(super) fn keys(self) -> KeySet<K> {
        let hash = KeyHash::get();
        let mut table = KeyTable::with_capacity(self.len().min(FIT));
        for (key, _) in self {
            table.upsert(hash.hash(&key), key, (), |()| (), |(), ()| ());
        }
        KeySet { table, hash }
    }
}

/// A set of keys.
pub(super) struct KeySet<K> {
    table: KeyTable<K, ()>,
    hash: KeyHash,
}

impl<K: Hash + Eq> KeySet<K> {
    pub(super) fn has(&mut self, key: &K) -> bool {
        self.table.get_mut(self.hash.hash(key), key).is_some()
    }

    /// Takes the key out; whether it was there.
    pub(super) fn take(&mut self, key: &K) -> bool {
        self.table.remove(self.hash.hash(key), key).is_some()
    }
}

impl<T: Data + Hash + Eq, P: Pipe<Out = T>> Rdd<T, P> {
    /// The records of which `stays` says so, which is asked with the set of the records of
    /// `other`, and may take from it.
    pub(super) fn filter_by<Q: Pipe<Out = T>>(
        self,
        other: Rdd<T, Q>,
        step: Step,
        stays: impl Fn(&mut KeySet<T>, &T) -> bool + Send + Sync + 'static,
    ) -> Rdd<T> {
        let partitions = self.default_parallelism();
        let key = |record: T| (record, ());
        let (left, right) = (self.then(Map(key), step), other.then(Map(key), step));
        left.meet(right, partitions, step, move |left, right| {
            let mut there = right.keys();
            let records = left.into_iter().map(|(record, ())| record);
            records.filter(|record| stays(&mut there, record)).collect()
        })
    }
}

impl<K, V> IntoIterator for Side<K, V> {
    type Item = (K, V);
    type IntoIter = Flatten<IntoIter<Vec<(K, V)>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().flatten()
    }
}

/// A bucket on its way.
enum Bucket<L, R> {
    Left(L),
    Right(R),
}

/// Records of the smaller side in one bucket: so many entries of a table fit into
/// a core's own cache.
pub(super) const FIT: usize = 8192;
/// More buckets than this for a partition, and writing to them is what misses.
const MOST: usize = 64;

impl<K, V, P> Rdd<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// What `merge` makes of both sides, in `partitions` partitions by the hash of
    /// the key. It is called for some of the keys at a time, with all their
    /// records.
    pub(super) fn meet<W, Q, R>(
        self,
        other: Rdd<(K, W), Q>,
        partitions: usize,
        step: Step,
        merge: impl Fn(Side<K, V>, Side<K, W>) -> Vec<R> + Send + Sync + 'static,
    ) -> Rdd<R>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
        R: Data,
    {
        let n = partitions.max(1);
        let executor = Arc::clone(&self.executor);
        Rdd::lazy(n, executor, move |executor| {
            let smaller = self.weight(executor)?.min(other.weight(executor)?);
            // A finer partition by the same hash: each of its parts lies within a
            // part of the coarse one.
            let fine = HashPartitioner::new(n * (smaller / n / FIT).clamp(1, MOST));
            let left = self.scatter_by_key(fine, step)?;
            let right = other.scatter_by_key(fine, step)?;
            let weight = records(&left) + records(&right);
            let left = left
                .into_iter()
                .map(|worker| worker.into_iter().map(Bucket::Left).collect());
            let right = right
                .into_iter()
                .map(|worker| worker.into_iter().map(Bucket::Right).collect());
            let buckets = left.chain(right).collect();
            let merged = exchange(executor, fine.partitions(), buckets, weight, |column| {
                let (mut left, mut right) = (Vec::new(), Vec::new());
                for bucket in column {
                    match bucket {
                        Bucket::Left(list) => left.push(list),
                        Bucket::Right(list) => right.push(list),
                    }
                }
                merge(Side(left), Side(right))
            });
            let merged = merged.map_err(|error| blame(&[step], error))?;
            Ok(grouped(&at_rest(merged), n))
        })
    }

    fn scatter_by_key(
        &self,
        partitioner: HashPartitioner,
        step: Step,
    ) -> Result<Vec<Vec<Vec<(K, V)>>>> {
        let n = partitioner.partitions();
        self.scatter(n, Some(step), || partitioner.by_key())
    }

    fn weight(&self, executor: &Executor) -> Result<usize> {
        Ok(weight(&self.data.partitions(executor)?))
    }

    /// The join of two data sets.
    pub(crate) fn pair<J, W, Q>(
        self,
        other: Rdd<(K, W), Q>,
        partitions: usize,
        step: Step,
    ) -> Rdd<(K, J::Out)>
    where
        J: Pairing<V, W>,
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        self.meet(other, partitions, step, |left, right| {
            if left.len() <= right.len() {
                look_up::<J, _, _, _>(left, right)
            } else {
                look_up::<Flipped<J>, _, _, _>(right, left)
            }
        })
    }
}

/// What a kind of join gives for values of one key. Nothing is where it drops the
/// record.
pub(crate) trait Pairing<V, W>: 'static {
    type Out: Data;

    /// For a value of each side.
    fn both(left: V, right: W) -> Self::Out;
    /// For a value whose key the right side does not have.
    fn left(left: V) -> Option<Self::Out>;
    /// For a value whose key the left side does not have.
    fn right(right: W) -> Option<Self::Out>;
}

/// The same join with its sides changed over.
struct Flipped<J>(J);

impl<V, W, J: Pairing<V, W>> Pairing<W, V> for Flipped<J> {
    type Out = J::Out;

    #[inline(always)]
    fn both(left: W, right: V) -> J::Out {
        J::both(right, left)
    }

    #[inline(always)]
    fn left(left: W) -> Option<J::Out> {
        J::right(left)
    }

    #[inline(always)]
    fn right(right: V) -> Option<J::Out> {
        J::left(right)
    }
}

/// The values of a key on the side with the table.
struct Values<V> {
    first: V,
    /// The place of the next one among the `Further`, counted from one.
    next: u32,
    matched: bool,
}

/// Second and later values of all keys: each with the place of its successor.
type Further<V> = Vec<(V, u32)>;

/// Looks each record of `probe` up in a table of `build`. A value of `build` is
/// cloned for each pair, one of `probe` for all its pairs but one.
fn look_up<J, K, V, W>(build: Side<K, V>, probe: Side<K, W>) -> Vec<(K, J::Out)>
where
    J: Pairing<V, W>,
    K: Data + Hash + Eq,
    V: Data,
    W: Data,
{
    let hash = KeyHash::get();
    let (mut table, further) = index(build);
    let mut joined = Vec::new();
    for (key, value) in probe {
        let Some(values) = table.get_mut(hash.hash(&key), &key) else {
            joined.extend(J::right(value).map(|out| (key, out)));
            continue;
        };
        values.matched = true;
        let (mut found, mut next) = (&values.first, values.next);
        while let Some((successor, after)) = at(&further, next) {
            joined.push((key.clone(), J::both(found.clone(), value.clone())));
            (found, next) = (successor, *after);
        }
        joined.push((key, J::both(found.clone(), value)));
    }
    for (key, values) in table {
        if values.matched {
            continue;
        }
        let mut next = values.next;
        while let Some((value, after)) = at(&further, next) {
            joined.extend(J::left(value.clone()).map(|out| (key.clone(), out)));
            next = *after;
        }
        joined.extend(J::left(values.first).map(|out| (key, out)));
    }
    joined
}

/// A table of the values of each key, in their order.
fn index<K: Hash + Eq, V>(side: Side<K, V>) -> (KeyTable<K, Values<V>>, Further<V>) {
    let hash = KeyHash::get();
    let mut table = KeyTable::with_capacity(side.len());
    let mut further = Further::new();
    // From the last to the first: each new one goes before the others.
    for (key, value) in side.into_iter().rev() {
        table.upsert(
            hash.hash(&key),
            key,
            value,
            |first| Values {
                first,
                next: 0,
                matched: false,
            },
            |values, value| {
                let second = std::mem::replace(&mut values.first, value);
                further.push((second, values.next));
                values.next =
                    u32::try_from(further.len()).expect("a bucket has less than 2^32 records");
            },
        );
    }
    (table, further)
}

fn at<V>(further: &Further<V>, next: u32) -> Option<&(V, u32)> {
    further.get((next as usize).checked_sub(1)?)
}
