//! State by key against plain maps.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::sync::OnceLock;

use proptest::prelude::*;

use crate::error::{Error, ErrorKind};
use crate::executor::Executor;
use crate::rdd::pipe::{Chunk, Data, Sink};
use crate::rdd::{Arrivals, Partitions, Scatter};
use crate::state::{KeyedState, State, StateBound, StateSize};
use crate::time::{BatchTime, Duration};

/// Executors with one worker and with two.
fn executors() -> &'static [Executor; 2] {
    static EXECUTORS: OnceLock<[Executor; 2]> = OnceLock::new();
    EXECUTORS.get_or_init(|| [1, 2].map(Executor::of))
}

fn at(seconds: i64) -> BatchTime {
    BatchTime::from_millis(seconds * 1000)
}

/// A state that is a number: a plain one, or in memory of its own.
trait Number: Data + Debug + PartialEq {
    fn new(number: i64) -> Self;
    fn number(&self) -> i64;
    fn add(&mut self, number: i64);
}

impl Number for i64 {
    fn new(number: i64) -> Self {
        number
    }

    fn number(&self) -> i64 {
        *self
    }

    fn add(&mut self, number: i64) {
        *self += number;
    }
}

impl Number for Box<i64> {
    fn new(number: i64) -> Self {
        Self::new(number)
    }

    fn number(&self) -> i64 {
        **self
    }

    fn add(&mut self, number: i64) {
        **self += number;
    }
}

/// What a record does to the state of its key.
#[derive(Clone, Copy, Debug)]
enum Call {
    Update(i64),
    /// Adds to the state where it is, if there is one.
    Add(i64),
    UpdateAndRemove(i64),
    Remove,
    Read,
    Panic,
}

#[derive(Clone, Debug)]
struct Step {
    /// Since the step before, in seconds.
    after: i64,
    /// By the partition that they come from.
    records: Vec<Vec<(u16, Call)>>,
    /// Somebody keeps what there is after it.
    held: bool,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        400 => (-9..9_i64).prop_map(Call::Update),
        200 => (-9..9_i64).prop_map(Call::Add),
        60 => (-9..9_i64).prop_map(Call::UpdateAndRemove),
        120 => Just(Call::Remove),
        200 => Just(Call::Read),
        4 => Just(Call::Panic),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = prop_oneof![0..12_u16, 0..300_u16];
    let part = proptest::collection::vec((key, call()), 0..40);
    let records = proptest::collection::vec(part, 0..4);
    let step = (1..4_i64, records, any::<bool>()).prop_map(|(after, records, held)| Step {
        after,
        records,
        held,
    });
    proptest::collection::vec(step, 0..40)
}

/// What a call returns: its time, the key, the state that it found, and whether the
/// key was timing out.
type Mapped = (i64, u16, Option<i64>, bool);

fn run_call<S: Number>(
    time: BatchTime,
    key: u16,
    call: Option<Call>,
    state: &mut State<'_, S>,
) -> Option<Mapped> {
    let before = state.get_option().map(S::number);
    assert_eq!(state.exists(), before.is_some());
    assert_eq!(state.is_timing_out(), call.is_none());
    match call {
        Some(Call::Update(number)) => state.update(S::new(number)),
        Some(Call::Add(number)) => {
            if let Some(state) = state.get_mut() {
                state.add(number);
            }
            if let Some(state) = state.get_mut() {
                state.add(number);
            }
        }
        Some(Call::UpdateAndRemove(number)) => {
            state.update(S::new(number));
            assert_eq!(state.get().number(), number);
            state.remove();
            assert!(!state.exists());
        }
        Some(Call::Remove) => state.remove(),
        Some(Call::Panic) => panic!("as it was told"),
        Some(Call::Read) | None => {}
    }
    let found = (time.as_millis() / 1000, key, before, call.is_none());
    // Not every call has a result.
    (before != Some(3)).then_some(found)
}

/// The plain twin: a number and the time of the last touch by key.
#[derive(Clone, Default)]
struct Plain {
    states: BTreeMap<u16, (i64, i64)>,
    timeout: Option<i64>,
}

