//! State by key, in partitions that change together or not at all.

use std::fmt;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::changes::{self, Changes, Entry, Most};
use super::idle::Idle;
use super::saving::Saving;
use super::size::{StateBound, StateSize};
use super::table::Table;
use super::undo::Undo;
use crate::codec::RecordCodec;
use crate::codec::records::RecordWriter;
use crate::error::Result;
use crate::executor::Executor;
use crate::rdd::pipe::Data;
use crate::rdd::{Arrivals, Arrived, HashPartitioner, Partition, Partitions, Rdd};
use crate::sync::engine::{Mutex, MutexGuard, lock};
use crate::time::{BatchTime, Duration};

/// The state of a stream: a value for each key, partitioned by the hashes of the
/// keys.
pub(crate) struct KeyedState<K, S> {
    /// Shared with who writes what is saved of them.
    partitions: StatePartitions<K, S>,
    bound: StateBound,
    /// Pieces that were begun.
    saves: AtomicU64,
}

pub(super) type StatePartitions<K, S> = Arc<[Mutex<StatePartition<K, S>>]>;

impl<K: Data + Hash + Eq, S: Data> KeyedState<K, S> {
    /// No keys, in `partitions` partitions (at least one).
    pub(crate) fn new(partitions: usize, timeout: Option<Duration>) -> Self {
        let new = |_| Mutex::new(StatePartition::new(timeout));
        Self {
            partitions: (0..partitions.max(1)).map(new).collect(),
            bound: StateBound::default(),
            saves: AtomicU64::new(0),
        }
    }

    /// The same, with a bound on what it keeps.
    pub(crate) fn bounded(self, bound: StateBound) -> Self {
        Self { bound, ..self }
    }

    pub(crate) fn partitioner(&self) -> HashPartitioner {
        HashPartitioner::new(self.partitions.len())
    }

