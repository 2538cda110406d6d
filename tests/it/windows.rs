//! Window Operations.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use millstream::prelude::*;
use millstream::rdd::pipe::Pipe;
use millstream::{ErrorKind, Result};
use proptest::prelude::*;

use crate::helpers::{Program, SECOND, Seen, watch};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// What a window gives at 1 s, 2 s, ...; sorted, and nothing where it has no batch.
fn run<T, U, P>(
    batches: &[Vec<T>],
    declare: impl FnOnce(DStream<T>) -> Result<DStream<U, P>>,
) -> Vec<Option<Vec<U>>>
where
    T: Data,
    U: Data + Ord,
    P: Pipe<Out = U>,
{
    let program = Program::new();
    let (queue, input) = program.queue();
    let seen = watch(&declare(input).expect("a right window"));
    program.start();
    let mut all = Vec::new();
    for batch in batches {
        queue.push(program.ssc.parallelize(batch.clone(), 2));
        program.tick();
        let mut records = seen.take();
        assert!(records.len() <= 1);
        all.push(records.pop().map(|(time, mut records)| {
            assert_eq!(time, program.now().as_millis());
            records.sort();
            records
        }));
    }
    program.stop();
    all
}

fn some<T>(batches: impl IntoIterator<Item = Vec<T>>) -> Vec<Option<Vec<T>>> {
    batches.into_iter().map(Some).collect()
}

#[test]
fn window_has_the_batches_of_its_interval() {
    let batches = [vec![1], vec![2], vec![3], vec![4], vec![5], vec![]];
    assert_eq!(
        run(&batches, |s| s.window(secs(3), secs(1))),
        some([
            vec![1],
            vec![1, 2],
            vec![1, 2, 3],
            vec![2, 3, 4],
            vec![3, 4, 5],
            vec![4, 5]
        ])
    );
    assert_eq!(
        run(&batches, |s| s.window(secs(2), secs(2))),
        [
            None,
            Some(vec![1, 2]),
            None,
            Some(vec![3, 4]),
            None,
            Some(vec![5])
        ]
    );
    // A slide longer than the window leaves batches out.
    assert_eq!(
        run(&batches, |s| s.window(secs(1), secs(3))),
        [None, None, Some(vec![3]), None, None, Some(vec![])]
    );
}

#[test]
fn windows_of_windows_see_what_the_inner_one_gave() {
    let batches: Vec<_> = (1..=8).map(|n| vec![n]).collect();
    let seen = run(&batches, |s| {
        s.map(|n| n)
            .window(secs(2), secs(1))?
            .window(secs(4), secs(2))
    });
    assert_eq!(
        seen,
        [
            None,
            Some(vec![1, 1, 2]),
            None,
            Some(vec![1, 1, 2, 2, 3, 3, 4]),
            None,
            Some(vec![2, 3, 3, 4, 4, 5, 5, 6]),
            None,
            Some(vec![4, 5, 5, 6, 6, 7, 7, 8]),
        ]
    );
}

#[test]
fn a_chain_before_a_window_runs_once_per_batch() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let batches: Vec<_> = (0..6).map(|n| vec![n, n]).collect();
    run(&batches, |s| {
        s.map(move |n| {
            counted.fetch_add(1, Ordering::Relaxed);
            n
        })
        .window(secs(4), secs(1))
    });
    assert_eq!(calls.load(Ordering::Relaxed), 12);
}