impl Plain {
    /// Nothing if a call panics.
    fn step(&mut self, time: i64, records: &[Vec<(u16, Call)>]) -> Option<Vec<Mapped>> {
        let mut mapped = Vec::new();
        for &(key, call) in records.iter().flatten() {
            let before = self.states.get(&key).map(|&(number, _)| number);
            let after = match call {
                Call::Update(number) => Some(number),
                Call::Add(number) => before.map(|before| before + 2 * number),
                Call::UpdateAndRemove(_) | Call::Remove => None,
                Call::Read => before,
                Call::Panic => return None,
            };
            match after {
                Some(after) => self.states.insert(key, (after, time)),
                None => self.states.remove(&key),
            };
            mapped.push((time, key, before, false));
        }
        if let Some(timeout) = self.timeout {
            self.states.retain(|&key, &mut (number, last)| {
                let is_due = last < time - timeout;
                if is_due {
                    mapped.push((time, key, Some(number), true));
                }
                !is_due
            });
        }
        mapped.retain(|&(_, _, before, _)| before != Some(3));
        Some(mapped)
    }

    fn numbers(&self) -> Vec<(u16, i64)> {
        let states = self.states.iter();
        states.map(|(&key, &(number, _))| (key, number)).collect()
    }
}

fn arrive<V: Data>(
    executor: &Executor,
    state: &KeyedState<u16, impl Data>,
    records: &[Vec<(u16, V)>],
) -> Arrivals<(u16, V)> {
    let partitioner = state.partitioner();
    let n = partitioner.partitions();
    let sent = records.iter().map(|records| {
        let mut buckets = Scatter::new(n, partitioner.by_key());
        for (key, value) in records {
            buckets.push((*key, value.clone()));
        }
        buckets.into_buckets()
    });
    Arrivals::of(executor, n, sent.collect()).unwrap()
}

/// The numbers of all keys, sorted.
fn read<S: Number>(rows: &Partitions<(u16, S)>) -> Vec<(u16, i64)> {
    let mut all = Vec::new();
    for part in &**rows {
        part.chunks(&mut |chunk| {
            let rows = match chunk {
                Chunk::Shared(rows) => rows.to_vec(),
                Chunk::Owned(rows) => std::mem::take(rows),
            };
            all.extend(rows.iter().map(|(key, state)| (*key, state.number())));
            ControlFlow::Continue(())
        })
        .unwrap();
    }
    all.sort_unstable();
    all
}

/// The calls of each key, in their order.
fn by_key(mapped: &[Mapped]) -> BTreeMap<u16, Vec<Mapped>> {
    let mut by_key = BTreeMap::<_, Vec<_>>::new();
    for &call in mapped {
        by_key.entry(call.1).or_default().push(call);
    }
    by_key
}

/// Whether a step was refused because of the bound; then the state is no larger than it
/// was, or than it may be.
fn is_refused<R>(
    step: &Result<R, Error>,
    bound: StateBound,
    before: StateSize,
    after: StateSize,
) -> Result<bool, TestCaseError> {
    let most = bound.0.unwrap_or(u64::MAX);
    prop_assert!(
        after.bytes <= most.max(before.bytes),
        "{after:?} behind {before:?}"
    );
    let refused = step
        .as_ref()
        .err()
        .filter(|error| error.kind() == ErrorKind::Limit);
    prop_assert!(refused.is_none() || bound.0.is_some());
    prop_assert!(refused.is_none() || after.keys == before.keys);
    Ok(refused.is_some())
}

fn bounds() -> impl Strategy<Value = StateBound> {
    prop_oneof![Just(None), (0..20_000_u64).prop_map(Some)].prop_map(StateBound)
}

