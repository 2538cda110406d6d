//! Inputs of the program's own that are asked (IN-15, S-2).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::collections::VecDeque;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use millstream::dstream::{InputBatch, InputSource};
use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;
use millstream::{Error, ErrorKind};

use crate::helpers::*;

/// What was called, in order.
type Calls = Arc<Mutex<Vec<String>>>;

/// A batch of these records, or none; then none for ever.
struct Script {
    batches: VecDeque<Option<Vec<u64>>>,
    calls: Calls,
}

impl InputSource<u64> for Script {
    fn start(&mut self) -> millstream::Result<()> {
        self.calls.lock().unwrap().push("start".to_owned());
        Ok(())
    }

    fn stop(&mut self) {
        self.calls.lock().unwrap().push("stop".to_owned());
    }

    fn compute(
        &mut self,
        time: BatchTime,
        batch: &mut InputBatch<'_>,
    ) -> millstream::Result<Option<Rdd<u64>>> {
        self.calls.lock().unwrap().push(time.to_string());
        let records = self.batches.pop_front().flatten();
        Ok(records.map(|records| batch.parallelize(records, 2)))
    }
}

fn script<const N: usize>(
    program: &Program,
    batches: [Option<&[u64]>; N],
) -> (DStream<u64>, Calls) {
    let calls = Calls::default();
    let source = Script {
        batches: batches
            .iter()
            .map(|batch| batch.map(<[u64]>::to_vec))
            .collect(),
        calls: Arc::clone(&calls),
    };
    (program.ssc.input_stream(source).unwrap(), calls)
}

#[test]
fn in_15_every_batch_time_is_asked_for_once_in_order() {
    let program = Program::with(|builder| builder.set("concurrent_jobs", "2"));
    let (input, calls) = script(&program, [Some(&[1, 2, 3]), Some(&[]), Some(&[4])]);
    let (one, two) = (watch_partitions(&input), watch(&input.map(|x| x * 10)));
    assert_eq!(calls.lock().unwrap()[..], [""; 0]);
    program.start();
    for _ in 0..3 {
        program.tick();
    }
    program.stop();
    let calls = calls.lock().unwrap().clone();
    assert_eq!(calls, ["start", "1000 ms", "2000 ms", "3000 ms", "stop"]);
    let mut one = one.take();
    one.sort();
    assert_eq!(
        one,
        [
            (1000, vec![vec![1], vec![2, 3]]),
            (2000, vec![vec![], vec![]]),
            (3000, vec![vec![], vec![4]]),
        ]
    );
    let mut two = two.take();
    two.sort();
    assert_eq!(
        two,
        [(1000, vec![10, 20, 30]), (2000, vec![]), (3000, vec![40])]
    );
}

#[test]
fn in_15_no_rdd_goes_through_and_no_output_runs() {
    let program = Program::new();
    let (input, _) = script(&program, [Some(&[1]), None, Some(&[3])]);
    let seen = [
        watch(&input),
        watch(&input.map(|x| x + 1).filter(|x| *x > 0)),
        watch(&input.reduce(|a, b| a + b)),
        watch(&input.cache()),
    ];
    program.start();
    for _ in 0..4 {
        program.tick();
    }
    program.stop();
    let times = |seen: &Seen<Vec<u64>>| {
        seen.take()
            .into_iter()
            .map(|(time, _)| time)
            .collect::<Vec<_>>()
    };
    for seen in &seen {
        assert_eq!(times(seen), [1000, 3000]);
    }
    program.ssc.await_termination().unwrap();
}

