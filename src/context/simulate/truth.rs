//! What was promised, what was seen, and what has to follow from that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::events::{INTERVAL, Plan, Refusal};
use crate::time::{BatchTime, Duration};

/// Records of the receiver are even numbers, those of the source with positions odd ones.
pub(super) fn of_receiver(number: u64) -> u64 {
    2 * number
}

pub(super) fn of_positions(number: u64) -> u64 {
    2 * number + 1
}

/// The key of a record.
pub(super) fn key(record: u64) -> u64 {
    record % 5
}

/// By key how many records, and their sum.
pub(super) type Sums = Vec<(u64, (u64, u64))>;

/// What a record of the receiver may expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Promise {
    /// It was given, and nothing said.
    Nothing,
    /// It is stored, and will be processed by this process.
    Stored,
    /// It is in one batch, whatever happens.
    Durable,
}

/// What is known outside of the program.
pub(super) struct Truth {
    plan: Plan,
    /// What happened, in a number, and in words if they are wanted.
    trace: DefaultHasher,
    tells: bool,
    wrong: Vec<String>,

    /// The life that goes on; what earlier ones say is not heard any more.
    pub(super) life: u32,
    /// Whether this life has done anything outside.
    pub(super) was_heard: bool,
    /// The batch that this life showed last, or behind which it begins.
    shown_last: BatchTime,
    /// A batch of this life failed, with what followed from it: it has to come again.
    has_gap: bool,
    /// Something was made to fail in this life, so that batches may.
    pub(super) has_faults: bool,

    given: BTreeMap<u64, Promise>,
    /// Records that the source with positions has.
    pub(super) available: u64,
    /// How many of these are in batches.
    taken: u64,

    /// The partitions of each batch.
    batches: BTreeMap<BatchTime, Vec<Vec<u64>>>,
    batch_of: BTreeMap<u64, BatchTime>,
    /// Which outputs there were of a batch.
    outputs: BTreeSet<(BatchTime, &'static str)>,
    /// What the store has.
    written: BTreeMap<(BatchTime, usize), Vec<u64>>,
    /// What the store does with the next writes.
    pub(super) refusals: VecDeque<Refusal>,
    /// An output is to fail.
    pub(super) output_fails: bool,
}

impl Truth {
    pub(super) fn new(plan: Plan, tells: bool) -> Self {
        Self {
            plan,
            trace: DefaultHasher::new(),
            tells,
            wrong: Vec::new(),
            life: 0,
            was_heard: false,
            shown_last: BatchTime::from_millis(0),
            has_gap: false,
            has_faults: false,
            given: BTreeMap::new(),
            available: 0,
            taken: 0,
            batches: BTreeMap::new(),
            batch_of: BTreeMap::new(),
            outputs: BTreeSet::new(),
            written: BTreeMap::new(),
            refusals: VecDeque::new(),
            output_fails: false,
        }
    }

    /// Notes what happens.
    pub(super) fn note(&mut self, what: String) {
        what.hash(&mut self.trace);
        if self.tells {
            println!("{}: {what}", self.life);
        }
    }

    /// Notes what is told by `SIMULATE_SEED` only.
    pub(super) fn note_changes(&mut self, changes: &str) {
        changes.hash(&mut self.trace);
        if self.tells {
            println!("{}", changes.replace(", ", "\n    "));
        }
    }

    pub(super) fn trace(&self) -> u64 {
        self.trace.finish()
    }

    pub(super) fn blame(&mut self, what: String) {
        self.note(format!("WRONG: {what}"));
        self.wrong.push(what);
    }

    pub(super) fn batches(&self) -> usize {
        self.batches.len()
    }

    pub(super) fn is_wrong(&self) -> bool {
        !self.wrong.is_empty()
    }

    /// # Panics
    /// If anything was not as it has to be.
    pub(super) fn check(&self) {
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
    }

    /// A life begins: its first batch comes behind the batch `time`.
    pub(super) fn begin_life(&mut self, time: BatchTime) {
        self.note(format!("it goes on behind {time}"));
        self.shown_last = time;
        if let Some((newest, _)) = self.batches.last_key_value()
            && *newest < time
        {
            self.blame(format!(
                "it goes on behind {time}, and {newest} was seen last"
            ));
        }
    }

