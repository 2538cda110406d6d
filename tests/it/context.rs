//! Initializing a context, its life, and the jobs of its batches (CTX, S-1,
//! S-13, S-14).

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::thread;

use millstream::listener::{SkippedBatchInfo, StreamingListener};
use millstream::prelude::*;
use millstream::time::{Clock, ManualClock, WaitResult, Wake};
use millstream::{ErrorKind, StreamingContextState};

use crate::helpers::*;

#[test]
fn ctx_5_parallelism_is_that_of_the_workers() {
    for (program, partitions) in [
        (Program::with(|b| b.workers(3)), 3),
        (Program::with(|b| b.set("spark.master", "local[4]")), 4),
        (Program::with(|b| b.workers(3).default_parallelism(2)), 2),
    ] {
        let (_queue, input) = program.queue::<u64>();
        let seen = watch_partitions(&input.count_by_value());
        program.start();
        program.tick();
        assert_eq!(seen.take(), [(1000, vec![vec![]; partitions])]);
    }
}

#[test]
fn ctx_6_the_batch_interval_is_needed_and_checked() {
    let builder = || StreamingContext::builder().ignore_environment();
    let error = builder().build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("batch_interval"), "{error}");
    for wrong in [Duration::ZERO, Duration::from_micros(1500)] {
        assert!(builder().batch_interval(wrong).build().is_err());
    }
    let ssc = builder().batch_interval(SECOND).build().unwrap();
    assert_eq!(ssc.batch_interval(), SECOND);
}

#[test]
fn ctx_7_batch_times_and_durations_calculate() {
    let zero = at(500);
    assert_eq!(zero + 2 * SECOND, at(2500));
    assert_eq!(at(2499).floor_from(zero, SECOND), at(1500));
    let times: Vec<_> = at(1000).through(at(3000), SECOND).collect();
    assert_eq!(times, [at(1000), at(2000), at(3000)]);
}

#[test]
fn s_1_batch_times_stand_on_the_grid_of_the_epoch() {
    for (now, zero) in [
        (10_350, 10_000),
        (10_000, 10_000),
        (9_999, 9_000),
        (-1, -1000),
    ] {
        let program = Program::starting_at(now, |b| b);
        let (_queue, input) = program.queue::<u64>();
        let seen = watch(&input);
        assert_eq!(program.ssc.zero_time(), None);
        program.start();
        assert_eq!(program.ssc.zero_time(), Some(at(zero)));
        // Late by two batches and a half: all fire, in order, under their names.
        program.clock.set(at(zero + 3500));
        program.ssc.await_batch(at(zero + 3000));
        let times: Vec<_> = seen.take().into_iter().map(|(time, _)| time).collect();
        assert_eq!(times, [zero + 1000, zero + 2000, zero + 3000]);
    }
}

#[test]
fn s_1_intervals_that_no_second_divides() {
    let program = Program::with(|b| b.batch_interval(Duration::from_millis(7)));
    let (_queue, input) = program.queue::<u64>();
    let seen = watch(&input);
    program.start();
    program.clock.set(at(30));
    program.ssc.await_batch(at(28));
    let times: Vec<_> = seen.take().into_iter().map(|(time, _)| time).collect();
    assert_eq!(times, [7, 14, 21, 28]);
}

#[test]
fn ctx_8_states_go_forward_only() {
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    watch(&input);
    assert_eq!(program.ssc.state(), StreamingContextState::Initialized);
    program.start();
    assert_eq!(program.ssc.state(), StreamingContextState::Active);
    program.stop();
    let error = program.ssc.start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IllegalState);
    assert!(error.to_string().contains("stopped already"), "{error}");
}

/// What is said when something is added that may not be.
#[track_caller]
fn refused(add: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(add));
    *panic
        .expect_err("nothing can be added now")
        .downcast::<String>()
        .expect("a panic with a text")
}

