//! `map_with_state` (STA-4 to STA-10, F-4).

use super::*;

#[test]
fn s_24_map_with_state_times_out_in_the_first_batch_that_is_due() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let spec = StateSpec::function(running_sum).timeout(2 * SECOND);
    let counts = input.map_with_state(spec.num_partitions(1));
    let (mapped, states) = (watch(&counts), watch(&counts.state_snapshots()));
    program.start();
    for batch in [
        vec![("a", 1), ("b", 1)],
        vec![("a", 1)],
        vec![("a", 1)],
        vec![("a", 1)],
    ] {
        queue.push(program.ssc.parallelize(batch, 1));
        program.tick();
    }
    assert_eq!(
        mapped.take(),
        [
            (1000, vec![("a", 1), ("b", 1)]),
            (2000, vec![("a", 2)]),
            (3000, vec![("a", 3)]),
            (4000, vec![("a", 4), ("b", -1)]),
        ]
    );
    assert_eq!(
        states.take(),
        [
            (1000, vec![("a", 1), ("b", 1)]),
            (2000, vec![("a", 2), ("b", 1)]),
            (3000, vec![("a", 3), ("b", 1)]),
            (4000, vec![("a", 4)]),
        ]
    );
}

#[test]
fn sta_9_time_outs_at_their_boundaries() {
    let batches: [Pairs; 10] = [
        vec![("a", 1)],
        vec![("b", 1)],
        vec![],
        vec![("a", 2)], // a is due in this one, so it lives on
        vec![],
        vec![],
        vec![("b", 5), ("a", 7)],
        vec![],
        vec![],
        vec![],
    ];
    let out = run_in_order(batches, |_, s| {
        let spec = StateSpec::function(running_sum).timeout(2 * SECOND);
        s.map_with_state(spec).boxed()
    });
    let out: Vec<_> = out.into_iter().map(sorted).collect();
    assert_eq!(
        out,
        [
            vec![("a", 1)],
            vec![("b", 1)],
            vec![],
            vec![("a", 3)],
            vec![("b", -1)],
            vec![],
            vec![("a", 10), ("b", 5)],
            vec![],
            vec![],
            vec![("a", -10), ("b", -5)],
        ]
    );
}

#[test]
fn sta_9_a_time_out_of_zero_keeps_state_for_a_batch() {
    let batches: [Pairs; 4] = [
        vec![("a", 1), ("a", 1)],
        vec![("a", 1)],
        vec![],
        vec![("a", 1)],
    ];
    let out = run_in_order(batches, |_, s| {
        let spec = StateSpec::function(running_sum).timeout(Duration::ZERO);
        s.map_with_state(spec).boxed()
    });
    assert_eq!(
        out,
        [
            vec![("a", 1), ("a", 2)],
            vec![("a", 3)],
            vec![("a", -3)],
            vec![("a", 1)]
        ]
    );
}

#[test]
fn sta_9_only_with_a_time_out_does_reading_touch() {
    // Keeps the first value, and never updates it.
    let first = |key: &'static str, value: Option<i64>, state: &mut State<'_, i64>| {
        if !state.exists() {
            state.update(value.unwrap());
        }
        (key, *state.get(), state.is_timing_out())
    };
    let batches: [Pairs; 6] = [
        vec![("a", 7)],
        vec![],
        vec![("a", 8)],
        vec![],
        vec![],
        vec![],
    ];
    let out = run_in_order(batches, |_, s| {
        s.map_with_state(StateSpec::function(first).timeout(2 * SECOND))
            .boxed()
    });
    let (kept, over) = (("a", 7, false), ("a", 7, true));
    assert_eq!(
        out,
        [vec![kept], vec![], vec![kept], vec![], vec![], vec![over]]
    );
}

#[test]
fn sta_4_calls_see_what_earlier_ones_of_the_batch_did() {
    // A negative value removes the state, and gives what it was.
    let drop_negative = |key: &'static str, value: Option<i64>, state: &mut State<'_, i64>| {
        let (value, before) = (value.unwrap(), state.get_option().copied());
        if value < 0 {
            state.remove();
            (key, before, None)
        } else {
            let sum = before.unwrap_or_default() + value;
            state.update(sum);
            (key, before, Some(sum))
        }
    };
    let batches: [Pairs; 3] = [
        vec![("a", 1), ("a", 2)],
        vec![("a", -1)],
        vec![("a", 4), ("a", -1), ("a", 6), ("b", -2)],
    ];
    let out = run_in_order(batches, |_, s| {
        let spec = StateSpec::function(drop_negative).num_partitions(1);
        s.map_with_state(spec).boxed()
    });
    assert_eq!(
        out,
        [
            vec![("a", None, Some(1)), ("a", Some(1), Some(3))],
            vec![("a", Some(3), None)],
            vec![
                ("a", None, Some(4)),
                ("a", Some(4), None),
                ("a", None, Some(6)),
                ("b", None, None)
            ]
        ]
    );
}

