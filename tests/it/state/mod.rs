//! State by key (STA) and the checked vectors of Spark (S-24).

mod bound;
mod map_with_state;
mod update_state_by_key;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};

use millstream::prelude::*;
use millstream::{ErrorKind, UpdateOptions};

use crate::helpers::*;

type Pairs = Vec<(&'static str, i64)>;

/// What a program makes of some batches of one partition each; the records stay in
/// their order. The batches have the times 1 s, 2 s, ...
fn run_in_order<T: Data, U: Data>(
    batches: impl IntoIterator<Item = Vec<T>>,
    declare: impl FnOnce(&Program, DStream<T>) -> DStream<U>,
) -> Vec<Vec<U>> {
    let program = Program::new();
    let (queue, input) = program.queue();
    let seen = watch(&declare(&program, input));
    program.start();
    for batch in batches {
        queue.push(program.ssc.parallelize(batch, 1));
        program.tick();
    }
    program.stop();
    seen.take()
        .into_iter()
        .map(|(_, records)| records)
        .collect()
}

fn sorted<T: Ord>(mut records: Vec<T>) -> Vec<T> {
    records.sort_unstable();
    records
}

/// Keeps the sum of the values; a key without values goes.
fn sum_while_data(new: &[i64], old: Option<&i64>) -> Option<i64> {
    (!new.is_empty()).then(|| old.copied().unwrap_or_default() + new.iter().sum::<i64>())
}

/// Keeps the sum of the values.
fn sum(new: &[i64], old: Option<&i64>) -> Option<i64> {
    Some(old.copied().unwrap_or_default() + new.iter().sum::<i64>())
}

/// Gives the sum of a key, a time-out gives it negative.
fn running_sum(
    key: &'static str,
    value: Option<i64>,
    state: &mut State<'_, i64>,
) -> (&'static str, i64) {
    let before = state.get_option().copied().unwrap_or_default();
    match value {
        Some(value) => {
            state.update(before + value);
            (key, before + value)
        }
        None => (key, -before),
    }
}

/// What a call does to the state, in the words of the handle.
type Misuse = fn(&mut State<'_, i64>);

/// An error with its causes.
fn full_text(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}; {}", full_text(cause)),
        None => error.to_string(),
    }
}

/// A state that counts its copies.
struct Counted(i64, Arc<AtomicUsize>);

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.1.fetch_add(1, Relaxed);
        Self(self.0, Arc::clone(&self.1))
    }
}

#[test]
fn state_advances_at_times_that_nobody_asks_for() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let sums = input.map_with_state(StateSpec::function(running_sum).num_partitions(1));
    let updated = input.update_state_by_key(sum);
    // Windows that look at three times at once, every three seconds.
    let mapped = watch(&sums.window(3 * SECOND, 3 * SECOND).unwrap());
    let states = watch(
        &sums
            .state_snapshots()
            .window(2 * SECOND, 3 * SECOND)
            .unwrap(),
    );
    let updated = watch(&updated.window(3 * SECOND, 3 * SECOND).unwrap());
    program.start();
    for second in 1..=6 {
        queue.push(program.ssc.parallelize([("a", second)], 1));
        program.tick();
    }
    let expected = [
        (3000, vec![("a", 1), ("a", 3), ("a", 6)]),
        (6000, vec![("a", 10), ("a", 15), ("a", 21)]),
    ];
    assert_eq!(mapped.take(), expected);
    assert_eq!(updated.take(), expected);
    assert_eq!(
        states.take(),
        [
            (3000, vec![("a", 3), ("a", 6)]),
            (6000, vec![("a", 15), ("a", 21)])
        ]
    );
}

/// No output runs at 1 s, but its data is missing in what the one at 3 s gives.
#[test]
fn what_fails_at_a_time_that_nobody_asks_for_is_told_with_the_next() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let updated = input.update_state_by_key(|new: &[i64], old: Option<&i64>| {
        assert!(!new.contains(&13), "not 13");
        sum(new, old)
    });
    let states = watch(&updated.window(SECOND, 3 * SECOND).unwrap());
    program.start();
    for value in [13, 2, 3, 4, 5, 6] {
        queue.push(program.ssc.parallelize([("a", value)], 1));
        program.tick();
    }
    assert_eq!(states.take(), [(6000, vec![("a", 20)])]);
    let text = full_text(&program.ssc.await_termination().unwrap_err());
    assert!(text.contains("not 13"), "{text}");
    assert!(text.contains("batch 1000 ms"), "{text}");
    assert!(text.contains("batch 3000 ms"), "{text}");
}

#[test]
fn a_batch_that_waits_finds_its_state_after_a_later_one_was_asked_for() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let (began, has_begun) = mpsc::channel();
    let (let_go, release) = mpsc::channel::<()>();
    let (began, release) = (Mutex::new(began), Mutex::new(release));
    // Holds up the operations behind it, until its other end is dropped.
    input.foreach_rdd(move |_, _| {
        let _ = began.lock().unwrap().send(());
        let _ = release.lock().unwrap().recv();
        Ok(())
    });
    let updated = input.update_state_by_key(sum);
    let summed = input
        .reduce_by_key_and_window_inverse(|a, b| a + b, |a, b| a - b, 3 * SECOND, SECOND)
        .unwrap();
    let seen = [watch(&updated), watch(&summed)];
    program.start();
    for second in 1..=3 {
        queue.push(program.ssc.parallelize([("a", second)], 1));
        program.cut();
    }
    has_begun.recv().unwrap();
    for stream in [&updated, &summed] {
        let last = stream.slice(at(3000), at(3000)).unwrap();
        assert_eq!(last[0].collect().unwrap(), [("a", 6)]);
    }
    drop(let_go);
    program.stop();
    let expected = [
        (1000, vec![("a", 1)]),
        (2000, vec![("a", 3)]),
        (3000, vec![("a", 6)]),
    ];
    for seen in seen {
        assert_eq!(seen.take(), expected);
    }
}

