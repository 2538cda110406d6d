//! Windows by key against a plain recomputation.

use std::cmp::Ordering as Order;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;

use crate::rdd::op::reduce_by_key::Reducer;
use crate::rdd::pipe::{Chunk, Data};
use crate::rdd::{Combine, at_rest};
use crate::state::*;

type Pane<K = u16> = Vec<(K, i64)>;

/// Panes of keys out of few, so that keys come, stay and go; in some a key stands
/// several times.
fn panes_with_repeats() -> impl Strategy<Value = Vec<Pane>> {
    let busy = vec((0..40_u16, -9..9_i64), 0..60);
    let sparse = vec((0..1000_u16, -9..9_i64), 0..200);
    let empty = Just(Pane::new());
    vec(prop_oneof![4 => busy, 2 => sparse, 1 => empty], 0..60)
}

/// Panes of keys out of few, so that keys come, stay and go.
fn panes() -> impl Strategy<Value = Vec<Pane>> {
    let busy = btree_map(0..40_u16, -9..9_i64, 0..30);
    let sparse = btree_map(0..1000_u16, -9..9_i64, 0..200);
    let empty = Just(BTreeMap::new());
    let pane = prop_oneof![4 => busy, 2 => sparse, 1 => empty];
    vec(pane.prop_map(|pane| pane.into_iter().collect()), 0..60)
}