    /// Changes all partitions in parallel, each by the records that came to it. After an
    /// error or a panic in any of them, or if they would be larger than they may, all are
    /// as they were. Belongs into the [`stage`](Executor::stage) in which the records were
    /// sent.
    ///
    /// `weight` is the expected work.
    pub(crate) fn step<T: Send, R: Send>(
        &self,
        executor: &Executor,
        time: BatchTime,
        weight: usize,
        records: Arrivals<T>,
        change: impl Fn(&mut StatePartition<K, S>, Arrived<T>) -> R + Sync,
    ) -> Result<Vec<R>> {
        let n = self.partitions.len();
        let before = self.size();
        let records = records.into_partitions();
        let results = executor
            .consume(records, weight, |i, records| {
                let mut partition = self.partition(i);
                let changed = catch_unwind(AssertUnwindSafe(|| change(&mut partition, records)));
                // Also behind a panic: who writes what is saved may see the partition before
                // it is taken back.
                partition.note();
                changed.map_or_else(|payload| resume_unwind(payload), Ok)
            })
            .and_then(|results| {
                self.bound.check(before, self.size())?;
                Ok(results)
            });
        if results.is_err() {
            for i in 0..n {
                self.partition(i).roll_back();
            }
        }
        // Memory for rows that are gone again must not be in the next one's way.
        let fit = results.is_err() && self.bound.check(before, self.size()).is_err();
        // What is dropped here may be as much work as the changes were.
        let weight = self.sum(|partition| partition.commit_weight(time));
        executor.map_once(n, weight, |i| {
            self.partition(i).commit(time, fit);
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
        executor.stage(|| {
            let records = state.by_key(self.partitioner(), &Arc::default())?;
            let weight = records.len();
            self.step(executor, time, weight, records, |partition, records| {
                partition.load(time, records, &again);
            })?;
            Ok(())
        })
    }

    /// Takes these keys with their state in place of those that there are; the
    /// first of a key counts. After a panic, or if they would be larger than they may,
    /// all are as they were. There must be no time-out. Belongs into the
    /// [`stage`](Executor::stage) in which they were made.
    pub(crate) fn rebuild(
        &self,
        executor: &Executor,
        time: BatchTime,
        records: Arrivals<(K, S)>,
    ) -> Result<()> {
        let weight = records.len();
        let new = executor.consume(records.into_partitions(), weight, |_, records| {
            let mut partition = StatePartition::new(None);
            partition.load(time, records, |_, _| ());
            partition.commit(time, false);
            Ok(Mutex::new(Some(partition)))
        })?;
        let sizes = new
            .iter()
            .flat_map(|new| lock(new).as_ref().map(StatePartition::size));
        self.bound.check(self.size(), sizes.sum())?;
        executor.map_once(new.len(), weight, |i| {
            if let Some(mut new) = lock(&new[i]).take() {
                let mut partition = self.partition(i);
                partition.write_rest();
                new.changes = partition.changes.take();
                if let Some(changes) = &mut new.changes {
                    changes.note_all();
                }
                *partition = new;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// From now on notes what changes, for [`save`](Self::save).
    pub(crate) fn note_changes(&self, codec: RecordCodec<(K, S)>) {
        for i in 0..self.partitions.len() {
            self.partition(i).changes = Some(Changes::new(codec));
        }
    }

    /// The next piece to save, which is all of it if `all` asks for that or there is
    /// no other way. Nothing, if nothing changed. One that was not written by now cannot
    /// be any more.
    pub(crate) fn save(&self, all: bool) -> Option<Saving<K, S>> {
        let all = all || self.sum(|partition| usize::from(partition.must_save_all())) > 0;
        if !all && self.sum(StatePartition::changed) == 0 {
            return None;
        }
        // Relaxed: one thread at a time saves.
        let number = self.saves.fetch_add(1, Ordering::Relaxed);
        let begin = |i| self.partition(i).begin_save(number, all);
        (0..self.partitions.len()).for_each(begin);
        Some(Saving::new(Arc::clone(&self.partitions), number, all))
    }

    /// Takes the pieces in, which were saved up to `time`, in place of all there is.
    pub(crate) fn restore(
        &self,
        executor: &Executor,
        time: BatchTime,
        codec: RecordCodec<(K, S)>,
        pieces: &[&[u8]],
    ) -> Result<()> {
        let n = self.partitions.len();
        let partition_of = self.partitioner().by_key::<K, S>();
        let mut entries: Vec<Vec<Entry<K, S>>> = (0..n).map(|_| Vec::new()).collect();
        for piece in pieces {
            changes::read_piece(piece, codec, |entry| {
                entries[partition_of(&entry.record)].push(entry);
            })?;
        }
        let weight = entries.iter().map(Vec::len).sum();
        executor.consume(entries, weight, |i, entries| {
            self.partition(i).restore(time, entries);
            Ok(())
        })?;
        Ok(())
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.sum(|partition| partition.table.len())
    }

    /// How much it keeps.
    pub(crate) fn size(&self) -> StateSize {
        let partitions = self.partitions.iter();
        partitions.map(|partition| lock(partition).size()).sum()
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

/// One partition of the state of a stream. After a panic in it the step is taken back.
pub(crate) struct StatePartition<K, S> {
    pub(super) table: Table<K, S>,
    pub(super) undo: Undo<S>,
    /// If there is a time-out.
    pub(super) idle: Option<Idle>,
    /// If it is saved from time to time.
    pub(super) changes: Option<Changes<K, S>>,
}

impl<K: Data + Hash + Eq, S: Data> StatePartition<K, S> {
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        Self {
            table: Table::new(),
            undo: Undo::new(),
            idle: timeout.map(Idle::new),
            changes: None,
        }
    }

    /// How much it keeps. What is noted for a step or for a checkpoint does not count.
    fn size(&self) -> StateSize {
        let mut size = self.table.size();
        size.bytes += self.idle.as_ref().map_or(0, Idle::bytes);
        size
    }

    fn must_save_all(&self) -> bool {
        self.changes.as_ref().is_some_and(Changes::must_be_all)
    }

    fn changed(&self) -> usize {
        self.changes.as_ref().map_or(0, Changes::len)
    }

    /// See [`KeyedState::save`].
    fn begin_save(&mut self, number: u64, all: bool) {
        if let Some(changes) = &mut self.changes {
            changes.begin(&self.table, number, all);
        }
    }

    /// Writes the next rows of the piece with that number, until there are so many of them
    /// or of their bytes; whether there are more.
    pub(super) fn write_some(&mut self, number: u64, most: Most) -> bool {
        let writing = self.changes.as_mut().and_then(|it| it.writing(number));
        writing.is_some_and(|writing| writing.write_some(&self.table, self.idle.as_ref(), most))
    }

    /// The table is about to be replaced.
    fn write_rest(&mut self) {
        let writing = self.changes.as_mut().and_then(Changes::any_writing);
        if let Some(writing) = writing {
            let most = Most {
                rows: usize::MAX,
                bytes: usize::MAX,
            };
            writing.write_some(&self.table, self.idle.as_ref(), most);
        }
    }

    /// Ends the piece with that number; see [`Changes::end`].
    pub(super) fn end_save(&mut self, number: u64) -> Result<RecordWriter<(K, S)>> {
        let changes = self.changes.as_mut();
        changes.map_or_else(|| Err(changes::given_up()), |changes| changes.end(number))
    }

    /// Nobody will end the piece with that number.
    pub(super) fn give_up_save(&mut self, number: u64) {
        if let Some(changes) = &mut self.changes
            && changes.writing(number).is_some()
        {
            changes.give_up();
        }
    }

    /// Notes what the step has changed, for what will be saved and what is being saved.
    fn note(&mut self) {
        if let Some(changes) = &mut self.changes {
            changes.note(&self.table, &self.undo, self.idle.as_ref());
        }
    }

    /// See [`KeyedState::restore`].
    fn restore(&mut self, time: BatchTime, entries: Vec<Entry<K, S>>) {
        let mut table = Table::new();
        let mut last = Vec::with_capacity(entries.len());
        let mut edit = table.edit();
        edit.reserve(entries.len());
        for Entry {
            record: (key, state),
            is_gone,
            touched,
        } in entries
        {
            let hash = edit.hash(&key);
            let touched = touched.unwrap_or(time);
            match edit.find(hash, &key) {
                Some(place) if is_gone => edit.remove(place),
                None if is_gone => {}
                Some(place) => {
                    *edit.value_mut(place) = state;
                    last[place as usize] = touched;
                }
                // Before the table is settled no place is used twice.
                None => {
                    edit.insert(hash, key, state);
                    last.push(touched);
                }
            }
        }
        let moved = table.settle();
        let places = moved.unwrap_or_else(|| (0..last.len() as u32).collect());
        if let Some(idle) = &mut self.idle {
            *idle = idle.emptied();
            // Rows that move together keep their order.
            for (place, last) in places.into_iter().zip(last) {
                if place != Table::<K, S>::GONE {
                    idle.bring_back(last, table.is_live(place));
                }
            }
        }
        self.table = table;
        if let Some(changes) = &mut self.changes {
            changes.give_up();
        }
    }

    /// See [`KeyedState::load`].
    fn load(&mut self, time: BatchTime, mut records: Arrived<(K, S)>, again: impl Fn(&mut S, S)) {
        let Self {
            table, undo, idle, ..
        } = self;
        let mut edit = table.edit();
        edit.reserve(records.len());
        for (key, state) in records.drain() {
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

    /// Ends a step; with `fit` it also gives back all memory that is no row's.
    pub(super) fn commit(&mut self, time: BatchTime, fit: bool) {
        let Self {
            table,
            undo,
            idle,
            changes,
        } = self;
        if let Some(idle) = idle {
            idle.commit(time, undo.inserted(), |place| table.is_live(place));
        }
        // The program's own code is dropped there, and the step ends in any case.
        let cleared = catch_unwind(AssertUnwindSafe(|| undo.clear()));
        let moved = match fit {
            true => Some(table.fit()),
            false => table.settle(),
        };
        if let Some(moved) = moved {
            if let Some(idle) = idle {
                idle.rows_moved(&moved);
            }
            if let Some(changes) = changes {
                changes.rows_moved(&moved);
            }
        }
        cleared.unwrap_or_else(|payload| resume_unwind(payload));
    }

    /// Makes everything what it was before the step.
    pub(super) fn roll_back(&mut self) {
        if let Some(changes) = &mut self.changes {
            changes.note_taken_back(&self.table, &self.undo);
        }
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
