//! `update_state_by_key` (STA-1, STA-2).

use super::*;

#[test]
fn s_24_update_state_by_key() {
    let batches: [Pairs; 6] = [
        vec![("a", 1)],
        vec![("a", 1), ("b", 1)],
        vec![("b", 1)],
        vec![],
        vec![("a", 5)],
        vec![],
    ];
    let out = run(batches, |s| s.update_state_by_key(sum_while_data));
    assert_eq!(
        out,
        [
            vec![("a", 1)],
            vec![("a", 2), ("b", 1)],
            vec![("b", 2)],
            vec![],
            vec![("a", 5)],
            vec![]
        ]
    );
}

#[test]
fn sta_1_f_is_called_once_for_each_key_with_state_or_data() {
    // The number of calls, and of values that they were given.
    let calls = |new: &[i64], old: Option<&(u32, usize)>| {
        let (calls, values) = old.copied().unwrap_or_default();
        Some((calls + 1, values + new.len()))
    };
    let batches: [Pairs; 4] = [
        vec![],
        vec![("a", 1), ("b", 2), ("a", 3)],
        vec![],
        vec![("b", 1)],
    ];
    let out = run(batches, |s| s.update_state_by_key(calls));
    assert_eq!(
        out,
        [
            vec![],
            vec![("a", (1, 2)), ("b", (1, 1))],
            vec![("a", (2, 2)), ("b", (2, 1))],
            vec![("a", (3, 2)), ("b", (3, 2))]
        ]
    );
}

#[test]
fn sta_1_values_come_in_the_order_of_the_partitions() {
    let collect = |new: &[i64], old: Option<&Vec<i64>>| {
        let mut all = old.cloned().unwrap_or_default();
        all.extend_from_slice(new);
        Some(all)
    };
    let program = Program::new();
    let (queue, input) = program.queue();
    let seen = watch_partitions(&input.update_state_by_key_into(collect, 3));
    program.start();
    for from in [0, 100] {
        let batch = (from..from + 100).map(|i| (i % 7, i));
        queue.push(program.ssc.parallelize(batch, 9));
        program.tick();
    }
    let (time, partitions) = seen.take().pop().unwrap();
    assert_eq!((time, partitions.len()), (2000, 3));
    let expected: Vec<_> = (0..7)
        .map(|key| (key, (0..200).filter(|i| i % 7 == key).collect::<Vec<i64>>()))
        .collect();
    // 100 is no multiple of 7: the second batch gives a key other values.
    assert_eq!(sorted(partitions.concat()), expected);
}

#[test]
fn sta_2_the_function_is_told_time_and_key() {
    let last_seen = |time: BatchTime, key: &&'static str, new: &[i64], old: Option<&i64>| {
        let now = time.as_millis() + if *key == "b" { 1 } else { 0 };
        let last = if new.is_empty() { *old? } else { now };
        (now - last < 2000).then_some(last)
    };
    let batches: [Pairs; 4] = [vec![("a", 1)], vec![("b", 1)], vec![], vec![]];
    let out = run(batches, |s| {
        s.update_state_by_key_with(last_seen, UpdateOptions::new().num_partitions(2))
    });
    assert_eq!(
        out,
        [
            vec![("a", 1000)],
            vec![("a", 1000), ("b", 2001)],
            vec![("b", 2001)],
            vec![]
        ]
    );
}

#[test]
fn sta_2_the_initial_state_counts_in_the_first_batch() {
    let program = Program::new();
    let (queue, input) = program.queue::<(&'static str, i64)>();
    // The first of a key counts.
    let initial = program
        .ssc
        .parallelize([("a", 10), ("b", 20), ("a", 99), ("c", 30)], 2)
        .filter(|(key, _)| *key != "c");
    let seen = watch(&input.update_state_by_key_with(
        |_, _, new, old| sum(new, old),
        UpdateOptions::new().initial_state(initial),
    ));
    program.start();
    for batch in [vec![], vec![("a", 1), ("d", 4)]] {
        queue.push(program.ssc.parallelize(batch, 2));
        program.tick();
    }
    let seen = seen.take().into_iter().map(|(_, records)| sorted(records));
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [
            vec![("a", 10), ("b", 20)],
            vec![("a", 11), ("b", 20), ("d", 4)]
        ]
    );
}

