//! Accumulators and broadcast variables (ACC-1, ACC-2, and F-3 for what failed
//! attempts added).

use std::sync::{Arc, Mutex};
use std::thread;

use millstream::ErrorKind;
use millstream::prelude::*;
use millstream::shared::{Accumulate, Accumulator, Broadcast, LongAccumulator};

use crate::helpers::*;

/// Adds each record and passes it on.
fn adding(sum: &LongAccumulator) -> impl Fn(i64) -> i64 + Send + Sync + 'static + use<> {
    let sum = sum.clone();
    move |x| {
        sum.add(x);
        x
    }
}

#[test]
fn acc_1_every_addition_of_every_task_counts_once() {
    for workers in [1, 2, 5] {
        let program = Program::with(|b| b.workers(workers));
        let ssc = &program.ssc;
        for (records, partitions) in [(0, 1), (1, 1), (10, 100), (20_000, 7)] {
            let sum = ssc.long_accumulator("sum");
            let mean = ssc.double_accumulator("mean");
            let all = ssc.collection_accumulator("all");
            let (add_mean, add_all) = (mean.clone(), all.clone());
            let rdd = ssc
                .parallelize(0..records, partitions)
                .map(adding(&sum))
                .map(move |x| {
                    add_mean.add(x as f64 / 2.0);
                    add_all.add(x);
                    x
                });
            assert_eq!(sum.value(), 0, "nothing runs before an action");
            assert_eq!(rdd.count().unwrap(), records as u64);
            let expected = (0..records).sum::<i64>();
            assert_eq!(sum.value(), expected);
            // Sums of halves are exact.
            assert_eq!(mean.value(), expected as f64 / 2.0);
            let mut all = all.value();
            all.sort_unstable();
            assert_eq!(all, (0..records).collect::<Vec<_>>());
        }
    }
}

#[test]
fn acc_1_the_driver_reads_what_the_action_of_its_batch_added() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let sum = program.ssc.long_accumulator("sum");
    let seen = Seen::new();
    let (add, read) = (seen.clone(), sum.clone());
    input.map(adding(&sum)).foreach_rdd(move |rdd, time| {
        let before = read.value();
        rdd.count()?;
        // In the driver: at once.
        read.add(100);
        add.add(time, (before, read.value()));
        Ok(())
    });
    program.start();
    for batch in [vec![1, 2, 3], vec![], vec![4]] {
        queue.push(program.ssc.parallelize(batch, 2));
        program.tick();
    }
    assert_eq!(
        seen.take(),
        [(1000, (0, 106)), (2000, (106, 206)), (3000, (206, 310))]
    );
    assert_eq!(sum.take(), 310);
    assert_eq!(sum.value(), 0);
}

#[test]
fn acc_1_what_is_computed_once_counts_once() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let [shuffled, narrow, cached] =
        ["shuffled", "narrow", "cached"].map(|name| program.ssc.long_accumulator(name));
    let by_key = input.map(adding(&shuffled)).map(|x| (x % 2, x));
    let sums = by_key.reduce_by_key(|a, b| a + b);
    let (one, two) = (watch(&sums), watch(&sums.count()));
    let chain = input.map(adding(&narrow));
    watch(&chain);
    watch(&chain);
    let chain = input.map(adding(&cached)).cache();
    watch(&chain);
    watch(&chain);
    program.start();
    queue.push(program.ssc.parallelize(1..=10, 3));
    program.tick();
    assert_eq!(two.take(), [(1000, vec![2])]);
    let mut sums = one.take();
    sums[0].1.sort_unstable();
    assert_eq!(sums, [(1000, vec![(0, 30), (1, 25)])]);
    assert_eq!(shuffled.value(), 55);
    assert_eq!(narrow.value(), 110, "each output runs the chain");
    assert_eq!(cached.value(), 55);
}

#[test]
fn acc_1_a_step_that_runs_for_some_records_counts_those() {
    let program = Program::new();
    let sum = program.ssc.long_accumulator("sum");
    let rdd = program.ssc.parallelize(1..=1000, 2).map(adding(&sum));
    assert_eq!(rdd.take(3).unwrap(), [1, 2, 3]);
    assert_eq!(sum.value(), 6);
}