fn map_equals_plain<S: Number>(
    executor: &Executor,
    partitions: usize,
    timeout: Option<i64>,
    bound: StateBound,
    steps: &[Step],
) -> Result<(), TestCaseError> {
    let of_seconds = |timeout: i64| Duration::from_secs(timeout.unsigned_abs());
    let state = KeyedState::<u16, S>::new(partitions, timeout.map(of_seconds)).bounded(bound);
    let mut plain = Plain {
        timeout,
        ..Plain::default()
    };
    let mut held = Vec::new();
    let mut now = 0;
    for step in steps {
        now += step.after;
        let records = arrive(executor, &state, &step.records);
        let weight = if step.held { usize::MAX } else { 0 };
        let size = state.size();
        let mapped = state.step(executor, at(now), weight, records, |partition, records| {
            partition.call(at(now), records, &run_call::<S>)
        });
        let before = plain.clone();
        let refused = is_refused(&mapped, bound, size, state.size())?;
        match plain.step(now, &step.records) {
            _ if refused => plain = before,
            Some(expected) => {
                let mapped = mapped.unwrap().concat();
                prop_assert_eq!(by_key(&mapped), by_key(&expected));
                if partitions == 1 {
                    let (records, idle) = mapped.split_at(mapped.partition_point(|call| !call.3));
                    prop_assert!(idle.iter().all(|call| call.3), "time-outs come last");
                    prop_assert_eq!(records, &expected[..records.len()]);
                }
            }
            None => {
                let error = mapped.unwrap_err();
                prop_assert!(error.to_string().contains("as it was told"), "{}", error);
                plain = before;
            }
        }
        let rows = state.rows();
        prop_assert_eq!(read(&rows), plain.numbers());
        prop_assert_eq!(state.size().keys, plain.states.len() as u64);
        let least = plain.states.len() * size_of::<(u16, S)>();
        prop_assert!(state.size().bytes >= least as u64);
        if step.held {
            held.push((rows, plain.numbers()));
        }
    }
    for (rows, expected) in held {
        prop_assert_eq!(read(&rows), expected, "what is held does not change");
    }
    Ok(())
}

/// The values of a batch that make the new state, or that panic.
fn sum(values: &[i64], before: Option<i64>) -> Option<i64> {
    assert!(!values.contains(&PANIC), "as it was told");
    let after = before.unwrap_or_default() + values.iter().sum::<i64>();
    // Some keys go at once, some when they have no data.
    (after != 7 && !(values.is_empty() && after % 3 == 0)).then_some(after)
}

const PANIC: i64 = i64::MAX;

type Batch = Vec<Vec<(u16, i64)>>;

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let key = prop_oneof![0..12_u16, 0..300_u16];
    let value = prop_oneof![500 => -9..9_i64, 1 => Just(PANIC)];
    let part = proptest::collection::vec((key, value), 0..40);
    proptest::collection::vec(proptest::collection::vec(part, 0..4), 0..40)
}

fn values_by_key(batch: &Batch) -> BTreeMap<u16, Vec<i64>> {
    let mut by_key = BTreeMap::<_, Vec<_>>::new();
    for &(key, value) in batch.iter().flatten() {
        by_key.entry(key).or_default().push(value);
    }
    by_key
}

fn update_equals_plain<S: Number>(
    executor: &Executor,
    partitions: usize,
    bound: StateBound,
    batches: &[Batch],
) -> Result<(), TestCaseError> {
    let state = KeyedState::<u16, S>::new(partitions, None).bounded(bound);
    let mut plain = BTreeMap::<u16, i64>::new();
    let mut held = Vec::new();
    for (i, batch) in batches.iter().enumerate() {
        let by_key = values_by_key(batch);
        let records = arrive(executor, &state, batch);
        let size = state.size();
        let done = state.step(
            executor,
            at(i as i64),
            i % 2 * usize::MAX,
            records,
            |partition, records| {
                partition.update(records, |key, values, old: Option<&S>| {
                    let expected = by_key.get(key).map_or(&[][..], |values| values);
                    assert_eq!(values, expected, "in the order in which they came");
                    sum(values, old.map(S::number)).map(S::new)
                });
            },
        );
        let refused = is_refused(&done, bound, size, state.size())?;
        if refused {
            // Nothing changed.
        } else if batch.iter().flatten().any(|&(_, value)| value == PANIC) {
            let error = done.unwrap_err();
            prop_assert!(error.to_string().contains("as it was told"), "{}", error);
        } else {
            done.unwrap();
            let keys: Vec<_> = plain.keys().chain(by_key.keys()).copied().collect();
            for key in keys.into_iter().collect::<std::collections::BTreeSet<_>>() {
                let values = by_key.get(&key).map_or(&[][..], |values| values);
                match sum(values, plain.get(&key).copied()) {
                    Some(after) => plain.insert(key, after),
                    None => plain.remove(&key),
                };
            }
        }
        let rows = state.rows();
        let expected: Vec<_> = plain.iter().map(|(&key, &number)| (key, number)).collect();
        prop_assert_eq!(&read(&rows), &expected);
        if i % 3 == 0 {
            held.push((rows, expected));
        }
    }
    for (rows, expected) in held {
        prop_assert_eq!(read(&rows), expected, "what is held does not change");
    }
    Ok(())
}

