//! Transformations on streams (TRF) and the checked vectors of Spark (S-24).

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use millstream::ErrorKind;
use millstream::prelude::*;

use crate::helpers::*;

fn pairs(batch: &[(&'static str, i64)]) -> Vec<(&'static str, i64)> {
    batch.to_vec()
}

#[test]
fn trf_1_map() {
    let out = run([vec![1, 2, 3], vec![], vec![4]], |s| s.map(|x| x * 10));
    assert_eq!(out, [vec![10, 20, 30], vec![], vec![40]]);
}

#[test]
fn trf_2_flat_map() {
    let out = run([vec![0, 1, 3], vec![], vec![2]], |s| s.flat_map(|n| 0..n));
    assert_eq!(out, [vec![0, 0, 1, 2], vec![], vec![0, 1]]);
}

#[test]
fn trf_3_filter() {
    let out = run([vec![1, 2, 3, 4], vec![5]], |s| s.filter(|x| x % 2 == 0));
    assert_eq!(out, [vec![2, 4], vec![]]);
}

#[test]
fn trf_4_map_partitions_sees_empty_partitions_too() {
    let program = Program::new();
    let (queue, input) = program.queue::<u64>();
    let sums = input.map(|x| x * 10).map_partitions(|records| {
        let index = records.partition_index();
        [(index, records.len(), records.sum::<u64>())]
    });
    let seen = watch_partitions(&sums);
    program.start();
    queue.push(program.ssc.parallelize([1, 2], 3));
    program.tick();
    program.tick();
    let first = vec![vec![(0, 0, 0)], vec![(1, 1, 10)], vec![(2, 1, 20)]];
    assert_eq!(seen.take(), [(1000, first), (2000, vec![vec![(0, 0, 0)]])]);
}

#[test]
fn trf_5_glom() {
    let program = Program::new();
    let (queue, input) = program.queue::<u64>();
    let seen = watch(&input.filter(|x| *x > 1).glom());
    program.start();
    queue.push(program.ssc.parallelize([1, 2, 3], 2));
    program.tick();
    program.tick();
    assert_eq!(
        seen.take(),
        [(1000, vec![vec![], vec![2, 3]]), (2000, vec![vec![]])]
    );
}

#[test]
fn trf_6_repartition_gives_exactly_so_many_even_partitions() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let seen = watch_partitions(&input.repartition(5));
    program.start();
    queue.push(program.ssc.parallelize(0..50, 2));
    program.tick();
    program.tick();
    let seen = seen.take();
    let lens: Vec<_> = seen[0].1.iter().map(Vec::len).collect();
    assert_eq!(lens, [10; 5]);
    let mut all = seen[0].1.concat();
    all.sort_unstable();
    assert_eq!(all, (0..50).collect::<Vec<_>>());
    assert_eq!(seen[1], (2000, vec![vec![]; 5]), "of an empty batch too");
}

#[test]
fn trf_7_map_values_keeps_keys_and_partitions() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let named = input.map_values(|x: i64| format!("<{x}>"));
    let (named, kept) = (
        watch_partitions(&named),
        watch(&named.map_values(|text| text.len()).filter(|(_, n)| *n > 3)),
    );
    program.start();
    let batch = pairs(&[("b", 5), ("a", 1), ("b", 10)]);
    queue.push(program.ssc.parallelize(batch, 2));
    program.tick();
    program.tick();
    let name = |key, text: &str| (key, text.to_owned());
    assert_eq!(
        named.take(),
        [
            (
                1000,
                vec![
                    vec![name("b", "<5>")],
                    vec![name("a", "<1>"), name("b", "<10>")]
                ]
            ),
            (2000, vec![vec![]])
        ]
    );
    assert_eq!(kept.take(), [(1000, vec![("b", 4)]), (2000, vec![])]);
}

#[test]
fn trf_7_flat_map_values_keeps_keys_and_partitions() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let below = input.flat_map_values(|x: i64| 0..x);
    let seen = watch_partitions(&below);
    program.start();
    let batch = pairs(&[("b", 2), ("a", 0), ("b", 1)]);
    queue.push(program.ssc.parallelize(batch, 2));
    program.tick();
    let parts = vec![vec![("b", 0), ("b", 1)], vec![("b", 0)]];
    assert_eq!(seen.take(), [(1000, parts)]);
}

