//! State that is saved in pieces, against a plain table.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize, Serializer, ser};

use crate::codec::{Codec, RecordCodec};
use crate::executor::Executor;
use crate::rdd::Rdd;
use crate::rdd::pipe::Data;
use crate::state::changes::Most;
use crate::state::saving::Saving;
use crate::state::{KeyedState, State};
use crate::time::{BatchTime, Duration};

fn at(second: i64) -> BatchTime {
    BatchTime::from_millis(second * 1000)
}

/// What a batch does to a key: sets it, or removes it.
type Change<V> = (u16, Option<V>);

/// The changes of a batch, which all fail with the last of them if `fails`.
fn change<V: Data>(
    state: &KeyedState<u16, V>,
    executor: &Arc<Executor>,
    time: BatchTime,
    changes: &[Change<V>],
    fails: bool,
) {
    let last = changes.len().saturating_sub(1);
    let records = changes.iter().cloned().enumerate();
    let records = records.map(|(i, (key, value))| (key, (value, fails && i == last)));
    let records = Rdd::parallelize(records, 2, executor);
    let records = records
        .by_key(state.partitioner(), &Arc::default())
        .unwrap();
    type Value<V> = (Option<V>, bool);
    let f = |_: BatchTime, key: u16, value: Option<Value<V>>, state: &mut State<'_, V>| {
        // None came if the key is idle.
        let (value, is_bad) = value.unwrap_or((None, false));
        match value {
            // That of some keys is only looked at, which counts as a touch.
            Some(_) if state.exists() && key.is_multiple_of(5) => {}
            Some(value) => state.update(value),
            None if state.exists() && !state.is_timing_out() => state.remove(),
            None => {}
        }
        if is_bad {
            // Without a word from the hook of panics.
            panic::resume_unwind(Box::new("a mistake of the program"));
        }
        None::<()>
    };
    let weight = records.len();
    let stepped = state.step(executor, time, weight, records, |partition, records| {
        partition.call(time, records, &f)
    });
    assert_eq!(stepped.is_err(), fails && !changes.is_empty());
}

fn rows<K: Data + Hash + Ord, V: Data>(
    state: &KeyedState<K, V>,
    executor: &Arc<Executor>,
) -> BTreeMap<K, V> {
    let rows = Rdd::ready(state.rows(), Arc::clone(executor));
    rows.collect().unwrap().into_iter().collect()
}

/// Few at a time, so that batches come between.
const FEW: Most = Most {
    rows: 7,
    bytes: usize::MAX,
};

/// One batch, and what is done behind it.
#[derive(Clone, Debug)]
struct Batch {
    changes: Vec<(u16, Option<u32>)>,
    fails: bool,
    /// How often a part of what is being saved is written.
    writes: usize,
    is_saved: bool,
}

fn batch() -> impl Strategy<Value = Batch> {
    // In some nearly all keys go.
    let changes = (0..3).prop_flat_map(|kind| {
        let sets = if kind == 0 { 0.05 } else { 0.7 };
        vec(
            (0..250_u16, proptest::option::weighted(sets, any::<u32>())),
            0..300,
        )
    });
    let rest = (proptest::bool::weighted(0.3), 0..5_usize, any::<bool>());
    (changes, rest).prop_map(|(changes, (fails, writes, is_saved))| Batch {
        changes,
        fails,
        writes,
        is_saved,
    })
}

/// Batches of state that may have a time-out, in so many partitions before it is restored,
/// and after.
#[derive(Clone, Debug)]
struct Life {
    batches: Vec<Batch>,
    timeout: Option<Duration>,
    partitions: (usize, usize),
}

fn life() -> impl Strategy<Value = Life> {
    let timeout = proptest::option::of((1..6_u64).prop_map(Duration::from_secs));
    let partitions = (1..4_usize, 1..4_usize);
    (vec(batch(), 1..12), timeout, partitions).prop_map(|(batches, timeout, partitions)| Life {
        batches,
        timeout,
        partitions,
    })
}

