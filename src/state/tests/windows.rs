//! Windows by key against a plain recomputation.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use crate::rdd::op::reduce_by_key::Reducer;
use crate::rdd::pipe::Chunk;
use crate::rdd::{Combine, at_rest};
use crate::state::*;

type Pane = Vec<(u16, i64)>;

/// Panes of keys out of few, so that keys come, stay and go; in some a key stands
/// several times.
fn panes_with_repeats() -> impl Strategy<Value = Vec<Pane>> {
    let busy = proptest::collection::vec((0..40_u16, -9..9_i64), 0..60);
    let sparse = proptest::collection::vec((0..1000_u16, -9..9_i64), 0..200);
    let empty = Just(Pane::new());
    proptest::collection::vec(prop_oneof![4 => busy, 2 => sparse, 1 => empty], 0..60)
}

/// Panes of keys out of few, so that keys come, stay and go.
fn panes() -> impl Strategy<Value = Vec<Pane>> {
    let busy = proptest::collection::btree_map(0..40_u16, -9..9_i64, 0..30);
    let sparse = proptest::collection::btree_map(0..1000_u16, -9..9_i64, 0..200);
    let empty = Just(BTreeMap::new());
    let pane = prop_oneof![4 => busy, 2 => sparse, 1 => empty];
    proptest::collection::vec(pane.prop_map(|pane| pane.into_iter().collect()), 0..60)
}