#[test]
fn sta_5_the_form_with_time_emits_what_it_returns() {
    let third = |time: BatchTime, key: &'static str, _: Option<i64>, state: &mut State<'_, u32>| {
        let calls = state.get_option().copied().unwrap_or_default() + 1;
        state.update(calls);
        calls.is_multiple_of(3).then_some((key, calls, time))
    };
    let batches: [Pairs; 2] = [vec![("a", 0); 4], vec![("a", 0); 3]];
    let out = run_in_order(batches, |_, s| {
        s.map_with_state(StateSpec::function_with_time(third))
            .boxed()
    });
    assert_eq!(out, [[("a", 3, at(1000))], [("a", 6, at(2000))]]);
}

#[test]
fn sta_7_the_initial_state_is_touched_by_the_first_batch() {
    let program = Program::new();
    let (queue, input) = program.queue();
    // The last of a key counts.
    let initial = program.ssc.parallelize([("a", 1), ("b", 2), ("a", 10)], 1);
    let sums = input.map_with_state(
        StateSpec::function(running_sum)
            .initial_state(initial)
            .num_partitions(3)
            .timeout(SECOND),
    );
    let (mapped, states) = (watch(&sums), watch(&sums.state_snapshots()));
    program.start();
    for batch in [vec![("c", 3)], vec![("a", 1)], vec![("a", 1)]] {
        queue.push(program.ssc.parallelize(batch, 1));
        program.tick();
    }
    let mapped = mapped
        .take()
        .into_iter()
        .map(|(_, records)| sorted(records));
    assert_eq!(
        mapped.collect::<Vec<_>>(),
        [
            vec![("c", 3)],
            vec![("a", 11)],
            vec![("a", 12), ("b", -2), ("c", -3)]
        ]
    );
    let states = states
        .take()
        .into_iter()
        .map(|(_, records)| sorted(records));
    assert_eq!(
        states.collect::<Vec<_>>(),
        [
            vec![("a", 10), ("b", 2), ("c", 3)],
            vec![("a", 11), ("b", 2), ("c", 3)],
            vec![("a", 12)]
        ]
    );
}

