//! Joins of streams with each other and with data sets (TRF-16 to TRF-18, TRF-21,
//! JOI).

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use millstream::prelude::*;
use millstream::rdd::pipe::Pipe;
use millstream::{Error, ErrorKind};

use crate::helpers::*;

type Words = Vec<(&'static str, i64)>;

/// The batches of the two streams that most tests here join.
fn batches() -> [(Words, Words); 4] {
    [
        (
            vec![("a", 1), ("b", 2), ("a", 3)],
            vec![("a", 10), ("c", 30), ("a", 20)],
        ),
        (vec![("a", 1)], vec![]),
        (vec![], vec![("a", 10)]),
        (vec![], vec![]),
    ]
}

/// What a program makes of these batches: sorted, in the order of their times.
fn run_both<U: Data + Ord, P: Pipe<Out = U>>(
    declare: impl FnOnce(
        DStream<(&'static str, i64)>,
        DStream<(&'static str, i64)>,
    ) -> millstream::Result<DStream<U, P>>,
) -> Vec<Vec<U>> {
    let program = Program::new();
    let ((one, left), (two, right)) = (program.queue(), program.queue());
    let seen = watch(&declare(left, right).expect("two streams of one context"));
    program.start();
    for (left, right) in batches() {
        one.push(program.ssc.parallelize(left, 3));
        two.push(program.ssc.parallelize(right, 2));
        program.tick();
    }
    program.stop();
    let seen = seen.take().into_iter();
    seen.zip(1..)
        .map(|((time, mut records), second)| {
            assert_eq!(time, second * 1000);
            records.sort();
            records
        })
        .collect()
}

#[test]
fn trf_16_join_pairs_all_values_of_a_key() {
    let twin = vec![
        ("a", (1, 10)),
        ("a", (1, 20)),
        ("a", (3, 10)),
        ("a", (3, 20)),
    ];
    let out = run_both(|one, two| one.join(&two));
    assert_eq!(
        out,
        [twin.clone(), vec![], vec![], vec![]],
        "nothing crosses batches"
    );
    // Chains on both sides, of which one starts from the other's stream.
    let out = run_both(|one, two| {
        let flipped = two.map(|(key, x)| (key, -x)).filter(|(_, x)| *x < -10);
        Ok(one
            .map_values(|x| x * 2)
            .join_into(&flipped, 7)?
            .map(|(_, both)| both))
    });
    assert_eq!(out, [vec![(2, -20), (6, -20)], vec![], vec![], vec![]]);
    let out = run_both(|one, _| one.join(&one));
    assert_eq!(out[0].len(), 5, "a stream with itself");
    assert_eq!(out[1], [("a", (1, 1))]);
}

#[test]
fn trf_17_outer_joins_keep_a_side() {
    let out = run_both(|one, two| one.left_outer_join(&two));
    let a = |v, w| ("a", (v, Some(w)));
    assert_eq!(
        out[0],
        [a(1, 10), a(1, 20), a(3, 10), a(3, 20), ("b", (2, None))]
    );
    assert_eq!(out[1..], [vec![("a", (1, None))], vec![], vec![]]);

    let out = run_both(|one, two| one.right_outer_join(&two));
    let a = |v, w| ("a", (Some(v), w));
    assert_eq!(
        out[0],
        [a(1, 10), a(1, 20), a(3, 10), a(3, 20), ("c", (None, 30))]
    );
    assert_eq!(out[1..], [vec![], vec![("a", (None, 10))], vec![]]);

    let out = run_both(|one, two| one.full_outer_join(&two));
    let a = |v, w| ("a", (Some(v), Some(w)));
    let twin = [
        a(1, 10),
        a(1, 20),
        a(3, 10),
        a(3, 20),
        ("b", (Some(2), None)),
        ("c", (None, Some(30))),
    ];
    assert_eq!(out[0], twin);
    assert_eq!(
        out[1..],
        [
            vec![("a", (Some(1), None))],
            vec![("a", (None, Some(10)))],
            vec![]
        ]
    );
}

#[test]
fn trf_18_cogroup_has_all_values_of_both() {
    let out = run_both(|one, two| {
        let sort = |mut list: Vec<i64>| {
            list.sort_unstable();
            list
        };
        let groups = one.cogroup(&two)?;
        Ok(groups.map_values(move |(v, w)| (sort(v), sort(w))))
    });
    assert_eq!(
        out,
        [
            vec![
                ("a", (vec![1, 3], vec![10, 20])),
                ("b", (vec![2], vec![])),
                ("c", (vec![], vec![30])),
            ],
            vec![("a", (vec![1], vec![]))],
            vec![("a", (vec![], vec![10]))],
            vec![],
        ]
    );
}

#[test]
fn tun_4_partitions_of_a_join() {
    fn note<T: Data>(seen: &Seen<usize>, stream: millstream::Result<DStream<T>>) {
        let seen = seen.clone();
        stream.unwrap().foreach_rdd(move |rdd, time| {
            seen.add(time, rdd.num_partitions());
            Ok(())
        });
    }
    let program = Program::with(|builder| builder.default_parallelism(5));
    let (_queue, input) = program.queue::<(u64, u64)>();
    let seen = Seen::new();
    note(&seen, input.join(&input));
    note(&seen, input.left_outer_join(&input));
    note(&seen, input.right_outer_join(&input));
    note(&seen, input.full_outer_join(&input));
    note(&seen, input.cogroup(&input));
    note(&seen, input.join_into(&input, 3));
    note(&seen, input.left_outer_join_into(&input, 3));
    note(&seen, input.right_outer_join_into(&input, 3));
    note(&seen, input.full_outer_join_into(&input, 3));
    note(&seen, input.cogroup_into(&input, 3));
    program.start();
    program.tick();
    let counts = seen.take().into_iter().map(|(_, n)| n);
    assert!(counts.eq([5, 5, 5, 5, 5, 3, 3, 3, 3, 3]));
}

/// The errors of all operations on two streams that cannot be used together.
fn refusals(
    one: &DStream<(u64, u64)>,
    two: &DStream<(u64, u64)>,
) -> [(&'static str, Option<Error>); 6] {
    let never = |_, _, _| -> millstream::Result<Rdd<u64>> { panic!("never called") };
    [
        ("join", one.join(two).err()),
        ("left_outer_join", one.left_outer_join(two).err()),
        ("right_outer_join", one.right_outer_join(two).err()),
        ("full_outer_join", one.full_outer_join(two).err()),
        ("cogroup", one.cogroup(two).err()),
        ("transform_with", one.transform_with(two, never).err()),
    ]
}

#[test]
fn trf_16_streams_that_slide_differently_are_refused() {
    let program = Program::new();
    let (_queue, one) = program.queue();
    let two = one.window(SECOND * 2, SECOND * 2).unwrap();
    for (name, error) in refusals(&one, &two) {
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        let text = error.to_string();
        let slides = format!("{name}: the streams slide by 1000 ms and by 2000 ms");
        assert!(text.contains(&slides), "{text}");
    }
}

#[test]
fn trf_16_streams_of_two_contexts_are_refused() {
    let (program, other) = (Program::new(), Program::new());
    let (_queue, one) = program.queue();
    let (_other_queue, two) = other.queue();
    for (name, error) in refusals(&one, &two) {
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        let text = error.to_string();
        assert!(
            text.contains(&format!("{name}: the streams belong to different")),
            "{text}"
        );
        assert!(text.contains("joins.rs"), "{text}");
    }
}

#[test]
fn trf_16_nothing_is_declared_after_the_start() {
    let program = Program::new();
    let (_queue, one) = program.queue();
    watch(&one);
    program.start();
    for (_, error) in refusals(&one, &one) {
        assert_eq!(error.unwrap().kind(), ErrorKind::IllegalState);
    }
}

#[test]
fn trf_16_a_panic_fails_its_batch_and_is_named() {
    let program = Program::new();
    let ((one, left), (two, right)) = (program.queue(), program.queue());
    let line = line!() + 1;
    let broken = right.map(|x: u64| if x == 2 { panic!("no {x}") } else { (x, x) });
    let joined = left.map(|x: u64| (x, x)).join(&broken).unwrap();
    let seen = watch(&joined);
    program.start();
    for x in 1..=3 {
        one.push(program.ssc.parallelize([x], 1));
        two.push(program.ssc.parallelize([x], 1));
        program.tick();
    }
    assert_eq!(
        seen.take(),
        [(1000, vec![(1, (1, 1))]), (3000, vec![(3, (3, 3))])]
    );
    let text = program.ssc.await_termination().unwrap_err().to_string();
    for part in [
        "batch 2000 ms",
        &format!(
            "in map at {}:{line}, join at {}:{}",
            file!(),
            file!(),
            line + 1
        ),
        "panicked: no 2",
    ] {
        assert!(text.contains(part), "{text} has not {part}");
    }
    program.stop();
}

#[test]
fn trf_21_transform_with_has_both_rdds_and_the_time() {
    let program = Program::new();
    let ((one, words), (two, numbers)) = (program.queue::<&str>(), program.queue::<u64>());
    // Of two types, which may both differ from the result's.
    let both = words.transform_with(&numbers.map(|x| x + 1), |words, numbers, time| {
        let millis = time.as_millis();
        Ok(words.cartesian(numbers).map(move |pair| (millis, pair)))
    });
    let seen = watch_partitions(&both.unwrap());
    program.start();
    one.push(program.ssc.parallelize(["a", "b"], 2));
    two.push(program.ssc.parallelize([1, 2], 1));
    program.tick();
    program.tick();
    let of = |word, x| (1000, (word, x));
    let first = vec![vec![of("a", 2), of("a", 3)], vec![of("b", 2), of("b", 3)]];
    assert_eq!(seen.take(), [(1000, first), (2000, vec![vec![]])]);
}

#[test]
fn trf_21_batch_operations_on_two_streams() {
    let out = run_both(|one, two| {
        one.transform_with(&two.map_values(|x| x / 10), |one, two, _| {
            Ok(one.subtract(two))
        })
    });
    assert_eq!(
        out,
        [vec![("a", 3), ("b", 2)], vec![("a", 1)], vec![], vec![]]
    );
    let out = run_both(|one, two| {
        one.transform_with(&two.map_values(|x| x / 10), |one, two, _| {
            Ok(one.intersection(two))
        })
    });
    assert_eq!(out, [vec![("a", 1)], vec![], vec![], vec![]]);
    let out =
        run_both(|one, two| one.transform_with(&two, |one, two, _| Ok(one.subtract_by_key(two))));
    assert_eq!(out, [vec![("b", 2)], vec![("a", 1)], vec![], vec![]]);
    let out = run_both(|one, two| {
        one.transform_with(&two, |one, two, _| Ok(one.keys().union(two.keys())))
    });
    assert_eq!(out[0], ["a", "a", "a", "a", "b", "c"]);
}

#[test]
fn trf_21_a_transform_that_fails_runs_once_and_is_named() {
    for panics in [false, true] {
        let program = Program::new();
        let (_queue, one) = program.queue::<u64>();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let fails = move || -> millstream::Result<Rdd<u64>> {
            counted.fetch_add(1, Relaxed);
            assert!(!panics, "no such table");
            Err(Error::invalid_argument("no such table"))
        };
        let line = line!() + 1;
        let failing = one.transform_with(&one, move |_, _, _| fails()).unwrap();
        failing.count().print();
        failing.map(|x| x + 1).print();
        program.start();
        program.tick();
        assert_eq!(calls.load(Relaxed), 1);
        assert_fails_with(&program, "no such table", (file!(), line));
        program.stop();
    }
}

#[test]
fn ctx_19_a_transform_of_many_that_panics_is_named() {
    let program = Program::new();
    let (_queue, one) = program.queue::<u64>();
    let line = line!() + 1;
    let failing = program.ssc.transform([one.clone(), one], |rdds, _| {
        assert!(rdds.is_empty(), "no such table");
        Ok(rdds[0].clone())
    });
    failing.unwrap().print();
    program.start();
    program.tick();
    assert_fails_with(&program, "no such table", (file!(), line));
    program.stop();
}

#[test]
fn joi_3_a_data_set_may_be_swapped_while_it_is_joined() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let table = |city| program.ssc.parallelize([("ann", city), ("bob", "Rome")], 2);
    let current = Arc::new(Mutex::new(table("Oslo")));
    let read = Arc::clone(&current);
    let joined = input.transform(move |rdd, _| {
        let table = read.lock().expect("no test panics here").clone();
        Ok(rdd.join(table))
    });
    let seen = watch(&joined);
    program.start();
    for city in ["Oslo", "Bergen"] {
        *current.lock().unwrap() = table(city);
        queue.push(program.ssc.parallelize([("ann", 1), ("cid", 2)], 2));
        program.tick();
    }
    assert_eq!(
        seen.take(),
        [
            (1000, vec![("ann", (1, "Oslo"))]),
            (2000, vec![("ann", (1, "Bergen"))])
        ]
    );
}

#[test]
fn joi_2_windows_are_joined_with_each_other() {
    let program = Program::new();
    let ((one, left), (two, right)) = (program.queue(), program.queue());
    let recent = left.window(SECOND * 3, SECOND).unwrap();
    let joined = recent.join(&right.window(SECOND * 2, SECOND).unwrap());
    let seen = watch(&joined.unwrap().map(|(_, both)| both));
    program.start();
    for second in 1..=4 {
        one.push(program.ssc.parallelize([("a", second)], 1));
        if second == 3 {
            two.push(program.ssc.parallelize([("a", 'x')], 1));
        }
        program.tick();
    }
    let mut out = seen.take();
    out.iter_mut()
        .for_each(|(_, records)| records.sort_unstable());
    let third = vec![(1, 'x'), (2, 'x'), (3, 'x')];
    let fourth = vec![(2, 'x'), (3, 'x'), (4, 'x')];
    assert_eq!(
        out,
        [
            (1000, vec![]),
            (2000, vec![]),
            (3000, third),
            (4000, fourth)
        ]
    );
}