fn result(rows: &Rows<u16, i64>) -> BTreeMap<u16, i64> {
    let mut all = BTreeMap::new();
    rows.chunks(&mut |chunk| {
        let records = match chunk {
            Chunk::Shared(records) => records.to_vec(),
            Chunk::Owned(records) => std::mem::take(records),
        };
        for (key, value) in records {
            assert_eq!(all.insert(key, value), None, "key {key} stands twice");
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    all
}

/// Calls of functions that panic.
fn bad_calls() -> impl Strategy<Value = BTreeSet<usize>> {
    let early = proptest::collection::btree_set(0..300_usize, 0..4);
    let late = proptest::collection::btree_set(0..5000_usize, 0..6);
    (early, late).prop_map(|(early, late)| early.union(&late).copied().collect())
}

/// A function that panics at some of its calls; `calls` counts those of all that share it.
fn panics_at<F: Fn(i64, i64) -> i64>(
    bad: &BTreeSet<usize>,
    calls: &Arc<AtomicUsize>,
    f: F,
) -> impl Fn(i64, i64) -> i64 + use<F> {
    let (bad, calls) = (bad.clone(), Arc::clone(calls));
    move |a, b| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        assert!(!bad.contains(&call), "call {call} goes wrong");
        f(a, b)
    }
}

/// Takes a step until it does not panic.
fn surely<W: SlidingWindow<u16, i64>>(window: &mut W, step: impl Fn(&mut W)) {
    while catch_unwind(AssertUnwindSafe(|| step(window))).is_err() {
        while catch_unwind(AssertUnwindSafe(|| window.mend())).is_err() {}
    }
}

/// Slides over the panes, `by` at a time, and compares each result.
fn check<C: Combine<i64, Combined = i64>>(
    mut window: impl SlidingWindow<u16, i64>,
    length: usize,
    by: usize,
    panes: &[Pane],
    combine: &C,
) {
    let mut inside = VecDeque::new();
    let mut held = Vec::new();
    for (step, entering) in panes.chunks(by).enumerate() {
        for pane in entering {
            if inside.len() == length {
                let leaving: &Pane = inside.pop_front().unwrap();
                // What came several times in the pane is one entry.
                let keys: BTreeSet<_> = leaving.iter().map(|&(key, _)| key).collect();
                assert_eq!(window.leaving(), keys.len());
                surely(&mut window, SlidingWindow::leave);
            }
            inside.push_back(pane);
        }
        for pane in entering {
            let pane = at_rest([pane.clone()]);
            surely(&mut window, |window| window.enter(&*pane[0]).unwrap());
        }
        let mut expected = BTreeMap::new();
        for &(key, value) in inside.iter().flat_map(|pane| pane.iter()) {
            match expected.get_mut(&key) {
                Some(so_far) => combine.value(so_far, value),
                None => drop(expected.insert(key, value)),
            }
        }
        window.settle();
        let rows = window.rows();
        assert_eq!(result(&rows), expected);
        // Every third result is kept by somebody: it must not change.
        if step % 3 == 0 {
            held.push((rows, expected));
        }
    }
    for (rows, expected) in held {
        assert_eq!(result(&rows), expected);
    }
}

proptest! {
    #[test]
    fn inverse_equals_recomputation(
        panes in panes_with_repeats(),
        length in 1..13_usize,
        by in 1..4_usize,
        bad in bad_calls(),
    ) {
        let by = by.min(length);
        let calls = Arc::default();
        let plus = panics_at(&bad, &calls, |a: i64, b: i64| a + b);
        let minus = panics_at(&bad, &calls, |a: i64, b: i64| a - b);
        let window = InverseWindow::new(Arc::new(Reducer(plus)), Arc::new(Reducer(minus)));
        check(window, length, by, &panes, &Reducer(|a: i64, b: i64| a + b));
    }

    #[test]
    fn two_stacks_equal_recomputation(
        panes in panes(),
        length in 1..13_usize,
        by in 1..4_usize,
        bad in bad_calls(),
    ) {
        let by = by.min(length);
        let check = |f: fn(i64, i64) -> i64| {
            let combine = Arc::new(Reducer(panics_at(&bad, &Arc::default(), f)));
            let window = TwoStacks::new(combine, length as u32, by as u32);
            check(window, length, by, &panes, &Reducer(f));
        };
        check(i64::max);
        // Not commutative: the order in time is kept as well.
        check(|_, b| b);
        check(|a, _| a);
    }
}

/// How often the function is called, in all and in the worst slide.
fn calls(length: usize, keys: u16, slides: usize) -> (usize, usize) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = {
        let calls = Arc::clone(&calls);
        move |a: i64, b: i64| {
            calls.fetch_add(1, Ordering::Relaxed);
            a.max(b)
        }
    };
    let mut window = TwoStacks::new(Arc::new(Reducer(counted)), length as u32, 1);
    let (mut worst, mut before) = (0, 0);
    for slide in 0..slides {
        if slide >= length {
            window.leave();
        }
        let pane = (0..keys).map(|key| (key, slide as i64)).collect();
        window.enter(&*at_rest([pane])[0]).unwrap();
        window.settle();
        let now = calls.load(Ordering::Relaxed);
        worst = worst.max(now - before);
        before = now;
    }
    (before, worst)
}

#[test]
fn an_entry_costs_few_calls_however_long_the_window_is() {
    for length in [6, 60, 600] {
        let (keys, slides) = (500, 3 * length);
        let (all, worst) = calls(length, keys, slides);
        let entries = usize::from(keys) * slides;
        assert!(all <= 4 * entries, "{all} calls for {entries} entries");
        assert!(
            worst <= 6 * usize::from(keys),
            "{worst} calls in one slide of {keys} keys, window of {length}"
        );
    }
}

/// Slides a window that holds a key over panes without records.
fn check_empty(mut window: impl SlidingWindow<u16, i64>) {
    window.enter(&*at_rest([vec![(1, 1)]])[0]).unwrap();
    window.enter(&*at_rest([Vec::new()])[0]).unwrap();
    window.settle();
    let held = window.rows();
    window.enter(&*at_rest([Vec::new()])[0]).unwrap();
    window.settle();
    assert!(Arc::ptr_eq(&window.rows(), &held), "copied for nothing");
    window.leave();
    window.settle();
    assert_eq!((window.rows().count(), held.count()), (Some(0), Some(1)));
    let held = window.rows();
    window.leave();
    window.settle();
    assert!(Arc::ptr_eq(&window.rows(), &held), "copied for nothing");
}

#[test]
fn a_slide_without_records_copies_nothing() {
    let sum = Arc::new(Reducer(|a: i64, b: i64| a + b));
    let minus = Arc::new(Reducer(|a: i64, b: i64| a - b));
    check_empty(InverseWindow::new(sum, minus));
    check_empty(TwoStacks::new(Arc::new(Reducer(i64::max)), 3, 1));
}