#[test]
fn keys_of_text_do_not_keep_what_was_received() {
    let program = Program::new();
    let lines = program
        .ssc
        .text_lines("a key that is longer than fits inline 1\nshort 2\n");
    let (queue, input) = program.queue::<Str>();
    let count = |key: Str, _: Option<()>, state: &mut State<'_, u32>| {
        let calls = state.get_option().copied().unwrap_or_default() + 1;
        state.update(calls);
        (key, calls)
    };
    let calls = input
        .map(|line| (line, ()))
        .map_with_state(StateSpec::function(count));
    let (mapped, states) = (watch(&calls), watch(&calls.state_snapshots()));
    program.start();
    for _ in 0..2 {
        queue.push(lines.clone());
        program.tick();
    }
    let line = || lines.collect().unwrap();
    let counted = |n| sorted(line().into_iter().map(|line| (line, n)).collect::<Vec<_>>());
    for seen in [mapped, states] {
        let seen: Vec<_> = seen
            .take()
            .into_iter()
            .map(|(_, all)| sorted(all))
            .collect();
        assert_eq!(seen, [counted(1), counted(2)]);
    }
}

#[test]
fn b_11_a_key_that_is_not_equal_to_itself_harms_nobody() {
    #[derive(Clone, Copy)]
    struct Odd(f64);
    impl PartialEq for Odd {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl Eq for Odd {}
    impl std::hash::Hash for Odd {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            state.write_u64(self.0.to_bits());
        }
    }
    let program = Program::new();
    let (queue, input) = program.queue();
    let count = |key: Odd, value: Option<bool>, state: &mut State<'_, i64>| {
        let before = state.get_option().copied();
        match value {
            Some(true) => state.update(before.unwrap_or_default() + 1),
            Some(false) => state.remove(),
            None => {}
        }
        (key.0.is_nan(), before)
    };
    let counts = input.map_with_state(StateSpec::function(count).timeout(SECOND));
    let states = counts.state_snapshots().count();
    let (mapped, states) = (watch(&counts), watch(&states));
    let updated = input.update_state_by_key(|new: &[bool], old: Option<&usize>| {
        Some(old.copied().unwrap_or_default() + new.len())
    });
    let updated = watch(&updated.map(|(key, n)| (key.0.is_nan(), n)));
    program.start();
    let (nan, one) = (Odd(f64::NAN), Odd(1.0));
    queue.push(
        program
            .ssc
            .parallelize([(nan, true), (nan, true), (one, true), (nan, false)], 1),
    );
    for _ in 0..3 {
        program.tick();
    }
    let mapped: Vec<_> = mapped
        .take()
        .into_iter()
        .map(|(_, calls)| sorted(calls))
        .collect();
    // Each such record is a key of its own; their states time out as all others.
    assert_eq!(
        mapped,
        [
            vec![(false, None), (true, None), (true, None), (true, None)],
            vec![],
            vec![(false, Some(1)), (true, Some(1)), (true, Some(1))]
        ]
    );
    assert_eq!(
        states.take(),
        [(1000, vec![3]), (2000, vec![3]), (3000, vec![0])]
    );
    let updated = updated.take().pop().unwrap().1;
    assert_eq!(
        sorted(updated),
        [(false, 1), (true, 1), (true, 1), (true, 1)]
    );
}

#[test]
fn operations_with_state_are_declared_before_the_start() {
    let program = Program::new();
    let (_queue, input) = program.queue::<(&'static str, i64)>();
    let sums = input.map_with_state(StateSpec::function(running_sum));
    watch(&sums);
    program.start();
    let declare: [&dyn Fn(); 3] = [
        &|| drop(input.update_state_by_key(sum)),
        &|| drop(input.map_with_state(StateSpec::function(running_sum))),
        &|| drop(sums.state_snapshots()),
    ];
    for declare in declare {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(declare)).unwrap_err();
        let text = panic.downcast::<String>().unwrap();
        assert!(
            text.contains("after starting a context is not supported"),
            "{text}"
        );
    }
}

/// What is kept is no chain of batches: it is as deep after many as after one (SPARK-6847).
#[test]
fn r_18_state_of_a_hundred_thousand_batches() {
    const BATCHES: usize = 100_000;
    let program = Program::with(|builder| {
        builder
            .workers(1)
            .batch_interval(Duration::from_millis(1))
            .set("max_queued_batches", "1000000")
    });
    let (queue, input) = program.queue::<(u8, u64)>();
    let counts = input.update_state_by_key(|new: &[u64], old: Option<&u64>| {
        Some(old.unwrap_or(&0) + 1 + new.iter().sum::<u64>())
    });
    let last = Arc::<Mutex<Vec<(u8, u64)>>>::default();
    let into = Arc::clone(&last);
    counts.foreach_rdd(move |rdd, time| {
        if time.as_millis() as usize == BATCHES {
            *into.lock().unwrap() = rdd.collect()?;
        }
        Ok(())
    });
    program.push(&queue, [(7, 0)]);
    program.start();
    // Else what was missed before the start would be fewer batches.
    program.clock.await_waiters(1);
    program.clock.advance(Duration::from_millis(BATCHES as u64));
    program.ssc.await_batch(at(BATCHES as i64));
    assert_eq!(*last.lock().unwrap(), [(7, BATCHES as u64)]);
}