    /// The life that went on is over.
    pub(super) fn end_life(&mut self) {
        self.life += 1;
        self.was_heard = false;
        self.has_gap = false;
        self.has_faults = false;
        self.refusals.clear();
        self.output_fails = false;
        // What was in no batch by then may be lost with the process.
        for promise in self.given.values_mut() {
            if *promise == Promise::Stored {
                *promise = Promise::Nothing;
            }
        }
    }

    /// The life has stopped as it should: what was stored was processed, or is in the log.
    pub(super) fn stopped(&mut self) {
        for promise in self.given.values_mut() {
            if *promise == Promise::Stored {
                *promise = Promise::Durable;
            }
        }
    }

    /// The next records of the receiver's source, which never gives one twice.
    pub(super) fn give(&mut self, count: u64) -> Vec<u64> {
        let first = self.given.len() as u64;
        let records: Vec<_> = (first..first + count).map(of_receiver).collect();
        let given = records.iter().map(|&record| (record, Promise::Nothing));
        self.given.extend(given);
        records
    }

    pub(super) fn stored(&mut self, records: &[u64]) {
        self.note(format!("stored {records:?}"));
        self.promise(records, Promise::Stored);
    }

    pub(super) fn acknowledged(&mut self, records: &[u64]) {
        self.note(format!("acknowledged {records:?}"));
        for record in records {
            if self.given.get(record) == Some(&Promise::Durable) {
                self.blame(format!("{record} was acknowledged twice"));
            }
        }
        self.promise(records, Promise::Durable);
    }

    fn promise(&mut self, records: &[u64], promise: Promise) {
        for record in records {
            match self.given.get_mut(record) {
                Some(before) => *before = promise.max(*before),
                None => self.blame(format!("{record} was never given")),
            }
        }
    }

    /// An output shows the partitions of a batch.
    pub(super) fn shows_batch(&mut self, time: BatchTime, partitions: Vec<Vec<u64>>) {
        self.note(format!("batch {time}: {partitions:?}"));
        let last = std::mem::replace(&mut self.shown_last, time);
        if time <= last {
            self.blame(format!("the batch {time} comes behind that of {last}"));
        }
        if time != last + INTERVAL {
            self.miss(time);
        }
        if self.has_gap {
            return;
        }
        match self.batches.get(&time) {
            Some(before) if *before != partitions => {
                let before = format!("{before:?}");
                self.blame(format!(
                    "the batch {time} had {before}, and comes again with {partitions:?}"
                ));
            }
            Some(_) => {}
            None => self.add_batch(time, partitions),
        }
    }

    /// A batch up to `time` could not be shown.
    fn miss(&mut self, time: BatchTime) {
        if !self.has_gap && !self.has_faults {
            self.blame(format!("there is no batch {time}, or none before it"));
        }
        self.has_gap = true;
    }

    fn add_batch(&mut self, time: BatchTime, partitions: Vec<Vec<u64>>) {
        for &record in partitions.iter().flatten() {
            if let Some(before) = self.batch_of.insert(record, time) {
                self.blame(format!("{record} is in the batches {before} and {time}"));
            }
            if record % 2 == 0 {
                if !self.given.contains_key(&record) {
                    self.blame(format!("{record} in the batch {time} was never given"));
                }
            } else {
                let expected = of_positions(self.taken);
                if record != expected || self.taken >= self.available {
                    self.blame(format!("{record} is in the batch {time}, not {expected}"));
                }
                self.taken += 1;
            }
        }
        self.batches.insert(time, partitions);
    }

    /// An output shows the records of a window over what the receiver gave.
    pub(super) fn shows_records(&mut self, name: &'static str, time: BatchTime, shown: Vec<u64>) {
        let window = self.within(time, self.plan.window_length());
        let expected = window.filter(|record| record % 2 == 0).collect();
        self.compare(name, time, shown, expected);
    }

    /// An output shows what a window has by key, in the order of the keys.
    pub(super) fn shows_window(&mut self, name: &'static str, time: BatchTime, shown: Sums) {
        let expected = sums(self.within(time, self.plan.window_length()));
        self.compare(name, time, shown, expected);
    }