#[test]
fn ctx_8_nothing_is_added_after_the_start() {
    for stopped in [false, true] {
        let program = Program::new();
        let (queue, input) = program.queue::<u64>();
        watch(&input);
        program.start();
        let text = if stopped {
            program.stop();
            "outputs after stopping a context is not supported"
        } else {
            "outputs after starting a context is not supported"
        };
        let text = text.replace("outputs", "inputs, transformations and output operations");
        let ssc = &program.ssc;
        let rdd = ssc.parallelize([1], 1);
        for error in [
            ssc.queue_stream(&queue).unwrap_err(),
            ssc.constant_stream(rdd).unwrap_err(),
            ssc.union([input.clone()]).unwrap_err(),
            input.union(&input).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::IllegalState);
            let error = error.to_string();
            assert!(error.contains(&text), "{error}");
            assert!(error.contains("declared at tests/it/context.rs"), "{error}");
        }
        for said in [
            refused(|| drop(input.count())),
            refused(|| drop(input.map(|x| (x, x)).group_by_key())),
            refused(|| drop(input.transform(|rdd, _| Ok(rdd)))),
            refused(|| drop(input.filter(|_| true).boxed())),
            refused(|| input.print()),
            refused(|| input.foreach_rdd(|_, _| Ok(()))),
            refused(|| input.save_as_text_files("no", "where")),
        ] {
            assert!(said.contains(&text), "{said}");
            assert!(said.contains("declared at tests/it/context.rs"), "{said}");
        }
    }
}

#[test]
fn ctx_8_nothing_is_added_to_a_context_that_is_gone() {
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    drop(program);
    let said = refused(|| input.print());
    assert!(said.contains("after stopping"), "{said}");
}

#[test]
fn ctx_9_no_output_operations() {
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    let _unused = input.count();
    let error = program.ssc.start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IllegalState);
    let text = error.to_string();
    assert!(text.contains("nothing to execute"), "{text}");
    // The program can be mended.
    assert_eq!(program.ssc.state(), StreamingContextState::Initialized);
    watch(&input);
    program.start();
}

#[test]
fn ctx_9_a_second_start_does_nothing() {
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    let seen = watch(&input);
    program.start();
    program.start();
    program.tick();
    assert_eq!(seen.take(), [(1000, vec![])], "one batch, not two");
}

#[test]
fn ctx_10_contexts_run_side_by_side() {
    let (one, two) = (Program::new(), Program::new());
    let (queue, input) = one.queue();
    let (other_queue, other_input) = two.queue();
    let (seen, other_seen) = (watch(&input), watch(&other_input));
    one.start();
    two.start();
    queue.push(one.ssc.parallelize([1], 1));
    other_queue.push(two.ssc.parallelize([2], 1));
    one.tick();
    two.tick();
    one.stop();
    two.tick();
    assert_eq!(seen.take(), [(1000, vec![1])]);
    assert_eq!(other_seen.take(), [(1000, vec![2]), (2000, vec![])]);
}

#[test]
fn ctx_10_one_active_context() {
    in_own_process("context::ctx_10_one_active_context", || {
        let program = || {
            let program = Program::with(|b| b.set("one_active_context", "true"));
            let (_queue, input) = program.queue::<u64>();
            watch(&input);
            program
        };
        let (one, two, three) = (program(), program(), program());
        let line = line!() + 1;
        one.ssc.start().unwrap();
        let error = two.ssc.start().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IllegalState);
        let text = error.to_string();
        let place = format!("started at {}:{line}", file!());
        assert!(text.contains(&place), "{text} has not {place}");
        one.stop();
        three.start();
        drop(three);
        let four = program();
        four.start();
    });
}