#[test]
fn trf_9_union_concatenates_partitions() {
    let program = Program::new();
    let (queue, one) = program.queue();
    let (other_queue, other) = program.queue();
    let both = one.union(&other.map(|x| x + 100)).unwrap();
    let (both, own) = (
        watch_partitions(&both),
        watch(&one.union(&one).unwrap().filter(|x| *x > 1)),
    );
    program.start();
    queue.push(program.ssc.parallelize([1, 2, 3], 2));
    other_queue.push(program.ssc.parallelize([4], 1));
    program.tick();
    program.tick();
    assert_eq!(
        both.take(),
        [
            (1000, vec![vec![1], vec![2, 3], vec![104]]),
            (2000, vec![vec![], vec![]])
        ]
    );
    assert_eq!(own.take(), [(1000, vec![2, 3, 2, 3]), (2000, vec![])]);
}

#[test]
fn trf_9_union_of_two_contexts_is_refused() {
    let (program, other) = (Program::new(), Program::new());
    let (_queue, one) = program.queue::<u64>();
    let (_other_queue, two) = other.queue::<u64>();
    watch(&two);
    // Also when the other one runs, and so can declare nothing more.
    other.start();
    for streams in [
        one.union(&two),
        program.ssc.union([one, two.clone()]),
        program.ssc.union([two]),
    ] {
        let error = streams.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        let text = error.to_string();
        assert!(text.contains("belong to different contexts"), "{text}");
        assert!(text.contains("transformations.rs"), "{text}");
    }
}

#[test]
fn trf_10_count_is_always_one_element() {
    let out = run([vec![1, 2, 3], vec![], vec![4]], |s| s.count());
    assert_eq!(out, [[3], [0], [1]]);
    let out = run([vec![1, 2, 3], vec![]], |s| s.filter(|x| *x > 1).count());
    assert_eq!(out, [[2], [0]]);
}

#[test]
fn trf_11_reduce_of_an_empty_batch_is_empty() {
    let out = run([vec![1, 2, 3], vec![], vec![4]], |s| s.reduce(|a, b| a + b));
    assert_eq!(out, [vec![6], vec![], vec![4]]);
}

#[test]
fn trf_12_count_by_value() {
    let out = run([vec!["x", "y", "x"], vec![], vec!["y"]], |s| {
        s.count_by_value()
    });
    assert_eq!(out, [vec![("x", 2), ("y", 1)], vec![], vec![("y", 1)]]);
}

#[test]
fn trf_13_reduce_by_key() {
    let batches = [
        pairs(&[("a", 1), ("b", 5), ("a", 2)]),
        vec![],
        pairs(&[("b", 1)]),
    ];
    let out = run(batches.clone(), |s| s.reduce_by_key(|a, b| a + b));
    assert_eq!(
        out,
        [vec![("a", 3), ("b", 5)], vec![], vec![("b", 1)]],
        "nothing crosses batches"
    );
    let out = run(batches, |s| s.reduce_by_key_into(i64::max, 7));
    assert_eq!(out[0], [("a", 2), ("b", 5)]);
}

#[test]
fn trf_14_group_by_key() {
    let out = run(
        [pairs(&[("a", 1), ("b", 5), ("a", 2)]), pairs(&[("a", 9)])],
        |s| {
            s.group_by_key().map(|(key, mut values)| {
                values.sort_unstable();
                (key, values)
            })
        },
    );
    assert_eq!(
        out,
        [
            vec![("a", vec![1, 2]), ("b", vec![5])],
            vec![("a", vec![9])]
        ]
    );
}

#[test]
fn trf_15_combine_by_key() {
    let out = run([pairs(&[("a", 1), ("b", 5), ("a", 2)]), vec![]], |s| {
        s.combine_by_key(
            |value| (value, 1),
            |(sum, n), value| {
                *sum += value;
                *n += 1;
            },
            |(sum, n), (other_sum, other_n)| {
                *sum += other_sum;
                *n += other_n;
            },
        )
    });
    assert_eq!(out, [vec![("a", (3, 2)), ("b", (5, 1))], vec![]]);
}

#[test]
fn tun_4_partitions_of_a_shuffle() {
    let program = Program::with(|builder| builder.default_parallelism(5));
    let (_queue, input) = program.queue::<(u64, u64)>();
    let seen = [
        watch_partitions(&input.reduce_by_key(|a, _| a)),
        watch_partitions(&input.reduce_by_key_into(|a, _| a, 3)),
        watch_partitions(&input.count_by_value().map(|_| (0, 0))),
        watch_partitions(&input.group_by_key_into(2).map(|_| (0, 0))),
        watch_partitions(&input.count_by_value_into(4).map(|_| (0, 0))),
        watch_partitions(
            &input
                .combine_by_key_into(|_| (), |(), _| (), |(), ()| (), 6)
                .map(|_| (0, 0)),
        ),
    ];
    program.start();
    program.tick();
    let counts = seen.map(|seen| seen.take()[0].1.len());
    assert_eq!(counts, [5, 3, 5, 2, 4, 6]);
}