#[test]
fn sta_2_keys_may_change_and_move_to_another_partition() {
    let program = Program::new();
    let (queue, input) = program.queue::<(u64, u64)>();
    // All keys below 40 go on by one in each batch, and grow; the last one goes.
    let seen = watch_partitions(
        &input.update_state_by_partition(
            |time, entries| {
                entries.filter_map(move |(key, new, old)| {
                    let sum = old.unwrap_or_default() + new.iter().sum::<u64>() + 100;
                    (key < 39).then_some((key + 1, sum + time.as_millis().unsigned_abs() / 1000))
                })
            },
            UpdateOptions::new()
                .num_partitions(5)
                .initial_state(program.ssc.parallelize([(0, 0), (0, 7)], 1)),
        ),
    );
    let home = watch_partitions(&input.update_state_by_key_into(|_, _| Some(()), 5));
    program.start();
    let mut plain = BTreeMap::from([(0, 0)]);
    for second in 1..50 {
        let batch: Vec<_> = (0..second % 4)
            .map(|i| (i, 1))
            .chain([(second, 0)])
            .collect();
        queue.push(program.ssc.parallelize(batch.clone(), 3));
        program.tick();
        for (key, value) in batch {
            *plain.entry(key).or_default() += value;
        }
        plain = plain
            .into_iter()
            .filter(|&(key, _)| key < 39)
            .map(|(key, sum)| (key + 1, sum + 100 + second))
            .collect();
        let (_, partitions) = seen.take().pop().unwrap();
        assert_eq!(partitions.len(), 5);
        let expected: Vec<_> = plain.iter().map(|(&key, &sum)| (key, sum)).collect();
        assert_eq!(sorted(partitions.concat()), expected);
        // Where a key belongs does not depend on how it came about.
        let home = home.take().pop().unwrap().1;
        for (own, home) in partitions.iter().zip(home) {
            let strangers = home.iter().filter(|(key, ())| {
                plain.contains_key(key) && !own.iter().any(|(own, _)| own == key)
            });
            assert_eq!(strangers.count(), 0);
        }
    }
}

#[test]
fn sta_2_a_key_that_is_returned_twice_has_the_first_state() {
    let batches: [Pairs; 2] = [vec![("a", 1), ("b", 2)], vec![]];
    let out = run_in_order(batches, |_, s| {
        s.update_state_by_partition(
            |_, entries| {
                let mut all: Vec<_> = entries
                    .map(|(_, new, old)| old.unwrap_or_default() + new.iter().sum::<i64>())
                    .collect();
                all.sort_unstable();
                all.into_iter().map(|sum| ("x", sum))
            },
            UpdateOptions::new().num_partitions(1),
        )
    });
    assert_eq!(out, [[("x", 1)], [("x", 1)]]);
}

#[test]
fn sta_1_update_copies_no_state_that_nobody_holds() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let clones = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&clones);
    let states = input.update_state_by_key(move |new: &[i64], old: Option<&Counted>| {
        let sum = old.map_or(0, |old| old.0) + new.iter().sum::<i64>();
        Some(Counted(sum, Arc::clone(&counter)))
    });
    let keys = watch(&states.count());
    program.start();
    for _ in 0..5 {
        queue.push(program.ssc.parallelize((0..500).map(|key| (key, key)), 2));
        program.tick();
    }
    assert_eq!(keys.take().pop(), Some((5000, vec![500])));
    assert_eq!(clones.load(Relaxed), 0);
}