/// Each key goes to another one, which may be in another partition.
fn next_key(key: u16) -> u16 {
    (key * 7 + 1) % 300
}

fn partition_update_equals_plain(
    executor: &Executor,
    partitions: usize,
    bound: StateBound,
    batches: &[Batch],
) -> Result<(), TestCaseError> {
    let state = KeyedState::<u16, Box<i64>>::new(partitions, None).bounded(bound);
    let mut plain = BTreeMap::<u16, i64>::new();
    for (i, batch) in batches.iter().enumerate() {
        let by_key = values_by_key(batch);
        let records = arrive(executor, &state, batch);
        let time = at(i as i64);
        let weight = i % 2 * usize::MAX;
        let kept = state.step(executor, time, weight, records, |partition, records| {
            let mut kept = Scatter::new(partitions, state.partitioner().by_key());
            for (key, values, old) in partition.entries(records) {
                let expected = by_key.get(&key).map_or(&[][..], |values| values);
                assert_eq!(values, expected, "in the order in which they came");
                if let Some(after) = sum(&values, old.map(|old| *old)) {
                    kept.push((next_key(key), Box::new(after)));
                }
            }
            kept.into_buckets()
        });
        if batch.iter().flatten().any(|&(_, value)| value == PANIC) {
            prop_assert!(kept.is_err());
        } else {
            let kept = Arrivals::of(executor, partitions, kept.unwrap()).unwrap();
            let size = state.size();
            let done = state.rebuild(executor, time, kept);
            if is_refused(&done, bound, size, state.size())? {
                continue;
            }
            done.unwrap();
            let keys: std::collections::BTreeSet<_> =
                plain.keys().chain(by_key.keys()).copied().collect();
            let after = keys.into_iter().filter_map(|key| {
                let values = by_key.get(&key).map_or(&[][..], |values| values);
                Some((next_key(key), sum(values, plain.get(&key).copied())?))
            });
            plain = after.collect();
        }
        let expected: Vec<_> = plain.iter().map(|(&key, &number)| (key, number)).collect();
        prop_assert_eq!(&read(&state.rows()), &expected);
    }
    Ok(())
}

#[test]
fn a_step_that_only_removes_can_be_taken_back() {
    let executor = &executors()[0];
    let state = KeyedState::<u16, i64>::new(1, None);
    let step = |records: &[(u16, Call)]| {
        let records = arrive(executor, &state, &[records.to_vec()]);
        let mapped = state.step(executor, at(1), 0, records, |partition, records| {
            partition.call(at(1), records, &run_call::<i64>)
        });
        mapped.map(|mapped| mapped.concat().len())
    };
    assert_eq!(
        step(&[(1, Call::Update(10)), (2, Call::Update(20))]).unwrap(),
        2
    );
    step(&[(1, Call::Remove), (1, Call::Panic)]).unwrap_err();
    assert_eq!(read(&state.rows()), [(1, 10), (2, 20)]);
    assert_eq!(step(&[(1, Call::Remove)]).unwrap(), 1);
    assert_eq!(read(&state.rows()), [(2, 20)]);
}