#[test]
fn sta_8_records_come_in_the_order_of_the_partitions() {
    for (workers, partitions) in [(1, 1), (2, 1), (1, 4), (2, 4)] {
        let program = Program::with(|builder| builder.workers(workers));
        let (queue, input) = program.queue();
        let history = |key: i64, value: Option<i64>, state: &mut State<'_, Vec<i64>>| {
            match state.get_mut() {
                Some(all) => all.extend(value),
                None => state.update(value.into_iter().collect()),
            }
            (key, state.get().len())
        };
        let spec = StateSpec::function(history).num_partitions(partitions);
        let calls = input
            .filter(|(_, value)| value % 10 != 0)
            .map_with_state(spec);
        let (mapped, states) = (watch_partitions(&calls), watch(&calls.state_snapshots()));
        program.start();
        let batch = |from| (from..from + 10_000).map(|i| (i % 97, i));
        for from in [0, 10_000] {
            queue.push(program.ssc.parallelize(batch(from), 33));
            program.tick();
        }
        let (_, mapped) = mapped.take().remove(0);
        assert_eq!(mapped.len(), partitions);
        assert_eq!(mapped.concat().len(), 9_000, "one result for each record");
        let states = states.take().pop().unwrap().1;
        let plain = batch(0)
            .chain(batch(10_000))
            .filter(|(_, value)| value % 10 != 0);
        let mut by_key = BTreeMap::<_, Vec<_>>::new();
        for (key, value) in plain {
            by_key.entry(key).or_default().push(value);
        }
        assert_eq!(sorted(states), by_key.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn sta_6_illegal_calls_fail_the_batch() {
    let misuses: [(&str, Misuse, Misuse); 7] = [
        (
            "State::get: the key has no state",
            |_| (),
            |state| {
                let _ = state.get();
            },
        ),
        (
            "State::update: the state was removed in this call",
            |state| state.remove(),
            |state| state.update(1),
        ),
        (
            "State::remove: the state was already removed in this call",
            |state| state.remove(),
            |state| state.remove(),
        ),
        (
            "State::get: the key has no state",
            |state| state.update(1),
            |state| {
                state.remove();
                let _ = state.get();
            },
        ),
        (
            "State::update: the key is timing out",
            |state| assert!(state.is_timing_out()),
            |state| {
                state.update(1);
            },
        ),
        (
            "State::remove: the key is timing out",
            |state| assert!(state.exists()),
            |state| {
                state.remove();
            },
        ),
        (
            "State::get_mut: the key is timing out",
            |state| assert_eq!(*state.get(), 1),
            |state| {
                *state.get_mut().unwrap() = 2;
            },
        ),
    ];
    for (message, first, second) in misuses {
        let program = Program::new();
        let (queue, input) = program.queue::<(&'static str, bool)>();
        let spec =
            StateSpec::function(move |_, value: Option<bool>, state: &mut State<'_, i64>| {
                if value == Some(true) {
                    state.update(1);
                } else {
                    first(state);
                    second(state);
                }
            });
        let calls = input.map_with_state(spec.timeout(SECOND));
        let (mapped, states) = (watch(&calls), watch(&calls.state_snapshots()));
        program.start();
        queue.push(program.ssc.parallelize([("x", true)], 1));
        program.tick();
        if !message.contains("timing out") {
            queue.push(program.ssc.parallelize([("x", true), ("a", false)], 1));
            program.tick();
        } else {
            program.tick();
            program.tick();
        }
        let error = program.ssc.await_termination().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panic);
        let text = full_text(&error);
        assert!(text.contains(message), "{text}");
        assert!(
            text.contains("map_with_state at tests/it/state/map_with_state.rs"),
            "{text}"
        );
        let failed = program.now().as_millis();
        assert!(mapped.take().iter().all(|&(time, _)| time < failed));
        assert_eq!(
            states.take().last().map(|(time, _)| *time),
            Some(failed - 1000)
        );
    }
}

#[test]
fn f_4_a_panic_leaves_the_state_of_all_partitions_as_it_was() {
    for (workers, partitions) in [(1, 1), (1, 5), (2, 5)] {
        let program = Program::with(|builder| builder.workers(workers));
        let (queue, input) = program.queue::<(i64, i64)>();
        let initial = || program.ssc.parallelize((0..50).map(|key| (key, 1000)), 3);
        let fails = |value: &i64| assert!(*value != 13, "not 13");
        let mapped = input.map_with_state(
            StateSpec::function(
                move |key: i64, value: Option<i64>, state: &mut State<'_, i64>| {
                    value.iter().for_each(fails);
                    match value {
                        Some(value) if value < 0 => state.remove(),
                        Some(value) => {
                            state.update(state.get_option().copied().unwrap_or_default() + value);
                        }
                        None => {}
                    }
                    key
                },
            )
            .initial_state(initial())
            .num_partitions(partitions)
            .timeout(3 * SECOND),
        );
        let mapped_states = watch(&mapped.state_snapshots());
        let by_key = input.update_state_by_key_with(
            move |_, _, new, old| {
                new.iter().for_each(fails);
                sum(new, old).filter(|_| !new.iter().any(|&value| value < 0))
            },
            UpdateOptions::new()
                .initial_state(initial())
                .num_partitions(partitions),
        );
        let by_key = watch(&by_key);
        let by_partition = input.update_state_by_partition(
            move |_, entries| {
                entries.filter_map(move |(key, new, old)| {
                    new.iter().for_each(fails);
                    let after = sum(&new, old.as_ref())?;
                    (!new.iter().any(|&value| value < 0)).then_some((key, after))
                })
            },
            UpdateOptions::new()
                .initial_state(initial())
                .num_partitions(partitions),
        );
        let by_partition = watch(&by_partition);
        program.start();
        let mut plain: BTreeMap<i64, i64> = (0..50).map(|key| (key, 1000)).collect();
        for second in 1..9_i64 {
            let mut batch: Vec<_> = (0..200)
                .map(|i| ((i * 7 + second) % 60, if i % 50 == 3 { -1 } else { i }))
                .filter(|(_, value)| *value != 13)
                .collect();
            let failing = second % 3 == 2;
            if failing {
                batch.insert(batch.len() / 2, (second, 13));
            } else {
                // A negative value takes the key away: in one operation with the rest
                // of the batch, in the other at once.
                for (key, value) in &batch {
                    *plain.entry(*key).or_default() += value;
                }
            }
            let gone: Vec<_> = batch
                .iter()
                .filter(|(_, value)| *value < 0 && !failing)
                .map(|(key, _)| *key)
                .collect();
            queue.push(program.ssc.parallelize(batch, 4));
            program.tick();
            plain.retain(|key, _| !gone.contains(key));
            let expected: Vec<_> = plain.iter().map(|(&key, &sum)| (key, sum)).collect();
            for seen in [by_key.take(), by_partition.take()] {
                match &seen[..] {
                    [] => assert!(failing, "batch {second}"),
                    [(_, states)] => {
                        assert!(!failing);
                        assert_eq!(sorted(states.clone()), expected, "batch {second}");
                    }
                    more => panic!("one batch: {more:?}"),
                }
            }
            assert_eq!(mapped_states.take().is_empty(), failing);
        }
        let error = program.ssc.await_termination().unwrap_err();
        let text = full_text(&error);
        assert!(text.contains("not 13"), "{text}");
        assert!(text.contains("partition"), "{text}");
    }
}