impl Life {
    /// Wherever pieces begin and end, whatever batches change while one is written, and
    /// however many partitions there are after: with each piece the state comes back as it
    /// was when that was begun, with the times of its last touches.
    fn gives_its_state_again<V: Data + Codec + PartialEq + Debug>(self, value: fn(u32) -> V) {
        let (before, after) = self.partitions;
        let executor = Arc::new(Executor::of(1));
        let codec = RecordCodec::<(u16, V)>::of_pairs();
        let state = KeyedState::new(before, self.timeout);
        // Of this one all is written at once.
        let twin = KeyedState::new(1, self.timeout);
        state.note_changes(codec);
        twin.note_changes(codec);
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        let mut check = |saving: Saving<u16, V>, expected: &[u8], mut time| {
            if saving.is_all() {
                pieces.clear();
            }
            pieces.push(saving.finish().unwrap());
            let again = KeyedState::new(after, self.timeout);
            let slices: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
            again.restore(&executor, at(time), codec, &slices).unwrap();
            let twin = KeyedState::new(1, self.timeout);
            twin.restore(&executor, at(time), codec, &[expected])
                .unwrap();
            // What is idle goes at the same times.
            for _ in 0..8 {
                assert_eq!(rows(&again, &executor), rows(&twin, &executor));
                time += 1;
                change(&again, &executor, at(time), &[], false);
                change(&twin, &executor, at(time), &[], false);
            }
        };
        let mut begun: Option<(Saving<u16, V>, Vec<u8>, i64)> = None;
        for (time, batch) in (1..).zip(self.batches) {
            let changes = batch.changes.into_iter();
            let changes: Vec<_> = changes.map(|(key, new)| (key, new.map(value))).collect();
            change(&state, &executor, at(time), &changes, batch.fails);
            change(&twin, &executor, at(time), &changes, batch.fails);
            if let Some((saving, _, _)) = &begun {
                for _ in 0..batch.writes {
                    saving.write_some(FEW);
                }
            }
            if batch.is_saved {
                if let Some((saving, expected, time)) = begun.take() {
                    check(saving, &expected, time);
                }
                let all = twin.save(true).unwrap().finish().unwrap();
                begun = state.save(false).map(|saving| (saving, all, time));
            }
        }
        if let Some((saving, expected, time)) = begun {
            check(saving, &expected, time);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_plain_values(life in life()) {
        life.gives_its_state_again(|n| n);
    }

    #[test]
    fn pieces_of_values_that_own_memory(life in life()) {
        life.gives_its_state_again(|n| n.to_string());
    }

    #[test]
    fn damage_is_an_error_or_another_state_but_no_panic(
        bytes in vec(any::<u8>(), 0..60),
    ) {
        let executor = Arc::new(Executor::of(1));
        let state = KeyedState::<u8, String>::new(2, None);
        let _ = state.restore(&executor, at(1), RecordCodec::new(), &[&bytes]);
    }
}

/// Some numbers cannot be written, as long as that is so.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Picky(u32);

static IS_PICKY: AtomicBool = AtomicBool::new(true);

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Relaxed: one thread.
        match self.0 {
            13 if IS_PICKY.load(Ordering::Relaxed) => Err(ser::Error::custom("not 13")),
            14 if IS_PICKY.load(Ordering::Relaxed) => panic::resume_unwind(Box::new("not 14")),
            n => serializer.serialize_u32(n),
        }
    }
}

#[test]
fn behind_a_piece_that_cannot_be_written_comes_all_of_it() {
    let executor = Arc::new(Executor::of(1));
    let codec = RecordCodec::<(u16, Picky)>::new();
    let state = KeyedState::new(2, None);
    state.note_changes(codec);
    let set = |time, key, number| {
        change(
            &state,
            &executor,
            at(time),
            &[(key, Some(Picky(number)))],
            false,
        );
    };
    let restored = |piece: &[u8]| {
        let again = KeyedState::new(1, None);
        again.restore(&executor, at(9), codec, &[piece]).unwrap();
        rows(&again, &executor)
    };
    set(1, 1, 1);
    set(1, 2, 2);
    state.save(false).unwrap().finish().unwrap();
    for bad in [13, 14] {
        IS_PICKY.store(true, Ordering::Relaxed);
        set(2, 1, bad);
        // By the thread that writes it, and by a batch that changes it before.
        assert!(state.save(false).unwrap().finish().is_err());
        let saving = state.save(false).unwrap();
        assert!(saving.is_all());
        set(3, 1, 5);
        assert!(saving.finish().is_err());
        // Or it is gone, and that cannot be written.
        state.save(false).unwrap().finish().unwrap();
        IS_PICKY.store(false, Ordering::Relaxed);
        set(4, 1, bad);
        state.save(false).unwrap().finish().unwrap();
        IS_PICKY.store(true, Ordering::Relaxed);
        change(&state, &executor, at(5), &[(1, None)], false);
        let saving = state.save(false).unwrap();
        assert!(saving.is_all());
        assert_eq!(restored(&saving.finish().unwrap()), [(2, Picky(2))].into());
    }
}