#[test]
fn ctx_16_the_active_context() {
    in_own_process("context::ctx_16_the_active_context", || {
        assert!(StreamingContext::active().is_none());
        let program = |name| {
            let program = Program::with(|b| b.app_name(name));
            let (_queue, input) = program.queue::<u64>();
            watch(&input);
            program
        };
        let name = |ssc: StreamingContext| ssc.conf().app_name.clone();
        let active = || StreamingContext::active().map(name);
        let (one, two) = (program("one"), program("two"));
        let made = || StreamingContext::active_or_create(|| Ok(program("made").ssc)).unwrap();
        assert_eq!(name(made()), "made");
        one.start();
        assert_eq!(active().as_deref(), Some("one"));
        assert_eq!(name(made()), "one");
        two.start();
        assert_eq!(active().as_deref(), Some("two"));
        two.stop();
        assert_eq!(active().as_deref(), Some("one"));
        drop(one);
        assert_eq!(active(), None);
        let error =
            StreamingContext::active_or_create(|| Err(millstream::Error::invalid_argument("no")));
        assert_eq!(error.unwrap_err().to_string(), "invalid argument: no");
    });
}

#[test]
fn ctx_11_await_termination() {
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    watch(&input);
    program.start();
    let ssc = &program.ssc;
    let limit = Duration::ZERO;
    assert!(!ssc.await_termination_or_timeout(limit).unwrap());
    thread::scope(|scope| {
        let waiter = scope.spawn(|| ssc.await_termination());
        program.stop();
        waiter.join().unwrap().unwrap();
    });
    assert!(ssc.await_termination_or_timeout(limit).unwrap());
}

#[test]
fn ctx_11_the_first_error_comes_out_again_and_again() {
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    input.foreach_rdd(|_, time| Err(millstream::Error::invalid_argument(format!("at {time}"))));
    program.start();
    program.tick();
    program.tick();
    let ssc = &program.ssc;
    for _ in 0..2 {
        let error = ssc.await_termination().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Job);
        assert!(error.to_string().ends_with("invalid argument: at 1000 ms"));
        assert!(ssc.await_termination_or_timeout(SECOND).is_err());
    }
    program.stop();
    assert!(ssc.await_termination().is_err());
}

#[test]
fn ctx_12_stopping_twice_or_before_the_start_is_no_error() {
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    watch(&input);
    program.stop();
    program.stop();
    program.ssc.stop(false).unwrap();
    program.ssc.await_termination().unwrap();
    assert!(program.ssc.start().is_err());
}

#[test]
fn s_14_a_graceful_stop_processes_what_waits() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let seen = watch(&input);
    program.start();
    for x in 1..=3 {
        queue.push(program.ssc.parallelize([x], 1));
    }
    program.tick();
    program.stop();
    // The rest at once, under the next times of the grid.
    assert_eq!(
        seen.take(),
        [(1000, vec![1]), (2000, vec![2]), (3000, vec![3])]
    );
}

#[test]
fn s_14_a_stop_that_is_not_graceful_leaves_what_waits() {
    let program = Program::new();
    let (queue, input) = program.queue();
    let seen = watch(&input);
    program.start();
    for x in 1..=3 {
        queue.push(program.ssc.parallelize([x], 1));
    }
    program.tick();
    program.ssc.stop(false).unwrap();
    assert_eq!(seen.take(), [(1000, vec![1])]);
    assert_eq!(queue.len(), 2);
}

#[test]
fn s_14_a_failed_batch_does_not_hold_up_a_graceful_stop() {
    let program = Program::new();
    let (queue, input) = program.queue::<u64>();
    input.foreach_rdd(|_, _| panic!("no"));
    program.start();
    queue.push(program.ssc.parallelize([1], 1));
    program.stop();
}

#[test]
fn s_14_a_second_stop_waits_for_the_first() {
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    let (open, gate) = channel::<()>();
    let (gate, done) = (Mutex::new(gate), Arc::new(AtomicBool::new(false)));
    let ended = Arc::clone(&done);
    input.foreach_rdd(move |_, _| {
        let _ = gate.lock().unwrap().recv();
        ended.store(true, SeqCst);
        Ok(())
    });
    program.start();
    program.cut();
    let ssc = &program.ssc;
    thread::scope(|scope| {
        scope.spawn(|| ssc.stop(true).unwrap());
        while ssc.state() != StreamingContextState::Stopped {
            thread::yield_now();
        }
        // The first stop is waiting for the job.
        assert!(!ssc.await_termination_or_timeout(Duration::ZERO).unwrap());
        scope.spawn(move || drop(open));
        ssc.stop(true).unwrap();
        assert!(done.load(SeqCst));
        ssc.await_termination().unwrap();
    });
}