#[test]
fn f_3_a_panic_drops_what_all_tasks_of_the_work_added() {
    for workers in [1, 2] {
        // Few records are worked on by the driver's own thread, many by all.
        for records in [10_i64, 100_000] {
            let program = Program::with(|b| b.workers(workers));
            let (queue, input) = program.queue();
            let sum = program.ssc.long_accumulator("sum");
            let all = program.ssc.collection_accumulator("all");
            let add = all.clone();
            input
                .map(adding(&sum))
                .map(move |x| {
                    add.add(x);
                    assert!(x != 7, "no sevens");
                    x
                })
                .foreach_rdd(|rdd, _| rdd.count().map(drop));
            let other = watch(&input.count());
            program.start();
            for batch in [0..records, 1000..1003] {
                queue.push(program.ssc.parallelize(batch, 4));
                program.tick();
            }
            let error = program.ssc.await_termination().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Panic);
            assert!(error.to_string().ends_with("no sevens"), "{error}");
            assert_eq!(sum.value(), 3003, "the failed batch does not count");
            let mut all = all.take();
            all.sort_unstable();
            assert_eq!(all, [1000, 1001, 1002]);
            let other = other.take();
            assert_eq!(other, [(1000, vec![records as u64]), (2000, vec![3])]);
        }
    }
}

#[test]
fn f_3_an_error_of_a_sink_drops_what_its_tasks_added() {
    let program = Program::new();
    let sent = program.ssc.long_accumulator("sent");
    let rdd = program.ssc.parallelize(0..100, 10);
    let send = |fails: bool| {
        let sent = &sent;
        rdd.for_each_partition(move |records| {
            let last = records.partition_index() == 9;
            sent.add(records.count() as i64);
            if last && fails {
                return Err(millstream::Error::from(std::io::Error::other("disk full")));
            }
            Ok(())
        })
    };
    assert!(send(true).unwrap_err().to_string().ends_with("disk full"));
    assert_eq!(sent.value(), 0);
    send(false).unwrap();
    assert_eq!(sent.value(), 100);
}

#[test]
fn f_3_the_halves_of_a_shuffle_count_each_on_its_own() {
    let program = Program::new();
    let (read, merged) = (
        program.ssc.long_accumulator("read"),
        program.ssc.long_accumulator("merged"),
    );
    let add = merged.clone();
    let rdd = program.ssc.parallelize(0..10, 2).map(adding(&read));
    let groups = rdd
        .map(|x| (0, x))
        .group_by_key_into(1)
        .map(move |(_, group)| {
            add.add(1);
            assert!(group.is_empty(), "a group has records");
        });
    groups.collect().unwrap_err();
    assert_eq!((read.value(), merged.value()), (45, 0));
    // What was computed is kept, so it is not counted again.
    groups.collect().unwrap_err();
    assert_eq!((read.value(), merged.value()), (45, 0));
}

#[test]
fn acc_1_tasks_only_add() {
    let program = Program::new();
    let sum = program.ssc.long_accumulator("errors of the day");
    let rdd = program.ssc.parallelize([1], 1);
    let read = sum.clone();
    let line = line!() + 1;
    let reading = rdd.clone().map(move |_| read.value());
    let error = reading.collect().unwrap_err().to_string();
    for part in [
        &format!("map at {}:{line}", file!()),
        "value() of the accumulator \"errors of the day\" was called inside a task",
    ] {
        assert!(error.contains(part), "{error} has not {part}");
    }
    let taking = rdd.map(move |_| sum.take());
    let error = taking.collect().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panic);
    assert!(error.to_string().contains("take() of"), "{error}");
}

#[test]
fn acc_1_threads_of_the_program_add_at_once() {
    // Each attempt would have such a thread.
    let program = Program::with(|builder| builder.set("task_max_failures", "1"));
    let sum = program.ssc.long_accumulator("sum");
    let rdd = program.ssc.parallelize([1], 1);
    let result = rdd.for_each_partition(|_| {
        thread::scope(|scope| scope.spawn(|| sum.add(5)).join()).unwrap();
        sum.add(1);
        panic!("too late for what the thread did");
    });
    assert!(result.is_err());
    assert_eq!(sum.value(), 5);
}