#[test]
fn behind_a_piece_that_nobody_finished_comes_all_of_it() {
    let executor = Arc::new(Executor::of(1));
    let codec = RecordCodec::<(u16, u32)>::new();
    let state = KeyedState::new(2, None);
    state.note_changes(codec);
    change(
        &state,
        &executor,
        at(1),
        &[(1, Some(1)), (2, Some(2))],
        false,
    );
    state.save(false).unwrap().finish().unwrap();
    change(&state, &executor, at(2), &[(1, Some(3))], false);
    let late = state.save(false).unwrap();
    assert!(!late.is_all());
    let again = state.save(false).unwrap();
    assert!(again.is_all());
    // It has no part in the one that was begun behind it.
    let error = late.finish().unwrap_err();
    assert!(error.to_string().contains("given up"), "{error}");
    drop(again);
    let all = state.save(false).unwrap();
    assert!(all.is_all());
    let restored = KeyedState::new(1, None);
    restored
        .restore(&executor, at(2), codec, &[&all.finish().unwrap()])
        .unwrap();
    assert_eq!(rows(&restored, &executor), [(1, 3), (2, 2)].into());
    assert!(state.save(false).is_none(), "nothing has changed");
}

/// Tells how often such numbers were written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Counted(u32);

static WRITTEN: AtomicUsize = AtomicUsize::new(0);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Relaxed: one thread.
        WRITTEN.fetch_add(1, Ordering::Relaxed);
        serializer.serialize_u32(self.0)
    }
}

/// A batch writes what a row was if that is not written yet, but not for a piece that was
/// given up.
#[test]
fn batches_write_nothing_for_a_piece_that_nobody_wants() {
    let executor = Arc::new(Executor::of(1));
    let state = KeyedState::new(2, None);
    state.note_changes(RecordCodec::<(u16, Counted)>::new());
    let set = |time, key| {
        let change_of_one = [(key, Some(Counted(7)))];
        change(&state, &executor, at(time), &change_of_one, false);
    };
    let written = || WRITTEN.swap(0, Ordering::Relaxed);
    set(1, 1);
    set(1, 2);
    state.save(false).unwrap().finish().unwrap();
    assert!(written() > 0);
    let saving = state.save(true).unwrap();
    set(2, 1);
    assert!(written() > 0);
    drop(saving);
    set(3, 2);
    assert_eq!(written(), 0);
}

/// A piece has all rows, wherever most of them are: they are written in many turns.
#[test]
fn a_piece_has_all_rows_of_each_partition() {
    let executor = Arc::new(Executor::of(1));
    let codec = RecordCodec::<(u16, u32)>::new();
    for largest in 0..3 {
        let state = KeyedState::new(3, None);
        state.note_changes(codec);
        let partition_of = state.partitioner().by_key::<u16, ()>();
        let is_there = |&key: &u16| key < 10 || partition_of(&(key, ())) == largest;
        let keys = (0..6000).filter(is_there);
        let changes: Vec<_> = keys.map(|key| (key, Some(u32::from(key)))).collect();
        assert!(changes.len() > 1500);
        change(&state, &executor, at(1), &changes, false);
        let piece = state.save(false).unwrap().finish().unwrap();
        let again = KeyedState::new(1, None);
        again.restore(&executor, at(1), codec, &[&piece]).unwrap();
        assert_eq!(rows(&again, &executor), rows(&state, &executor));
        assert_eq!(rows(&again, &executor).len(), changes.len());
    }
}