#[test]
fn f_4_time_outs_stand_where_they_were_before_a_failed_batch() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let spec = StateSpec::function(
        |key: &'static str, value: Option<i64>, state: &mut State<'_, i64>| {
            assert_ne!(value, Some(13));
            if let Some(value) = value {
                state.update(value);
            }
            (key, value)
        },
    );
    let mapped = watch(&input.map_with_state(spec.timeout(2 * SECOND).num_partitions(1)));
    program.start();
    for batch in [
        vec![("a", 1)],
        vec![],
        vec![("a", 2), ("b", 13)], // fails, so it does not touch a
        vec![("b", 13)],           // a is due, but the batch fails
        vec![],
        vec![],
    ] {
        queue.push(program.ssc.parallelize(batch, 1));
        program.tick();
    }
    assert_eq!(
        mapped.take(),
        [
            (1000, vec![("a", Some(1))]),
            (2000, vec![]),
            (5000, vec![("a", None)]),
            (6000, vec![])
        ]
    );
}

#[test]
fn sta_10_a_snapshot_copies_nothing_until_the_state_changes_while_it_is_held() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let clones = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&clones);
    let calls = Arc::new(AtomicUsize::new(0));
    let called = Arc::clone(&calls);
    let spec = StateSpec::function(
        move |_: i64, value: Option<i64>, state: &mut State<'_, Counted>| {
            called.fetch_add(1, Relaxed);
            let sum = state.get_option().map_or(0, |state| state.0) + value.unwrap_or_default();
            state.update(Counted(sum, Arc::clone(&counter)));
        },
    );
    let states = input
        .map_with_state(spec.num_partitions(1))
        .state_snapshots();
    let held = Seen::new();
    let hold = held.clone();
    states.foreach_rdd(move |rdd, time| {
        assert_eq!(rdd.count()?, 1000);
        if time == at(3000) {
            hold.add(time, rdd);
        }
        Ok(())
    });
    program.start();
    queue.push(program.ssc.parallelize((0..1000).map(|key| (key, key)), 2));
    program.tick();
    let tick = |batch: Vec<(i64, i64)>| {
        queue.push(program.ssc.parallelize(batch, 2));
        calls.store(0, Relaxed);
        program.tick();
        (clones.swap(0, Relaxed), calls.load(Relaxed))
    };
    assert_eq!(clones.load(Relaxed), 0);
    assert_eq!(tick(vec![(1, 100), (2, 100), (2, 100)]), (0, 3));
    assert_eq!(
        tick(vec![]),
        (0, 0),
        "no key is touched in a batch without data"
    );
    let (_, snapshot) = held.take().remove(0);
    assert_eq!(tick(vec![]), (0, 0), "held, but not changed");
    assert_eq!(tick(vec![(1, 1)]), (1000, 1), "held and changed");
    assert_eq!(tick(vec![(1, 1)]), (0, 1), "the copy is the program's own");
    let mut sums: Vec<_> = snapshot
        .map(|(key, state)| (key, state.0))
        .collect()
        .unwrap();
    sums.sort_unstable();
    let expected = |key| match key {
        1 => 101,
        2 => 202,
        _ => key,
    };
    assert_eq!(
        sums,
        (0..1000)
            .map(|key| (key, expected(key)))
            .collect::<Vec<_>>()
    );
}

#[test]
fn sta_6_get_mut_copies_once_per_key_and_batch() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let clones = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&clones);
    let spec = StateSpec::function(
        move |key: i64, _: Option<i64>, state: &mut State<'_, Counted>| {
            match state.get_mut() {
                Some(state) => state.0 += 1,
                None => state.update(Counted(1, Arc::clone(&counter))),
            }
            (key, state.get().0)
        },
    );
    let calls = watch(&input.map_with_state(spec.num_partitions(1)));
    program.start();
    let batch = [(1, 0), (2, 0), (1, 0), (1, 0)];
    for _ in 0..2 {
        queue.push(program.ssc.parallelize(batch, 1));
        program.tick();
    }
    let calls: Vec<_> = calls.take().into_iter().map(|(_, calls)| calls).collect();
    assert_eq!(
        calls,
        [
            [(1, 1), (2, 1), (1, 2), (1, 3)],
            [(1, 4), (2, 2), (1, 5), (1, 6)]
        ]
    );
    // The two after the first call for 1 in the first batch find it as it was before
    // that batch: there is nothing to go back to but a row that goes.
    assert_eq!(clones.load(Relaxed), 1 + 2);
}