fn result<K: Data + Ord + Debug>(rows: &Rows<K, i64>) -> BTreeMap<K, i64> {
    let mut all = BTreeMap::new();
    rows.chunks(&mut |chunk| {
        let records = match chunk {
            Chunk::Shared(records) => records.to_vec(),
            Chunk::Owned(records) => std::mem::take(records),
        };
        for (key, value) in records {
            let twice = all.insert(key.clone(), value);
            assert_eq!(twice, None, "key {key:?} stands twice");
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    all
}

/// Calls of the program's code that panic, counted over all of it, while a step is taken.
#[derive(Debug, Default)]
struct Faults {
    bad: BTreeSet<usize>,
    calls: AtomicUsize,
    in_step: AtomicBool,
}

impl Faults {
    fn new(bad: &BTreeSet<usize>) -> Arc<Self> {
        Arc::new(Self {
            bad: bad.clone(),
            ..Self::default()
        })
    }

    fn call(&self) {
        // Relaxed: one thread.
        if self.in_step.load(Ordering::Relaxed) {
            let call = self.calls.fetch_add(1, Ordering::Relaxed);
            assert!(!self.bad.contains(&call), "call {call} goes wrong");
        }
    }

    /// A function that may panic.
    fn of<F: Fn(i64, i64) -> i64>(
        self: &Arc<Self>,
        f: F,
    ) -> Arc<Reducer<impl Fn(i64, i64) -> i64 + use<F>>> {
        let faults = Arc::clone(self);
        Arc::new(Reducer(move |a, b| {
            faults.call();
            f(a, b)
        }))
    }

    /// Takes a step until it does not panic.
    fn surely<W: SlidingWindow<K, i64>, K>(&self, window: &mut W, step: impl Fn(&mut W)) {
        self.in_step.store(true, Ordering::Relaxed);
        while catch_unwind(AssertUnwindSafe(|| step(window))).is_err() {
            while catch_unwind(AssertUnwindSafe(|| window.mend())).is_err() {}
        }
        self.in_step.store(false, Ordering::Relaxed);
    }
}

/// Calls that panic.
fn bad_calls() -> impl Strategy<Value = BTreeSet<usize>> {
    let early = btree_set(0..300_usize, 0..4);
    let late = btree_set(0..5000_usize, 0..6);
    (early, late).prop_map(|(early, late)| early.union(&late).copied().collect())
}

/// A key all of whose code may panic.
#[derive(Debug)]
struct Key(u16, Arc<Faults>);

impl Clone for Key {
    fn clone(&self) -> Self {
        self.1.call();
        Self(self.0, Arc::clone(&self.1))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.1.call();
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.1.call();
        self.0.hash(state);
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Order {
        self.0.cmp(&other.0)
    }
}

fn with_keys(panes: &[Pane], faults: &Arc<Faults>) -> Vec<Pane<Key>> {
    let with_key = |&(key, value): &_| (Key(key, Arc::clone(faults)), value);
    let panes = panes.iter();
    panes
        .map(|pane| pane.iter().map(with_key).collect())
        .collect()
}

/// Slides over the panes, `by` at a time, and compares each result.
fn check<K: Data + Hash + Ord + Debug, C: Combine<i64, Combined = i64>>(
    mut window: impl SlidingWindow<K, i64>,
    length: usize,
    by: usize,
    panes: &[Pane<K>],
    combine: &C,
    faults: &Faults,
) {
    let mut inside = VecDeque::new();
    let mut held = Vec::new();
    for (step, entering) in panes.chunks(by).enumerate() {
        for pane in entering {
            if inside.len() == length {
                let leaving: &Pane<K> = inside.pop_front().unwrap();
                // What came several times in the pane is one entry.
                let keys: BTreeSet<_> = leaving.iter().map(|(key, _)| key).collect();
                assert_eq!(window.leaving(), keys.len());
                faults.surely(&mut window, SlidingWindow::leave);
            }
            inside.push_back(pane);
        }
        for pane in entering {
            let pane = at_rest([pane.clone()]);
            faults.surely(&mut window, |window| window.enter(&*pane[0]).unwrap());
        }
        let mut expected = BTreeMap::new();
        for (key, value) in inside.iter().flat_map(|pane| pane.iter()) {
            match expected.get_mut(key) {
                Some(so_far) => combine.value(so_far, *value),
                None => drop(expected.insert(key.clone(), *value)),
            }
        }
        faults.surely(&mut window, SlidingWindow::settle);
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

fn check_inverse<K: Data + Hash + Ord + Debug>(
    panes: &[Pane<K>],
    length: usize,
    by: usize,
    faults: &Arc<Faults>,
) {
    let by = by.min(length);
    let plus = |a: i64, b: i64| a + b;
    let window = InverseWindow::new(faults.of(plus), faults.of(|a, b| a - b));
    check(window, length, by, panes, &Reducer(plus), faults);
}

fn check_two_stacks<K: Data + Hash + Ord + Debug>(
    panes: &[Pane<K>],
    length: usize,
    by: usize,
    faults: &Arc<Faults>,
    f: fn(i64, i64) -> i64,
) {
    let by = by.min(length);
    let window = TwoStacks::new(faults.of(f), length as u32, by as u32);
    check(window, length, by, panes, &Reducer(f), faults);
}

/// With the last two the order in time tells as well.
const JOINS: [fn(i64, i64) -> i64; 3] = [i64::max, |_, b| b, |a, _| a];

proptest! {
    #[test]
    fn inverse_equals_recomputation(
        panes in panes_with_repeats(),
        length in 1..13_usize,
        by in 1..4_usize,
        bad in bad_calls(),
    ) {
        check_inverse(&panes, length, by, &Faults::new(&bad));
    }

    #[test]
    fn inverse_equals_recomputation_whatever_code_of_keys_panics(
        panes in panes_with_repeats(),
        length in 1..13_usize,
        by in 1..4_usize,
        bad in bad_calls(),
    ) {
        let faults = Faults::new(&bad);
        check_inverse(&with_keys(&panes, &faults), length, by, &faults);
    }

    #[test]
    fn two_stacks_equal_recomputation(
        panes in panes(),
        length in 1..13_usize,
        by in 1..4_usize,
        bad in bad_calls(),
    ) {
        for join in JOINS {
            check_two_stacks(&panes, length, by, &Faults::new(&bad), join);
        }
    }

    #[test]
    fn two_stacks_equal_recomputation_whatever_code_of_keys_panics(
        panes in panes(),
        length in 1..13_usize,
        by in 1..4_usize,
        bad in bad_calls(),
        join in select(&JOINS[..]),
    ) {
        let faults = Faults::new(&bad);
        check_two_stacks(&with_keys(&panes, &faults), length, by, &faults, join);
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
