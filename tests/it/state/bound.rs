//! The bound on what is kept by key (O-8).

use millstream::listener::{BatchInfo, StateInfo, StreamingListener};

use super::*;

/// What is told of the state behind each batch.
struct Tell(mpsc::Sender<Vec<StateInfo>>);

impl StreamingListener for Tell {
    fn on_batch_completed(&self, batch: &BatchInfo) {
        // A test that has seen enough no longer listens.
        let _ = self.0.send(batch.states.clone());
    }
}

fn told(program: &Program) -> mpsc::Receiver<Vec<StateInfo>> {
    let (send, receive) = mpsc::channel();
    program.ssc.add_listener(Tell(send));
    receive
}

/// Pairs of each of these keys.
fn pairs(keys: std::ops::Range<i64>) -> impl Iterator<Item = (i64, i64)> {
    keys.map(|key| (key, 1))
}

#[test]
fn o_8_a_batch_fails_that_state_has_no_room_for_and_the_state_stays() {
    for (workers, partitions) in [(1, 1), (1, 5), (2, 5)] {
        let program = Program::with(|builder| {
            let builder = builder.workers(workers).default_parallelism(partitions);
            builder.set("state_max_bytes", "64KiB")
        });
        let (queue, input) = program.queue::<(i64, i64)>();
        let add = |key: i64, value: Option<i64>, state: &mut State<'_, i64>| {
            state.update(state.get_option().unwrap_or(&0) + value.unwrap_or_default());
            key
        };
        let mapped = input.map_with_state(StateSpec::function(add));
        let states = [
            watch(&mapped.state_snapshots()),
            watch(&input.update_state_by_key(sum)),
            watch(&input.update_state_by_partition(
                |_, entries| {
                    entries.filter_map(|(key, new, old)| Some((key, sum(&new, old.as_ref())?)))
                },
                UpdateOptions::new(),
            )),
        ];
        let told = told(&program);
        program.start();
        let expect = |keys: i64, sum_of: fn(i64) -> i64| {
            for (i, states) in states.iter().enumerate() {
                let seen = states.take().pop().unwrap().1;
                let expected: Vec<_> = (0..keys).map(|key| (key, sum_of(key))).collect();
                assert_eq!(sorted(seen), expected, "{i}, {workers} workers");
            }
        };
        program.push(&queue, pairs(0..500));
        program.tick();
        expect(500, |_| 1);
        let before = told.recv().unwrap();
        assert_eq!(
            before.iter().map(|state| state.keys).collect::<Vec<_>>(),
            [500; 3]
        );
        assert!(
            before[0]
                .operation
                .starts_with("map_with_state at tests/it/state/bound.rs:")
        );
        assert!(
            before
                .iter()
                .all(|state| (500 * 16..64 << 10).contains(&state.bytes))
        );
        // Ten times as many keys, and updates of those that there are.
        program.push(&queue, pairs(0..5000));
        program.tick();
        assert!(states.iter().all(|states| states.take().is_empty()));
        let after = told.recv().unwrap();
        assert_eq!(
            after.iter().map(|state| state.keys).collect::<Vec<_>>(),
            [500; 3]
        );
        for (after, before) in after.iter().zip(&before) {
            assert!(after.bytes <= before.bytes, "{after:?} {before:?}");
        }
        // Those that there are have room, and some more.
        program.push(&queue, pairs(0..510));
        program.tick();
        expect(510, |key| if key < 500 { 2 } else { 1 });
        let text = full_text(&program.first_error().unwrap());
        for part in [
            "limit exceeded: map_with_state at tests/it/state/bound.rs:",
            "limit exceeded: 5000 keys would take ",
            " bytes, and state_max_bytes is 65536",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}

#[test]
fn o_8_windows_fail_that_have_a_batch_without_room_and_those_behind_are_right() {
    for workers in [1, 2] {
        let program =
            Program::with(|builder| builder.workers(workers).set("state_max_bytes", "64KiB"));
        let (queue, input) = program.queue::<(i64, i64)>();
        let (length, slide) = (3 * SECOND, SECOND);
        let sums =
            input.reduce_by_key_and_window_inverse(|a, b| a + b, |a, b| a - b, length, slide);
        let greatest = input.reduce_by_key_and_window(i64::max, length, slide);
        let windows = [watch(&sums.unwrap()), watch(&greatest.unwrap())];
        let told = told(&program);
        program.start();
        for keys in [10, 20, 5000, 30, 40, 50] {
            program.push(&queue, pairs(0..keys));
            program.tick();
        }
        for (window, counts) in windows.iter().zip([true, false]) {
            let seen = window.take();
            let times: Vec<_> = seen.iter().map(|(time, _)| *time).collect();
            assert_eq!(
                times,
                [1000, 2000, 6000],
                "without those that have the third batch"
            );
            let expected = |key: i64| match (counts, key) {
                (true, ..30) => 3,
                (true, ..40) => 2,
                _ => 1,
            };
            let expected: Vec<_> = (0..50).map(|key| (key, expected(key))).collect();
            assert_eq!(sorted(seen[2].1.clone()), expected);
        }
        let keys: Vec<_> = told.iter().take(6).map(|states| states[0].keys).collect();
        assert_eq!(keys, [10, 20, 0, 30, 40, 50]);
        let text = full_text(&program.first_error().unwrap());
        let part = "the part of the window up to 3000 ms failed: limit exceeded: 5000 keys";
        assert!(text.contains(part), "{text}");
    }
}