/// Memory grows in leaps, but what a step took that was refused is given back, and the
/// next one has all the room that there is.
#[test]
fn o_8_what_was_refused_takes_no_room() {
    let executor = &executors()[0];
    let fill = |keys: std::ops::Range<u16>, bound| {
        let state = KeyedState::<u16, i64>::new(1, None).bounded(StateBound(bound));
        let step = |keys: std::ops::Range<u16>| {
            let records: Vec<_> = keys.map(|key| (key, Call::Update(1))).collect();
            let records = arrive(executor, &state, &[records]);
            state.step(executor, at(1), 0, records, |partition, records| {
                partition.call(at(1), records, &run_call::<i64>).len()
            })
        };
        step(0..1000).unwrap();
        let outcome = step(keys);
        (state.size(), outcome)
    };
    let (free, outcome) = fill(1000..1025, None);
    outcome.unwrap();
    // Rows and their index have doubled.
    assert_eq!(free.keys, 1025);
    assert!(free.bytes > 2048 * 16 + 2048 * 8, "{free:?}");
    let (size, outcome) = fill(1000..1025, Some(free.bytes));
    assert_eq!(size, free);
    outcome.unwrap();
    let (size, outcome) = fill(1000..1025, Some(free.bytes - 1));
    let error = outcome.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "limit exceeded: 1025 keys would take {} bytes, and state_max_bytes is {}",
            free.bytes,
            free.bytes - 1
        )
    );
    // Rows, the marks of those that count, and an index of so many slots.
    let bytes = 1000 * 16 + 1000_u64.div_ceil(64) * 8 + 2048 * 8;
    assert_eq!(size, StateSize { keys: 1000, bytes });
}

#[test]
fn keys_time_out_when_their_rows_have_moved() {
    let executor = &executors()[1];
    for removed in [Some(Call::Remove), None] {
        let state = KeyedState::<u16, i64>::new(1, Some(Duration::from_secs(10)));
        let mut plain = Plain {
            timeout: Some(10),
            ..Plain::default()
        };
        let mut step = |time, keys: &mut dyn Iterator<Item = u16>, call| {
            let records: Vec<_> = keys.map(|key| (key, call)).collect();
            let expected = plain.step(time, std::slice::from_ref(&records)).unwrap();
            let records = arrive(executor, &state, &[records]);
            let mapped = state.step(executor, at(time), 0, records, |partition, records| {
                partition.call(at(time), records, &run_call::<i64>)
            });
            assert_eq!(by_key(&mapped.unwrap().concat()), by_key(&expected));
            assert_eq!(read(&state.rows()), plain.numbers());
        };
        // Ten times as many go as stay, so the rows move together.
        step(1, &mut (0..1000), Call::Update(1));
        step(
            5,
            &mut (0..1000).filter(|key| key % 10 == 7),
            Call::Update(2),
        );
        step(
            9,
            &mut (0..1000).filter(|key| key % 20 == 7),
            Call::Update(4),
        );
        if let Some(call) = removed {
            step(10, &mut (0..1000).filter(|key| key % 10 != 7), call);
        }
        for time in 11..=21 {
            step(time, &mut (1000..1010), Call::Update(time));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]

    #[test]
    fn map_with_state_equals_a_plain_fold(
        partitions in 1..5_usize,
        timeout in prop_oneof![Just(None), (0..6_i64).prop_map(Some)],
        bound in bounds(),
        steps in steps(),
    ) {
        for executor in executors() {
            map_equals_plain::<i64>(executor, partitions, timeout, bound, &steps)?;
            map_equals_plain::<Box<i64>>(executor, partitions, timeout, bound, &steps)?;
        }
    }

    #[test]
    fn update_state_by_key_equals_a_plain_fold(
        partitions in 1..5_usize,
        bound in bounds(),
        batches in batches(),
    ) {
        for executor in executors() {
            update_equals_plain::<i64>(executor, partitions, bound, &batches)?;
            update_equals_plain::<Box<i64>>(executor, partitions, bound, &batches)?;
            partition_update_equals_plain(executor, partitions, bound, &batches)?;
        }
    }
}