/// The smallest and the largest of what was added.
#[derive(Clone, Debug, PartialEq)]
struct Range {
    /// Merging a value that has this panics.
    bomb: Option<i64>,
    ends: Option<(i64, i64)>,
}

impl Accumulate for Range {
    type Input = i64;

    fn zero(&self) -> Self {
        let bomb = self.bomb;
        Self { bomb, ends: None }
    }

    fn add(&mut self, input: i64) {
        self.merge(Self {
            bomb: None,
            ends: Some((input, input)),
        });
    }

    fn merge(&mut self, other: Self) {
        let Some((low, high)) = other.ends else {
            return;
        };
        assert!(other.bomb.is_none_or(|bomb| bomb != low), "it went off");
        let (least, most) = self.ends.unwrap_or((low, high));
        self.ends = Some((least.min(low), most.max(high)));
    }
}

#[test]
fn acc_1_accumulators_of_the_program_s_own() {
    let program = Program::new();
    let initial = Range {
        bomb: None,
        ends: Some((50, 50)),
    };
    let range = program.ssc.accumulator("range", initial);
    let add = range.clone();
    let rdd = program.ssc.parallelize(-3..=100, 13);
    let rdd = rdd.map(move |x| add.add(x));
    rdd.count().unwrap();
    assert_eq!(range.name(), "range");
    assert_eq!(range.take().ends, Some((-3, 100)));
    assert_eq!(range.value().ends, None);
}

#[test]
fn acc_1_a_panic_in_a_merge_fails_the_work_and_nothing_else() {
    let program = Program::new();
    let initial = Range {
        bomb: Some(1),
        ends: None,
    };
    let range = program.ssc.accumulator("the range", initial);
    let sum = program.ssc.long_accumulator("sum");
    let add = range.clone();
    let rdd = |records: Vec<i64>| {
        let add = add.clone();
        let rdd = program.ssc.parallelize(records, 1).map(adding(&sum));
        rdd.map(move |x| add.add(x))
    };
    let error = rdd(vec![1, 2]).count().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panic);
    let text = error.to_string();
    let said = "merging into the accumulator \"the range\" panicked: it went off";
    assert!(text.ends_with(said), "{text}");
    rdd(vec![2, 3]).count().unwrap();
    assert_eq!(range.value().ends, Some((2, 3)));
    assert_eq!(sum.value(), 8, "the work itself had succeeded");
}

#[test]
fn acc_1_sums_wrap_around() {
    let sum = Accumulator::new("sum", i64::MAX);
    sum.add(1);
    assert_eq!(sum.value(), i64::MIN);
    assert_eq!(
        format!("{sum:?}"),
        "Accumulator { name: \"sum\", value: -9223372036854775808 }"
    );
}

#[test]
fn acc_2_a_broadcast_value_is_read_by_all_tasks_and_can_change_between_batches() {
    let program = Program::new();
    let (queue, input) = program.queue();
    // The variable of the driver, and what it is for each batch.
    let current = Arc::new(Mutex::new(program.ssc.broadcast(vec![10])));
    let at_batch = Arc::clone(&current);
    let scaled = input.transform(move |rdd: Rdd<i64>, _| {
        let factors: Broadcast<Vec<i64>> = at_batch.lock().expect("no panic").clone();
        Ok(rdd.flat_map(move |x| {
            let scaled: Vec<_> = factors.iter().map(|factor| factor * x).collect();
            scaled
        }))
    });
    let seen = watch(&scaled);
    program.start();
    for factors in [vec![10], vec![], vec![2, 3]] {
        *current.lock().unwrap() = program.ssc.broadcast(factors);
        queue.push(program.ssc.parallelize([1, 2], 2));
        program.tick();
    }
    assert_eq!(
        seen.take(),
        [
            (1000, vec![10, 20]),
            (2000, vec![]),
            (3000, vec![2, 3, 4, 6])
        ]
    );
}