#[test]
fn trf_19_partition_by_the_program_s_function() {
    let program = Program::new();
    let (queue, input) = program.queue::<(u64, char)>();
    // More than there are partitions: taken modulo.
    let seen = watch_partitions(&input.partition_by(|&key| key as usize + 3, 3));
    program.start();
    queue.push(
        program
            .ssc
            .parallelize([(0, 'a'), (1, 'b'), (2, 'c'), (4, 'd')], 1),
    );
    program.tick();
    program.tick();
    let parts = vec![vec![(0, 'a')], vec![(1, 'b'), (4, 'd')], vec![(2, 'c')]];
    assert_eq!(seen.take(), [(1000, parts), (2000, vec![vec![]; 3])]);
}

#[test]
fn trf_20_the_top_of_each_batch() {
    let top = |lines: DStream<&'static str>| {
        let counts = lines.count_by_value();
        counts.transform(|rdd, _| {
            let ranked = rdd
                .sort_by(|&(word, n)| (Reverse(n), word))
                .zip_with_index();
            Ok(ranked.filter(|&(_, rank)| rank < 2).keys())
        })
    };
    let out = run([vec!["b", "a", "c", "a", "b"], vec![], vec!["c"]], top);
    assert_eq!(out, [vec![("a", 2), ("b", 2)], vec![], vec![("c", 1)]]);
    let out = run([vec![3, 1, 3, 2], vec![]], |numbers| {
        numbers.transform(|rdd, _| Ok(rdd.distinct().sort().coalesce(1).glom()))
    });
    assert_eq!(out, [[vec![1, 2, 3]], [vec![]]]);
}

#[test]
fn trf_20_transform_has_the_rdd_and_the_time() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let known = program.ssc.parallelize([2, 3], 1);
    // Of another data set, and another number of partitions each time.
    let united = input.transform(move |rdd, time| {
        let seconds = time.as_millis() / 1000;
        let both = rdd.union(known.clone()).map(move |x| (seconds, x));
        Ok(both.repartition(seconds as usize))
    });
    let seen = watch_partitions(&united);
    program.start();
    queue.push(program.ssc.parallelize([1], 1));
    program.tick();
    program.tick();
    let seen = seen.take();
    assert_eq!(seen[0], (1000, vec![vec![(1, 1), (1, 2), (1, 3)]]));
    assert_eq!(seen[1], (2000, vec![vec![(2, 2)], vec![(2, 3)]]));
}

#[test]
fn trf_20_a_transform_that_fails_runs_once_and_is_named() {
    for panics in [false, true] {
        let program = Program::new();
        let (_queue, input) = program.queue::<u64>();
        let calls = Arc::new(AtomicUsize::new(0));
        let line = line!() + 3;
        let failing = {
            let calls = Arc::clone(&calls);
            input.transform(move |rdd, _| {
                calls.fetch_add(1, Relaxed);
                assert!(!panics, "no such table");
                if rdd.num_partitions() > 0 {
                    return Err(millstream::Error::invalid_argument("no such table"));
                }
                Ok(rdd)
            })
        };
        // Two outputs, behind another stream each.
        failing.map(|x| (x, x)).group_by_key().print();
        failing.count().print();
        program.start();
        program.tick();
        assert_eq!(calls.load(Relaxed), 1);
        assert_fails_with(&program, "no such table", (file!(), line));
        program.stop();
    }
}

#[test]
fn dst_3_a_failing_map_fails_its_batch_only() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let line = line!() + 1;
    let seen = watch(&input.map(|x: u64| if x == 2 { panic!("no {x}") } else { x }));
    program.start();
    for x in 1..=4 {
        queue.push(program.ssc.parallelize([x], 1));
        program.tick();
    }
    assert_eq!(
        seen.take(),
        [(1000, vec![1]), (3000, vec![3]), (4000, vec![4])]
    );
    let error = program.ssc.await_termination().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panic);
    let text = error.to_string();
    for part in [
        "output operation 0",
        "batch 2000 ms",
        &format!("in map at {}:{line}", file!()),
        "partition 0 (attempt 4 of 4) panicked: no 2",
    ] {
        assert!(text.contains(part), "{text} has not {part}");
    }
    program.stop();
}

#[test]
fn word_count() {
    let out = run([vec!["to be or", "not to be"], vec![""]], |lines| {
        lines
            .map(Str::from)
            .flat_map(|line| line.split(' '))
            .map(|word| (word, 1_u64))
            .reduce_by_key(|a, b| a + b)
            .map(|(word, n)| (word.to_string(), n))
    });
    let words = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
        pairs
            .iter()
            .map(|&(word, n)| (word.to_owned(), n))
            .collect()
    };
    assert_eq!(
        out,
        [
            words(&[("be", 2), ("not", 1), ("or", 1), ("to", 2)]),
            words(&[("", 1)])
        ]
    );
}