/// A clock that puts something into a queue whenever a batch is cut.
#[derive(Clone)]
struct Filling {
    clock: ManualClock,
    queue: RddQueue<u64>,
    rdd: Arc<OnceLock<Rdd<u64>>>,
}

impl fmt::Debug for Filling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filling")
    }
}

impl Clock for Filling {
    fn now_nanos(&self) -> i64 {
        if let Some(rdd) = self.rdd.get() {
            self.queue.push(rdd.clone());
        }
        self.clock.now_nanos()
    }

    fn wait_until(&self, deadline_nanos: i64, wake: &Wake) -> WaitResult {
        self.clock.wait_until(deadline_nanos, wake)
    }
}

#[test]
fn s_14_a_graceful_stop_gives_up_on_a_source_that_never_ends() {
    let clock = Filling {
        clock: ManualClock::new(0),
        queue: RddQueue::new(),
        rdd: Arc::default(),
    };
    let set = |b: millstream::StreamingContextBuilder| {
        b.clock(clock.clone()).set("graceful_stop_timeout", "1ms")
    };
    let program = Program::with(set);
    let input = program.ssc.queue_stream(&clock.queue).unwrap();
    input.foreach_rdd(|_, _| Ok(()));
    program.start();
    let rdd = program.ssc.parallelize([1], 1);
    clock.queue.push(rdd.clone());
    clock.rdd.set(rdd).unwrap();
    let error = program.ssc.stop(true).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    let error = error.to_string();
    assert!(error.contains("graceful stop: 1ms ran out"), "{error}");
    assert!(error.contains("what Queue stream [0] still has"), "{error}");
    assert_eq!(program.ssc.state(), StreamingContextState::Stopped);
    program.ssc.await_termination().unwrap();
}

/// A clock on which nobody can wait.
#[derive(Debug)]
struct Broken;

impl Clock for Broken {
    fn now_nanos(&self) -> i64 {
        0
    }

    fn wait_until(&self, _: i64, _: &Wake) -> WaitResult {
        panic!("the clock is broken");
    }
}

#[test]
fn ctx_11_a_panic_of_the_generator_comes_out() {
    let program = Program::with(|b| b.clock(Broken));
    let (_, input) = program.queue::<u64>();
    input.foreach_rdd(|_, _| Ok(()));
    program.start();
    let error = program.ssc.await_termination().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panic);
    assert!(
        error.to_string().contains("the batch generator panicked"),
        "{error}"
    );
    program.stop();
}

#[test]
fn ctx_12_stop_is_refused_on_a_thread_of_the_context() {
    let program = Program::new();
    let (queue, input) = program.queue::<u64>();
    let seen = Seen::new();
    let hold = Arc::new(Mutex::new(Some(program.ssc.clone())));
    {
        let (add, hold) = (seen.clone(), Arc::clone(&hold));
        input.foreach_rdd(move |rdd, time| {
            let hold = hold.lock().unwrap().take();
            let ssc = hold.as_ref().unwrap();
            let stop = || ssc.stop(true).err().map(|error| error.kind());
            add.add(time, stop());
            rdd.for_each_partition(|_| {
                add.add(time, stop());
                Ok(())
            })
        });
    }
    program.start();
    queue.push(program.ssc.parallelize([1], 1));
    program.tick();
    let refused = (1000, Some(ErrorKind::IllegalState));
    assert_eq!(seen.take(), [refused, refused]);
    assert_eq!(program.ssc.state(), StreamingContextState::Active);
    program.stop();
}

#[test]
fn s_13_jobs_run_in_order() {
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    let seen = Seen::new();
    for output in 0..3 {
        let add = seen.clone();
        input.foreach_rdd(move |_, time| {
            add.add(time, output);
            Ok(())
        });
    }
    program.start();
    program.clock.advance(2 * SECOND);
    program.ssc.await_batch(at(2000));
    let order = [
        (1000, 0),
        (1000, 1),
        (1000, 2),
        (2000, 0),
        (2000, 1),
        (2000, 2),
    ];
    assert_eq!(seen.take(), order);
}