/// The Spark case `error_union_with_missing_batch`.
#[test]
fn in_15_an_operation_that_needs_all_parents_names_the_one_without_an_rdd() {
    let program = Program::new();
    let (a, _) = script(&program, [Some(&[1]), Some(&[2]), Some(&[3])]);
    let (b, _) = script(&program, [Some(&[1]), None, Some(&[3])]);
    let seen = watch(&a.union(&b).unwrap());
    program.start();
    for _ in 0..3 {
        program.tick();
    }
    assert_eq!(seen.take(), [(1000, vec![1, 1]), (3000, vec![3, 3])]);
    let error = program.ssc.await_termination().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Job);
    let error = error.to_string();
    assert!(error.contains("union: the parent DStream"), "{error}");
    assert!(error.contains("gave no Rdd at 2000 ms"), "{error}");
}

/// In Spark these are uses of `transform`, which needs an Rdd (TRF-20).
#[test]
fn in_15_an_operation_that_cannot_do_without_an_rdd_names_the_parent() {
    for operation in ["count", "repartition", "transform"] {
        let program = Program::new();
        let (input, _) = script(&program, [Some(&[1]), None, Some(&[3])]);
        let seen = watch(&match operation {
            "count" => input.count(),
            "repartition" => input.repartition(1),
            _ => input.transform(|rdd, _| Ok(rdd)),
        });
        program.start();
        for _ in 0..3 {
            program.tick();
        }
        let times = seen.take().into_iter().map(|(time, _)| time);
        assert_eq!(times.collect::<Vec<_>>(), [1000, 3000]);
        let error = program.ssc.await_termination().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Job);
        let error = error.to_string();
        let parent = format!("{operation}: the parent DStream");
        assert!(error.contains(&parent), "{error}");
        assert!(error.contains("gave no Rdd at 2000 ms"), "{error}");
    }
}

#[test]
fn in_15_a_window_passes_over_batches_without_an_rdd() {
    let program = Program::new();
    let (input, _) = script(&program, [Some(&[1]), None, Some(&[3]), None, None]);
    let windows = watch(&input.window(SECOND * 2, SECOND).unwrap());
    program.start();
    for _ in 0..5 {
        program.tick();
    }
    program.stop();
    let expected: [(i64, Vec<u64>); 5] = [
        (1000, vec![1]),
        (2000, vec![1]),
        (3000, vec![3]),
        (4000, vec![3]),
        (5000, vec![]),
    ];
    assert_eq!(windows.take(), expected);
}

#[test]
fn in_15_times_that_nobody_asks_for_are_asked_for_too() {
    let program = Program::new();
    let (input, calls) = script(&program, [Some(&[1]), Some(&[2]), Some(&[3])]);
    let (_queue, other) = program.queue::<u64>();
    let _other = watch(&other);
    program.start();
    for _ in 0..3 {
        program.tick();
    }
    program.stop();
    let calls = calls.lock().unwrap().clone();
    assert_eq!(calls, ["start", "1000 ms", "2000 ms", "3000 ms", "stop"]);
    drop(input);
}

#[test]
fn in_15_errors_and_panics_fail_one_batch() {
    struct Failing;
    impl InputSource<u64> for Failing {
        fn compute(
            &mut self,
            time: BatchTime,
            batch: &mut InputBatch<'_>,
        ) -> millstream::Result<Option<Rdd<u64>>> {
            match time.as_millis() {
                1000 => Err(Error::illegal_state("no offsets")),
                2000 => panic!("no luck"),
                time => Ok(Some(batch.parallelize([time as u64], 1))),
            }
        }

        fn stop(&mut self) {
            panic!("it will not");
        }
    }
    let program = Program::new();
    let errors = Errors::of(&program);
    let seen = watch(&program.ssc.input_stream(Failing).unwrap());
    program.start();
    for _ in 0..3 {
        program.tick();
    }
    program.stop();
    assert_eq!(seen.take(), [(3000, vec![3000])]);
    let errors: Vec<_> = errors.0.iter().take(3).collect();
    let first = errors[0].as_deref().unwrap();
    assert!(
        first.contains("illegal state: no offsets (stream Input stream [0], batch 1000 ms, "),
        "{first}"
    );
    assert!(
        first.contains("declared at tests/it/input_source.rs:"),
        "{first}"
    );
    let second = errors[1].as_deref().unwrap();
    assert!(second.contains("the input panicked: no luck"), "{second}");
    assert_eq!(errors[2], None);
}