    /// An output shows the largest record of each key in a window.
    pub(super) fn shows_largest(
        &mut self,
        name: &'static str,
        time: BatchTime,
        shown: Vec<(u64, u64)>,
    ) {
        let mut largest = BTreeMap::new();
        for record in self.within(time, self.plan.window_length()) {
            let before = largest.entry(key(record)).or_insert(record);
            *before = record.max(*before);
        }
        self.compare(name, time, shown, largest.into_iter().collect());
    }

    /// An output shows state: what all batches had by key.
    pub(super) fn shows_state(&mut self, name: &'static str, time: BatchTime, shown: Sums) {
        let expected = sums(self.within(time, Duration::MAX));
        self.compare(name, time, shown, expected);
    }

    fn compare<T: PartialEq + std::fmt::Debug>(
        &mut self,
        name: &'static str,
        time: BatchTime,
        shown: T,
        expected: T,
    ) {
        format!("{name} {time} {shown:?}").hash(&mut self.trace);
        if self.shown_last != time {
            self.miss(time);
        }
        self.outputs.insert((time, name));
        if shown != expected && !self.has_gap {
            self.blame(format!(
                "{name} of the batch {time} is {shown:?}, not {expected:?}"
            ));
        }
    }

    /// The records of the batches up to `time`, so long before it.
    fn within(&self, time: BatchTime, length: Duration) -> impl Iterator<Item = u64> {
        let until = self.batches.range(..=time);
        let within = until.filter(move |(at, _)| (time - **at) < length);
        within.flat_map(|(_, partitions)| partitions.iter().flatten().copied())
    }

    pub(super) fn is_written(&self, time: BatchTime, partition: usize) -> bool {
        self.written.contains_key(&(time, partition))
    }

    pub(super) fn write(&mut self, time: BatchTime, partition: usize, records: &[u64]) {
        self.note(format!("written {partition} of {time}: {records:?}"));
        let before = self.written.insert((time, partition), records.to_vec());
        if before.is_some() {
            self.blame(format!("partition {partition} of {time} is written twice"));
        }
    }

    /// All lives are over, the last one without faults.
    pub(super) fn check_end(&mut self, outputs: &[(&'static str, Duration)]) {
        for (record, promise) in self.given.clone() {
            if promise == Promise::Durable && !self.batch_of.contains_key(&record) {
                self.blame(format!("{record} was acknowledged, and is in no batch"));
            }
        }
        if self.taken != self.available {
            let (taken, available) = (self.taken, self.available);
            self.blame(format!("{taken} records of {available} are in batches"));
        }
        let in_batches = self.batches.iter().flat_map(|(time, partitions)| {
            let partitions = partitions.iter().cloned().enumerate();
            partitions.map(|(index, records)| ((*time, index), records))
        });
        let in_batches: BTreeMap<_, _> = in_batches.collect();
        if self.written != in_batches {
            for (id, records) in &in_batches {
                if self.written.get(id) != Some(records) {
                    let written = format!("{:?}", self.written.get(id));
                    self.blame(format!(
                        "the store has {written} of {id:?}, not {records:?}"
                    ));
                }
            }
            let ids: Vec<_> = self.written.keys().copied().collect();
            for id in ids.into_iter().filter(|id| !in_batches.contains_key(id)) {
                self.blame(format!("the store has {id:?}, which no batch had"));
            }
        }
        let times: Vec<_> = self.batches.keys().copied().collect();
        let zero = times
            .first()
            .map_or(BatchTime::from_millis(0), |first| *first - INTERVAL);
        for time in times {
            for &(name, slide) in outputs {
                if time.is_on_grid(zero, slide) && !self.outputs.contains(&(time, name)) {
                    self.blame(format!("there was no {name} of the batch {time}"));
                }
            }
        }
    }
}

fn sums(records: impl Iterator<Item = u64>) -> Sums {
    let mut sums = BTreeMap::<_, (u64, u64)>::new();
    for record in records {
        let (count, sum) = sums.entry(key(record)).or_default();
        *count += 1;
        *sum += record;
    }
    sums.into_iter().collect()
}