#[test]
fn s_13_concurrent_jobs_overlap_and_lose_nothing() {
    let program = Program::with(|b| b.set("concurrent_jobs", "2"));
    let (queue, input) = program.queue();
    let shared = input.map(|x: u64| (x % 10, x)).reduce_by_key(|a, b| a + b);
    // Each waits for the other in every batch.
    let meet = Arc::new(Barrier::new(2));
    let seen = [Seen::new(), Seen::new()];
    for seen in &seen {
        let (add, meet) = (seen.clone(), Arc::clone(&meet));
        shared.foreach_rdd(move |rdd, time| {
            meet.wait();
            let mut sums = rdd.collect()?;
            sums.sort_unstable();
            add.add(time, sums);
            Ok(())
        });
    }
    program.start();
    let expected: Vec<_> = (1..=20)
        .map(|n| {
            queue.push(program.ssc.parallelize(0..n * 10, 4));
            let sums = |key| (0..n * 10).filter(|x| x % 10 == key).sum::<u64>();
            let sums = (0..10).map(|key| (key, sums(key))).collect::<Vec<_>>();
            (n as i64 * 1000, sums)
        })
        .collect();
    program.clock.advance(20 * SECOND);
    program.ssc.await_batch(at(20_000));
    for seen in seen {
        let mut seen = seen.take();
        seen.sort();
        assert_eq!(seen, expected);
    }
}

/// Is told of times without a cut.
struct Skipped(Seen<usize>);

impl StreamingListener for Skipped {
    fn on_batch_skipped(&self, skipped: &SkippedBatchInfo) {
        self.0.add(skipped.batch_time, skipped.queued_batches);
    }
}

#[test]
fn o_5_max_queued_batches_skips_cuts_and_loses_nothing() {
    let program = Program::with(|b| b.set("max_queued_batches", "2"));
    let queue = RddQueue::new();
    let all = program.ssc.queue_stream_with(&queue, false, None).unwrap();
    let (open, gate) = sync_channel::<()>(0);
    let gate = Mutex::new(gate);
    let skipped = Seen::new();
    program.ssc.add_listener(Skipped(skipped.clone()));
    let seen = Seen::new();
    let add = seen.clone();
    all.foreach_rdd(move |rdd, time| {
        let _ = gate.lock().unwrap().recv();
        add.add(time, rdd.collect()?);
        Ok(())
    });
    program.start();
    for second in 1..=5 {
        queue.push(program.ssc.parallelize([second], 1));
        program.cut();
    }
    assert_eq!(queue.len(), 3, "two batches are queued, the rest waits");
    // From now on nothing holds up a job.
    drop(open);
    program.ssc.await_batch(at(5000));
    assert_eq!(seen.take(), [(1000, vec![1]), (2000, vec![2])]);
    program.tick();
    assert_eq!(seen.take(), [(6000, vec![3, 4, 5])]);
    program.stop();
    assert_eq!(skipped.take(), [(3000, 2), (4000, 2), (5000, 2)]);
}

#[test]
fn a_drop_that_panics_does_not_end_the_jobs() {
    #[derive(Clone)]
    struct Bomb(bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(!self.0, "boom");
        }
    }
    let program = Program::new();
    let (queue, input) = program.queue();
    let seen = Seen::new();
    let add = seen.clone();
    input.foreach_rdd(move |_, time| {
        add.add(time, ());
        Ok(())
    });
    program.start();
    queue.push(program.ssc.parallelize([Bomb(true)], 1));
    program.tick();
    program.tick();
    assert_eq!(seen.take(), [(1000, ()), (2000, ())]);
    let error = program.ssc.await_termination().unwrap_err().to_string();
    assert!(
        error.contains("dropping old batches panicked: boom"),
        "{error}"
    );
    program.stop();
}
