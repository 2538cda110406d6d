//! State that is saved in pieces, against a plain table.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::codec::RecordCodec;
use crate::executor::Executor;
use crate::rdd::Rdd;
use crate::state::{KeyedState, State};
use crate::time::{BatchTime, Duration};

fn at(second: i64) -> BatchTime {
    BatchTime::from_millis(second * 1000)
}

/// What a batch does to a key: sets it, or removes it.
type Change = (u8, Option<String>);

fn change(
    state: &KeyedState<u8, String>,
    executor: &Arc<Executor>,
    time: BatchTime,
    changes: &[Change],
) {
    let records = Rdd::parallelize(changes.iter().cloned(), 2, executor);
    let records = records
        .by_key(state.partitioner(), &Arc::default())
        .unwrap();
    let f = |_: BatchTime, _: u8, value: Option<Option<String>>, state: &mut State<'_, String>| {
        match value {
            Some(Some(value)) => state.update(value),
            Some(None) if state.exists() => state.remove(),
            _ => {}
        }
        None::<()>
    };
    let weight = records.len();
    let stepped = state.step(executor, time, weight, records, |partition, records| {
        partition.call(time, records, &f)
    });
    stepped.unwrap();
}

fn rows(state: &KeyedState<u8, String>, executor: &Arc<Executor>) -> BTreeMap<u8, String> {
    let rows = Rdd::ready(state.rows(), Arc::clone(executor));
    rows.collect().unwrap().into_iter().collect()
}

fn some_changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let change = (0..40_u8, proptest::option::weighted(0.6, "[a-z]{0,20}"));
    vec(vec(change, 0..30), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Wherever pieces begin and end, and however many partitions there are after, the
    /// state comes back with the times of its last touches.
    #[test]
    fn pieces_give_the_state_again(
        batches in some_changes(),
        saves in vec(any::<bool>(), 12),
        timeout in proptest::option::of(1..6_u64),
        (before, after) in (1..4_usize, 1..4_usize),
    ) {
        let executor = Arc::new(Executor::of(1));
        let timeout = timeout.map(Duration::from_secs);
        let state = KeyedState::new(before, timeout);
        let codec = RecordCodec::<(u8, String)>::new();
        state.note_changes(codec);
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        let mut save = |state: &KeyedState<u8, String>, all| {
            if let Some((is_all, piece)) = state.save(&executor, all).unwrap() {
                if is_all {
                    pieces.clear();
                }
                pieces.push(piece);
            }
            pieces.clone()
        };
        let mut time = 0;
        for (batch, is_saved) in batches.iter().zip(saves) {
            time += 1;
            change(&state, &executor, at(time), batch);
            if is_saved {
                save(&state, false);
            }
        }
        let pieces = save(&state, false);
        let again = KeyedState::new(after, timeout);
        let slices: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
        again.restore(&executor, at(time), codec, &slices).unwrap();
        prop_assert_eq!(rows(&again, &executor), rows(&state, &executor));
        // What is idle goes at the same times.
        for _ in 0..7 {
            time += 1;
            change(&state, &executor, at(time), &[]);
            change(&again, &executor, at(time), &[]);
            prop_assert_eq!(rows(&again, &executor), rows(&state, &executor));
        }
        again.note_changes(codec);
        let (is_all, pieces) = again.save(&executor, false).unwrap().unwrap();
        prop_assert!(is_all);
        let third = KeyedState::new(1, timeout);
        third.restore(&executor, at(time), codec, &[&pieces]).unwrap();
        prop_assert_eq!(rows(&third, &executor), rows(&state, &executor));
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
