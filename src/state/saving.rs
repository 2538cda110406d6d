//! A piece of state that is written while the batches behind it run.
//!
//! The rows of a piece stand in it in no certain order: those that a batch changed before
//! their turn come first. A batch that never ends, in the program's own code, keeps what
//! was begun before it from being written.

use std::fmt;
use std::hash::Hash;

use super::changes::{self, Most};
use super::keyed::StatePartitions;
use crate::error::Result;
use crate::rdd::pipe::Data;
use crate::sync::engine::{lock, yield_now};

/// What [`KeyedState::save`](super::KeyedState::save) gave.
pub(crate) struct Saving<K: Data + Hash + Eq, S: Data> {
    partitions: StatePartitions<K, S>,
    number: u64,
    all: bool,
}

/// Some ten microseconds.
const MOST: Most = Most {
    rows: 512,
    bytes: 16 << 10,
};

impl<K: Data + Hash + Eq, S: Data> Saving<K, S> {
    pub(super) fn new(partitions: StatePartitions<K, S>, number: u64, all: bool) -> Self {
        Self {
            partitions,
            number,
            all,
        }
    }

    /// Whether it is all of the state, and not only what changed.
    pub(crate) fn is_all(&self) -> bool {
        self.all
    }

    /// Writes a part of each partition; whether there is more. One is not held for long, and
    /// then others have their turn, so that a batch gets it.
    pub(super) fn write_some(&self, most: Most) -> bool {
        let mut is_more = false;
        // Batches take them from the other end.
        for partition in self.partitions.iter().rev() {
            is_more |= lock(partition).write_some(self.number, most);
        }
        is_more
    }

    /// The bytes of the piece.
    ///
    /// # Errors
    /// If a key or its state could not be written, or the piece was given up.
    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        while self.write_some(MOST) {
            yield_now();
        }
        let partitions = self.partitions.iter();
        let written = partitions.map(|it| lock(it).end_save(self.number));
        let written: Vec<_> = written.collect::<Result<_>>()?;
        changes::piece(self.all, &written)
    }
}

/// Of a piece that was not finished: no batch writes for it any more.
impl<K: Data + Hash + Eq, S: Data> Drop for Saving<K, S> {
    fn drop(&mut self) {
        for partition in &*self.partitions {
            lock(partition).give_up_save(self.number);
        }
    }
}

impl<K: Data + Hash + Eq, S: Data> fmt::Debug for Saving<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saving")
            .field("number", &self.number)
            .field("all", &self.all)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "checkpoint"))]
mod tests {
    use std::panic;
    use std::sync::{Arc, Barrier};

    use crate::codec::RecordCodec;
    use crate::executor::Executor;
    use crate::rdd::Rdd;
    use crate::state::{KeyedState, State};
    use crate::time::BatchTime;

    use super::*;

    #[test]
    fn what_a_step_has_half_changed_is_not_written() {
        let executor = Arc::new(Executor::of(2));
        let time = BatchTime::from_millis(1000);
        let state = KeyedState::<u64, u64>::new(2, None);
        let codec = RecordCodec::new();
        state.note_changes(codec);
        let partition_of = state.partitioner().by_key::<u64, ()>();
        let key_in = |partition| (0..).find(|&key| partition_of(&(key, ())) == partition);
        let (first, second) = (key_in(0).unwrap(), key_in(1).unwrap());
        let step = |f: &(dyn Fn(u64, &mut State<'_, u64>) + Sync)| {
            let records = Rdd::parallelize([(first, ()), (second, ())], 1, &executor);
            let records = records.by_key(state.partitioner(), &Arc::default());
            // Too much for one worker alone.
            let weight = 1 << 20;
            let call = |_: BatchTime, key, _: Option<()>, state: &mut State<'_, u64>| {
                f(key, state);
                None::<()>
            };
            state.step(&executor, time, weight, records.unwrap(), |it, records| {
                it.call(time, records, &call)
            })
        };
        step(&|_, state| state.update(5)).unwrap();
        let saving = state.save(false).unwrap();
        let is_changed = Barrier::new(2);
        let failed = step(&|key, state| {
            state.update(6);
            is_changed.wait();
            if key == first {
                panic::resume_unwind(Box::new("a mistake of the program"));
            }
            // It is free when the panic has left it, and not taken back yet.
            lock(&saving.partitions[0]).write_some(saving.number, MOST);
        });
        assert!(failed.is_err());
        let again = KeyedState::new(1, None);
        let piece = saving.finish().unwrap();
        again.restore(&executor, time, codec, &[&piece]).unwrap();
        let rows = Rdd::ready(again.rows(), Arc::clone(&executor));
        let mut rows = rows.collect().unwrap();
        rows.sort();
        let mut expected = [(first, 5), (second, 5)];
        expected.sort();
        assert_eq!(rows, expected);
    }
}
