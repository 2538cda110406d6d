//! State by key, in partitions that change together or not at all.

use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

use super::idle::Idle;
use super::table::Table;
use super::undo::Undo;
use crate::error::Result;
use crate::executor::Executor;
use crate::rdd::pipe::Data;
use crate::rdd::{Arrivals, HashPartitioner, Partition, Partitions, Rdd};
use crate::time::{BatchTime, Duration};

/// The state of a stream: a value for each key, partitioned by the hashes of the
/// keys.
pub(crate) struct KeyedState<K, S> {
    partitions: Vec<Mutex<StatePartition<K, S>>>,
}

impl<K: Data + Hash + Eq, S: Data> KeyedState<K, S> {
    /// No keys, in `partitions` partitions (at least one).
    pub(crate) fn new(partitions: usize, timeout: Option<Duration>) -> Self {
        let new = |_| Mutex::new(StatePartition::new(timeout));
        Self {
            partitions: (0..partitions.max(1)).map(new).collect(),
        }
    }

    pub(crate) fn partitioner(&self) -> HashPartitioner {
        HashPartitioner::new(self.partitions.len())
    }

    /// Changes all partitions in parallel. After an error or a panic in any of them
    /// all are as they were.
    ///
    /// `weight` is the expected work.
    pub(crate) fn step<R: Send>(
        &self,
        executor: &Executor,
        time: BatchTime,
        weight: usize,
        change: impl Fn(usize, &mut StatePartition<K, S>) -> R + Sync,
    ) -> Result<Vec<R>> {
        let n = self.partitions.len();
        let results = executor.map(n, weight, |i| Ok(change(i, &mut self.partition(i))));
        if results.is_err() {
            for i in 0..n {
                self.partition(i).roll_back();
            }
        }
        // What is dropped here may be as much work as the changes were.
        let weight = self.sum(|partition| partition.commit_weight(time));
        executor.map(n, weight, |i| {
            self.partition(i).commit(time);
            Ok(())
        })?;
        results
    }

    /// Takes in keys with their state; `again` decides when a key is there
    /// already.
    pub(crate) fn load(
        &self,
        executor: &Executor,
        time: BatchTime,
        state: &Rdd<(K, S)>,
        again: impl Fn(&mut S, S) + Sync,
    ) -> Result<()> {
        let records = state.by_key(self.partitioner())?;
        self.step(executor, time, records.len(), |i, partition| {
            partition.load(time, records.take(i), &again);
        })?;
        Ok(())
    }

    /// Takes these keys with their state in place of those that there are; the
    /// first of a key counts. After a panic all are as they were. There must be no
    /// time-out.
    pub(crate) fn rebuild(
        &self,
        executor: &Executor,
        time: BatchTime,
        records: &Arrivals<(K, S)>,
    ) -> Result<()> {
        let n = self.partitions.len();
        let new = executor.map(n, records.len(), |i| {
            let mut partition = StatePartition::new(None);
            partition.load(time, records.take(i), |_, _| ());
            partition.commit(time);
            Ok(Mutex::new(Some(partition)))
        })?;
        executor.map(n, records.len(), |i| {
            if let Some(new) = lock(&new[i]).take() {
                *self.partition(i) = new;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.sum(|partition| partition.table.len())
    }

    /// How many rows a step at `time` has to look at because of the time-out.
    pub(crate) fn due(&self, time: BatchTime) -> usize {
        self.sum(|partition| partition.due(time))
    }

    /// All keys with their state as they are now. As long as somebody holds them,
    /// the next change of a partition copies it.
    pub(crate) fn rows(&self) -> Partitions<(K, S)> {
        let rows = |i| self.partition(i).table.rows() as Arc<dyn Partition<(K, S)>>;
        (0..self.partitions.len()).map(rows).collect()
    }

    fn sum(&self, of: impl Fn(&StatePartition<K, S>) -> usize) -> usize {
        let partitions = self.partitions.iter();
        partitions.map(|partition| of(&lock(partition))).sum()
    }

    fn partition(&self, i: usize) -> MutexGuard<'_, StatePartition<K, S>> {
        lock(&self.partitions[i])
    }
}

/// After a panic the step is taken back.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// One partition of the state of a stream.
pub(crate) struct StatePartition<K, S> {
    pub(super) table: Table<K, S>,
    pub(super) undo: Undo<S>,
    /// If there is a time-out.
    pub(super) idle: Option<Idle>,
}

impl<K: Data + Hash + Eq, S: Data> StatePartition<K, S> {
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        Self {
            table: Table::new(),
            undo: Undo::new(),
            idle: timeout.map(Idle::new),
        }
    }

    /// See [`KeyedState::load`].
    fn load(&mut self, time: BatchTime, records: Vec<Vec<(K, S)>>, again: impl Fn(&mut S, S)) {
        let Self { table, undo, idle } = self;
        let mut edit = table.edit();
        edit.reserve(records.iter().map(Vec::len).sum());
        for (key, state) in records.into_iter().flatten() {
            let hash = edit.hash(&key);
            match edit.find(hash, &key) {
                Some(place) => {
                    let slot = edit.value_mut(place);
                    undo.keep(place, slot);
                    again(slot, state);
                }
                None => {
                    let place = undo.insert(&mut edit, hash, key, state);
                    if let Some(idle) = idle {
                        idle.touch(place, time);
                    }
                }
            }
        }
    }

    pub(super) fn due(&self, time: BatchTime) -> usize {
        self.idle.as_ref().map_or(0, |idle| idle.due(time))
    }

    /// About how much work [`commit`](Self::commit) is.
    fn commit_weight(&self, time: BatchTime) -> usize {
        let filed = self.idle.as_ref().map_or(0, |_| self.undo.inserted().len());
        self.undo.weight() + filed + self.due(time)
    }

    /// Ends a step.
    pub(super) fn commit(&mut self, time: BatchTime) {
        let Self { table, undo, idle } = self;
        if let Some(idle) = idle {
            idle.commit(time, undo.inserted(), |place| table.is_live(place));
        }
        if let Some(moved) = table.settle()
            && let Some(idle) = idle
        {
            idle.rows_moved(&moved);
        }
        undo.clear();
    }

    /// Makes everything what it was before the step.
    pub(super) fn roll_back(&mut self) {
        self.undo.roll_back(&mut self.table);
        if let Some(idle) = &mut self.idle {
            idle.roll_back();
        }
    }
}

impl<K, S> fmt::Debug for KeyedState<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedState")
            .field("partitions", &self.partitions.len())
            .finish_non_exhaustive()
    }
}

impl<K, S> fmt::Debug for StatePartition<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatePartition")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}