#[test]
fn keys_leave_an_inverse_window_with_their_records() {
    let (a, b) = ("a", "b");
    let batches = [
        vec![(a, 1_i64)],
        vec![(a, 1), (b, 1)],
        vec![(b, 1)],
        vec![],
        vec![],
        vec![(a, 1)],
        vec![],
        vec![],
    ];
    let sum = |s: DStream<(&'static str, i64)>| {
        s.reduce_by_key_and_window_inverse(|a, b| a + b, |a, b| a - b, secs(2), secs(1))
    };
    assert_eq!(
        run(&batches, sum),
        some([
            vec![(a, 1)],
            vec![(a, 2), (b, 1)],
            vec![(a, 1), (b, 2)],
            vec![(b, 1)],
            vec![],
            vec![(a, 1)],
            vec![(a, 1)],
            vec![],
        ])
    );
    // Values that cancel out do not remove a key that has records.
    let cancelling = [vec![(a, 1)], vec![(a, -1)], vec![], vec![], vec![(a, 2)]];
    assert_eq!(
        run(&cancelling, sum),
        some([
            vec![(a, 1)],
            vec![(a, 0)],
            vec![(a, -1)],
            vec![],
            vec![(a, 2)]
        ])
    );
}

#[test]
fn a_slide_longer_than_the_window_does_not_count_the_gap() {
    let batches: Vec<_> = [("a", 1), ("a", 1), ("a", 1), ("b", 10), ("b", 1), ("b", 1)]
        .into_iter()
        .chain([("b", 1), ("b", 1), ("b", 1)])
        .map(|pair| vec![pair])
        .collect();
    let seen = run(&batches, |s| {
        s.reduce_by_key_and_window_inverse(|a, b| a + b, |a, b| a - b, secs(2), secs(3))
    });
    let due: Vec<_> = seen.into_iter().flatten().collect();
    assert_eq!(due, [vec![("a", 2)], vec![("b", 2)], vec![("b", 2)]]);
}

#[test]
fn counts_and_reductions_of_a_window() {
    let batches = [vec![], vec![1_u64, 2], vec![], vec![], vec![], vec![3]];
    assert_eq!(
        run(&batches, |s| s.count_by_window(secs(2), secs(1))),
        some([vec![0], vec![2], vec![2], vec![0], vec![0], vec![1]])
    );
    let reduced = some([vec![], vec![3], vec![3], vec![], vec![], vec![3]]);
    assert_eq!(
        run(&batches, |s| s.reduce_by_window(
            |a, b| a + b,
            secs(2),
            secs(1)
        )),
        reduced
    );
    assert_eq!(
        run(&batches, |s| {
            s.reduce_by_window_inverse(|a, b| a + b, |a, b| a - b, secs(2), secs(1))
        }),
        reduced
    );
    let words = [vec!["x", "x"], vec!["y"], vec![], vec![], vec!["x"], vec![]];
    assert_eq!(
        run(&words, |s| s.count_by_value_and_window(secs(2), secs(1))),
        some([
            vec![("x", 2)],
            vec![("x", 2), ("y", 1)],
            vec![("y", 1)],
            vec![],
            vec![("x", 1)],
            vec![("x", 1)],
        ])
    );
}

#[test]
fn groups_of_a_window() {
    let batches = [vec![("a", 1), ("b", 2)], vec![("a", 3)], vec![]];
    let seen = run(&batches, |s| {
        Ok(s.group_by_key_and_window(secs(2), secs(1))?
            .map(|(key, mut values)| {
                values.sort();
                (key, values)
            }))
    });
    assert_eq!(
        seen,
        some([
            vec![("a", vec![1]), ("b", vec![2])],
            vec![("a", vec![1, 3]), ("b", vec![2])],
            vec![("a", vec![3])],
        ])
    );
}