/// The error of each batch.
struct Errors(mpsc::Receiver<Option<String>>);

impl Errors {
    fn of(program: &Program) -> Self {
        struct Tell(mpsc::Sender<Option<String>>);
        impl StreamingListener for Tell {
            fn on_batch_completed(&self, batch: &BatchInfo) {
                let _ = self.0.send(batch.error().map(ToString::to_string));
            }
        }
        let (send, receive) = mpsc::channel();
        program.ssc.add_listener(Tell(send));
        Self(receive)
    }
}

#[test]
fn in_15_a_source_that_cannot_start_stops_those_before_it() {
    struct Refusing(bool);
    impl InputSource<u64> for Refusing {
        fn start(&mut self) -> millstream::Result<()> {
            assert!(!self.0, "odd");
            Err(Error::illegal_state("no connection"))
        }

        fn compute(
            &mut self,
            _: BatchTime,
            _: &mut InputBatch<'_>,
        ) -> millstream::Result<Option<Rdd<u64>>> {
            Ok(None)
        }
    }
    for panics in [false, true] {
        let program = Program::new();
        let (first, calls) = script(&program, []);
        let _first = watch(&first);
        let _other = watch(&program.ssc.input_stream(Refusing(panics)).unwrap());
        let error = program.ssc.start().unwrap_err().to_string();
        let expected = if panics {
            "panic: starting the input panicked: odd (stream Input stream [1], "
        } else {
            "illegal state: no connection (stream Input stream [1], "
        };
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(calls.lock().unwrap()[..], ["start", "stop"]);
    }
}

#[test]
fn in_15_what_a_source_tells_comes_with_the_completed_batch() {
    struct Telling;
    impl InputSource<u64> for Telling {
        fn compute(
            &mut self,
            time: BatchTime,
            batch: &mut InputBatch<'_>,
        ) -> millstream::Result<Option<Rdd<u64>>> {
            if time == at(1000) {
                batch.set_num_records(7);
                batch.describe("offsets 0 to 7");
            }
            Ok(Some(batch.parallelize(0..5, 2)))
        }
    }
    struct Tell(mpsc::Sender<(u64, String)>);
    impl StreamingListener for Tell {
        fn on_batch_submitted(&self, batch: &BatchInfo) {
            assert_eq!(batch.num_records(), 0);
        }

        fn on_batch_completed(&self, batch: &BatchInfo) {
            let input = &batch.inputs[1];
            let _ = self.0.send((input.num_records, input.description.clone()));
        }
    }
    let program = Program::new();
    let (_queue, _other) = program.queue::<u64>();
    let (send, receive) = mpsc::channel();
    program.ssc.add_listener(Tell(send));
    let _seen = watch(&program.ssc.input_stream(Telling).unwrap());
    program.start();
    program.tick();
    program.tick();
    program.stop();
    let told: Vec<_> = receive.iter().take(2).collect();
    assert_eq!(told, [(7, "offsets 0 to 7".to_owned()), (5, String::new())]);
}

#[test]
fn in_15_a_context_that_goes_away_stops_its_sources() {
    let program = Program::new();
    let (input, calls) = script(&program, [Some(&[1])]);
    let _seen = watch(&input);
    program.start();
    program.tick();
    drop(program);
    assert_eq!(calls.lock().unwrap()[..], ["start", "1000 ms", "stop"]);
    // It is too late to ask.
    let error = input.slice(at(2000), at(2000)).map(|rdds| rdds.len());
    assert_eq!(error.unwrap(), 1);

    let program = Program::new();
    let (input, calls) = script(&program, []);
    let _seen = watch(&input);
    drop(program);
    assert_eq!(calls.lock().unwrap()[..], [""; 0], "it never ran");
}
