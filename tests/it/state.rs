//! State by key (STA) and the checked vectors of Spark (S-24).

use millstream::prelude::*;
use millstream::{ErrorKind, UpdateOptions};

use crate::helpers::*;

type Pairs = Vec<(&'static str, i64)>;

/// The running sum of each key, as long as it has data in each batch.
fn sum_while_data(new: &[i64], old: Option<&i64>) -> Option<i64> {
    (!new.is_empty()).then(|| old.copied().unwrap_or_default() + new.iter().sum::<i64>())
}

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

/// Counts the records of a key; a time-out gives -1.
fn count(key: &'static str, one: Option<i64>, state: &mut State<'_, i64>) -> (&'static str, i64) {
    if one.is_none() {
        assert!(state.is_timing_out());
        return (key, -*state.get());
    }
    let sum = state.get_option().copied().unwrap_or_default() + 1;
    state.update(sum);
    (key, sum)
}

#[test]
fn s_24_map_with_state_times_out_in_the_first_batch_that_is_due() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let counts = input.map_with_state(
        StateSpec::function(count)
            .timeout(2 * SECOND)
            .num_partitions(1),
    );
    let (mapped, states) = (watch(&counts), watch(&counts.state_snapshots()));
    program.start();
    for batch in [
        vec![("a", 1), ("b", 1)],
        vec![("a", 1)],
        vec![("a", 1)],
        vec![("a", 1)],
        vec![("a", 1)],
    ] {
        queue.push(program.ssc.parallelize(batch, 1));
        program.tick();
    }
    program.stop();
    assert_eq!(
        mapped.take(),
        [
            (1000, vec![("a", 1), ("b", 1)]),
            (2000, vec![("a", 2)]),
            (3000, vec![("a", 3)]),
            (4000, vec![("a", 4), ("b", -1)]),
            (5000, vec![("a", 5)]),
        ]
    );
    assert_eq!(
        states.take(),
        [
            (1000, vec![("a", 1), ("b", 1)]),
            (2000, vec![("a", 2), ("b", 1)]),
            (3000, vec![("a", 3), ("b", 1)]),
            (4000, vec![("a", 4)]),
            (5000, vec![("a", 5)]),
        ]
    );
}
