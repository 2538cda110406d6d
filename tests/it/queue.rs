//! Queue and constant inputs (IN-10, IN-11).

use millstream::prelude::*;

use crate::helpers::*;

/// The batches of the Spark case `queue_*`: what is pushed before each of the
/// first four seconds.
const PUSHED: [&[&[u64]]; 4] = [&[&[1, 2], &[3]], &[&[4]], &[], &[&[5], &[6], &[7]]];

fn partitions(one_at_a_time: bool, default: Option<&[u64]>) -> Vec<Vec<Vec<u64>>> {
    let program = Program::new();
    let queue = RddQueue::new();
    let default = default.map(|records| program.ssc.parallelize(records.to_vec(), 2));
    let input = program
        .ssc
        .queue_stream_with(&queue, one_at_a_time, default)
        .expect("not started");
    let seen = watch_partitions(&input);
    program.start();
    for second in 0..8 {
        for rdd in PUSHED.get(second).copied().unwrap_or_default() {
            queue.push(program.ssc.parallelize(rdd.to_vec(), 2));
        }
        program.tick();
    }
    program.stop();
    let seen = seen.take();
    let times: Vec<_> = seen.iter().map(|(time, _)| *time).collect();
    assert_eq!(times, (1..=8).map(|s| s * 1000).collect::<Vec<_>>());
    seen.into_iter().map(|(_, records)| records).collect()
}

#[test]
fn in_10_one_rdd_per_batch_and_the_rest_waits() {
    let none: Vec<Vec<u64>> = vec![vec![]];
    assert_eq!(
        partitions(true, None),
        [
            vec![vec![1], vec![2]],
            vec![vec![], vec![3]],
            vec![vec![], vec![4]],
            vec![vec![], vec![5]],
            vec![vec![], vec![6]],
            vec![vec![], vec![7]],
            none.clone(),
            none,
        ]
    );
}

#[test]
fn in_10_all_that_wait_as_one_batch() {
    let none: Vec<Vec<u64>> = vec![vec![]];
    assert_eq!(
        partitions(false, None),
        [
            vec![vec![1], vec![2], vec![], vec![3]],
            vec![vec![], vec![4]],
            none.clone(),
            vec![vec![], vec![5], vec![], vec![6], vec![], vec![7]],
            none.clone(),
            none.clone(),
            none.clone(),
            none,
        ]
    );
}

#[test]
fn in_10_a_default_stands_in_for_an_empty_queue() {
    let batches = partitions(true, Some(&[0, 0]));
    assert_eq!(batches[5], [vec![], vec![7]]);
    assert_eq!(batches[6..], [[[0], [0]], [[0], [0]]]);
    let batches = partitions(false, Some(&[0]));
    assert_eq!(batches[2], [vec![], vec![0]]);
}

#[test]
fn in_10_a_queue_has_many_handles_and_tells_its_length() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let seen = watch(&input);
    let other = queue.clone();
    other.push(program.ssc.parallelize([1], 1));
    other.push(program.ssc.parallelize([2], 1));
    assert_eq!((queue.len(), queue.is_empty()), (2, false));
    program.start();
    program.tick();
    assert_eq!(queue.len(), 1);
    program.tick();
    assert!(other.is_empty());
    assert_eq!(seen.take(), [(1000, vec![1]), (2000, vec![2])]);
}

#[test]
fn in_10_two_inputs_share_a_queue() {
    let program = Program::new();
    let (queue, one) = program.queue();
    let two = program.ssc.queue_stream(&queue).unwrap();
    let (one, two) = (watch(&one), watch(&two));
    for x in 1..=4 {
        queue.push(program.ssc.parallelize([x], 1));
    }
    program.start();
    program.tick();
    program.tick();
    assert_eq!(one.take(), [(1000, vec![1]), (2000, vec![3])]);
    assert_eq!(two.take(), [(1000, vec![2]), (2000, vec![4])]);
}

#[test]
fn in_11_a_constant_input_gives_the_same_in_every_batch() {
    let program = Program::new();
    let rdd = program.ssc.parallelize([1, 2, 3], 2);
    let seen = watch_partitions(&program.ssc.constant_stream(rdd).unwrap());
    program.start();
    program.tick();
    program.tick();
    // It waits for nothing, so a graceful stop does not run it again.
    program.stop();
    let both = vec![vec![1], vec![2, 3]];
    assert_eq!(seen.take(), [(1000, both.clone()), (2000, both)]);
}