#[test]
fn durations_that_do_not_fit_are_refused_where_they_are_declared() {
    let program = Program::new();
    let (_, input) = program.queue::<(u64, u64)>();
    let half = Duration::from_millis(1500);
    let errors = [
        input.window(half, SECOND).err(),
        input.window(SECOND, half).err(),
        input.count_by_window(half, SECOND).err(),
        input.reduce_by_window(|a, _| a, half, SECOND).err(),
        input.group_by_key_and_window(SECOND, half).err(),
        input.reduce_by_key_and_window(|a, _| a, SECOND, half).err(),
        input
            .count_by_value_and_window(SECOND, Duration::ZERO)
            .err(),
        input
            .window(SECOND, secs(2))
            .expect("a right window")
            .reduce_by_key_and_window_inverse(|a, _| a, |a, _| a, secs(3), secs(2))
            .err(),
    ];
    for error in errors {
        let error = error.expect("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        let text = error.to_string();
        assert!(text.contains("is not a multiple of"), "{text}");
        assert!(text.contains("windows.rs"), "{text}");
    }
}

#[test]
fn an_rdd_that_is_kept_does_not_change_with_the_window() {
    let program = Program::new();
    let (queue, input) = program.queue::<(u64, u64)>();
    let kept: Arc<Mutex<Vec<Rdd<(u64, u64)>>>> = Arc::default();
    let keep = Arc::clone(&kept);
    input
        .reduce_by_key_and_window_inverse(|a, b| a + b, |a, b| a - b, secs(2), secs(1))
        .expect("a right window")
        .foreach_rdd(move |rdd, _| {
            keep.lock().expect("no test panics here").push(rdd);
            Ok(())
        });
    program.start();
    for n in 1..=4 {
        queue.push(program.ssc.parallelize([(n, n), (0, n)], 2));
        program.tick();
    }
    program.stop();
    let kept = kept.lock().expect("no test panics here");
    let sorted = |rdd: &Rdd<(u64, u64)>| {
        let mut records = rdd.collect().expect("it is there");
        records.sort();
        records
    };
    let seen: Vec<_> = kept.iter().map(sorted).collect();
    assert_eq!(
        seen,
        [
            vec![(0, 1), (1, 1)],
            vec![(0, 3), (1, 1), (2, 2)],
            vec![(0, 5), (2, 2), (3, 3)],
            vec![(0, 7), (3, 3), (4, 4)],
        ]
    );
}

#[test]
fn windows_with_a_failed_batch_fail_and_those_behind_it_are_right() {
    for inverse in [true, false] {
        // The batch itself cannot be computed, or the function fails on its values.
        for fails_in_map in [true, false] {
            let program = Program::new();
            let (queue, input) = program.queue::<(u64, i64)>();
            let input = input.map(move |(key, value)| {
                assert!(!fails_in_map || value != 1000, "unlucky");
                (key, value)
            });
            let add = move |a: i64, b: i64| {
                assert!(fails_in_map || (a != 1000 && b != 1000), "unlucky");
                a + b
            };
            let window = if inverse {
                input.reduce_by_key_and_window_inverse(add, |a, b| a - b, secs(3), secs(1))
            } else {
                input.reduce_by_key_and_window(add, secs(3), secs(1))
            };
            let seen = watch(&window.expect("a right window"));
            program.start();
            for n in [1, 2, 1000, 4, 5, 6, 7] {
                queue.push(program.ssc.parallelize([(0, n), (n as u64, n)], 2));
                program.tick();
            }
            let error = program.ssc.await_termination().expect_err("a batch failed");
            assert!(format!("{error:#?}").contains("unlucky"), "{error:#?}");
            program.stop();
            let mut seen = seen.take();
            seen.iter_mut().for_each(|(_, records)| records.sort());
            assert_eq!(
                seen,
                [
                    (1000, vec![(0, 1), (1, 1)]),
                    (2000, vec![(0, 3), (1, 1), (2, 2)]),
                    (6000, vec![(0, 15), (4, 4), (5, 5), (6, 6)]),
                    (7000, vec![(0, 18), (5, 5), (6, 6), (7, 7)]),
                ]
            );
        }
    }
}

#[test]
fn floating_point_sums_do_not_drift() {
    // Taking 1e16 out of a sum again would leave 0 where 1 is right.
    let batches: Vec<_> = [1e16, 1.0, 1.0, 1.0]
        .into_iter()
        .map(|value| vec![((), value)])
        .collect();
    let seen = run(&batches, |s: DStream<((), f64)>| {
        Ok(
            s.reduce_by_key_and_window_inverse(|a, b| a + b, |a, b| a - b, secs(2), secs(1))?
                .map(|((), sum)| sum.to_bits()),
        )
    });
    assert_eq!(seen[3], Some(vec![2_f64.to_bits()]));
}

#[test]
fn a_window_that_is_asked_late_misses_nothing() {
    // The outer window asks the inner one for two of its times at once, and other
    // operations ask for each.
    let program = Program::new();
    let (queue, input) = program.queue::<(u64, u64)>();
    let inner = input
        .reduce_by_key_and_window_inverse(|a, b| a + b, |a, b| a - b, secs(2), secs(1))
        .expect("a right window");
    let late = watch(&inner.window(secs(1), secs(4)).expect("a right window"));
    let seen: Seen<Vec<_>> = watch(&inner.window(secs(3), secs(2)).expect("a right window"));
    program.start();
    for n in 1..=8 {
        queue.push(program.ssc.parallelize([(0, n)], 2));
        program.tick();
    }
    program.stop();
    let sums = |n: u64| if n == 1 { 1 } else { 2 * n - 1 };
    let expected = |times: &[u64]| times.iter().map(|&n| (0, sums(n))).collect::<Vec<_>>();
    assert_eq!(
        seen.take(),
        [
            (2000, expected(&[1, 2])),
            (4000, expected(&[2, 3, 4])),
            (6000, expected(&[4, 5, 6])),
            (8000, expected(&[6, 7, 8])),
        ]
    );
    assert_eq!(
        late.take(),
        [(4000, expected(&[4])), (8000, expected(&[8]))]
    );
}

/// What a window of plain lists has, and when.
fn plain<T: Clone>(batches: &[Vec<T>], length: usize, slide: usize) -> Vec<Option<Vec<T>>> {
    (1..=batches.len())
        .map(|now| {
            now.is_multiple_of(slide)
                .then(|| batches[now.saturating_sub(length)..now].concat())
        })
        .collect()
}

fn folded(records: &[(u8, i64)], f: impl Fn(i64, i64) -> i64) -> Vec<(u8, i64)> {
    let mut all: Vec<(u8, i64)> = Vec::new();
    for &(key, value) in records {
        match all.iter_mut().find(|entry| entry.0 == key) {
            Some(entry) => entry.1 = f(entry.1, value),
            None => all.push((key, value)),
        }
    }
    all.sort_unstable();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(24)
    ))]

    #[test]
    fn windows_equal_plain_lists(
        batches in proptest::collection::vec(
            proptest::collection::vec((0..6_u8, -5..5_i64), 0..8), 0..20),
        length in 1..7_u64,
        slide in 1..7_u64,
        partitions in 1..5_usize,
    ) {
        let expected = plain(&batches, length as usize, slide as usize);
        let (length, slide) = (secs(length), secs(slide));
        let of = |f: fn(&[(u8, i64)]) -> Vec<(u8, i64)>| -> Vec<_> {
            expected.iter().map(|window| window.as_deref().map(f)).collect()
        };
        prop_assert_eq!(
            run(&batches, |s| s.window(length, slide)),
            of(|window| {
                let mut window = window.to_vec();
                window.sort_unstable();
                window
            })
        );
        prop_assert_eq!(
            run(&batches, |s| s.reduce_by_key_and_window_inverse_into(
                |a, b| a + b, |a, b| a - b, length, slide, partitions)),
            of(|window| folded(window, |a, b| a + b))
        );
        prop_assert_eq!(
            run(&batches, |s| s.reduce_by_key_and_window_into(i64::max, length, slide, partitions)),
            of(|window| folded(window, i64::max))
        );
        let counts: Vec<_> = expected
            .iter()
            .map(|window| window.as_ref().map(|window| vec![window.len() as u64]))
            .collect();
        prop_assert_eq!(run(&batches, |s| s.count_by_window(length, slide)), counts);
    }
}
