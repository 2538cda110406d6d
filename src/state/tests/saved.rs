//! State that is saved in pieces, against a plain table.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::codec::RecordCodec;
use crate::executor::Executor;
use crate::rdd::Rdd;
use crate::state::saving::Saving;
use crate::state::{KeyedState, State};
use crate::time::{BatchTime, Duration};

fn at(second: i64) -> BatchTime {
    BatchTime::from_millis(second * 1000)
}

/// What a batch does to a key: sets it, or removes it.
type Change = (u8, Option<String>);

/// The changes of a batch, which all fail with the last of them if `fails`.
fn change(
    state: &KeyedState<u8, String>,
    executor: &Arc<Executor>,
    time: BatchTime,
    changes: &[Change],
    fails: bool,
) {
    let last = changes.len().saturating_sub(1);
    let records = changes.iter().cloned().enumerate();
    let records = records.map(|(i, (key, value))| (key, (value, fails && i == last)));
    let records = Rdd::parallelize(records, 2, executor);
    let records = records
        .by_key(state.partitioner(), &Arc::default())
        .unwrap();
    type Value = (Option<String>, bool);
    let f = |_: BatchTime, _: u8, value: Option<Value>, state: &mut State<'_, String>| {
        let (value, is_bad) = value.unwrap_or_default();
        match value {
            Some(value) => state.update(value),
            // None came if the key is idle.
            None if state.exists() && !state.is_timing_out() => state.remove(),
            None => {}
        }
        assert!(!is_bad, "a mistake of the program");
        None::<()>
    };
    let weight = records.len();
    let stepped = state.step(executor, time, weight, records, |partition, records| {
        partition.call(time, records, &f)
    });
    assert_eq!(stepped.is_err(), fails && !changes.is_empty());
}

fn rows(state: &KeyedState<u8, String>, executor: &Arc<Executor>) -> BTreeMap<u8, String> {
    let rows = Rdd::ready(state.rows(), Arc::clone(executor));
    rows.collect().unwrap().into_iter().collect()
}

fn some_changes() -> impl Strategy<Value = Vec<Change>> {
    vec(
        (0..40_u8, proptest::option::weighted(0.6, "[a-z]{0,20}")),
        0..30,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Wherever pieces begin and end, whatever batches change while one is written, and
    /// however many partitions there are after: the state comes back as it was when the
    /// last one was begun, with the times of its last touches.
    #[test]
    fn pieces_give_the_state_again(
        batches in vec((some_changes(), any::<bool>(), any::<bool>(), 0..4_usize), 1..12),
        timeout in proptest::option::of(1..6_u64),
        (before, after) in (1..4_usize, 1..4_usize),
    ) {
        let executor = Arc::new(Executor::of(1));
        let timeout = timeout.map(Duration::from_secs);
        let codec = RecordCodec::<(u8, String)>::new();
        let state = KeyedState::new(before, timeout);
        // Of this one all is written at once.
        let twin = KeyedState::new(1, timeout);
        state.note_changes(codec);
        twin.note_changes(codec);
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        let mut keep = |saving: Saving<u8, String>| {
            if saving.is_all() {
                pieces.clear();
            }
            pieces.push(saving.finish().unwrap());
        };
        let (mut time, mut begun_at) = (0, 0);
        let mut expected = twin.save(true).unwrap().finish().unwrap();
        let mut begun = None;
        let last = batches.len() - 1;
        for (i, (batch, fails, is_saved, writes)) in batches.into_iter().enumerate() {
            time += 1;
            change(&state, &executor, at(time), &batch, fails);
            change(&twin, &executor, at(time), &batch, fails);
            if let Some(saving) = &begun {
                for _ in 0..writes {
                    Saving::write_some(saving, 2);
                }
            }
            if is_saved || i == last / 2 {
                begun.take().map(&mut keep);
                begun = state.save(false);
                expected = twin.save(true).unwrap().finish().unwrap();
                begun_at = time;
            }
        }
        begun.map(&mut keep);
        let time = begun_at;
        let again = KeyedState::new(after, timeout);
        let slices: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
        again.restore(&executor, at(time), codec, &slices).unwrap();
        let twin = KeyedState::new(1, timeout);
        twin.restore(&executor, at(time), codec, &[&expected]).unwrap();
        prop_assert_eq!(rows(&again, &executor), rows(&twin, &executor));
        // What is idle goes at the same times.
        for time in time + 1..time + 8 {
            change(&again, &executor, at(time), &[], false);
            change(&twin, &executor, at(time), &[], false);
            prop_assert_eq!(rows(&again, &executor), rows(&twin, &executor));
        }
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
