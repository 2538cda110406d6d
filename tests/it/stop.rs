//! Stops that meet something which does not end (S-14, F-22, F-29, G-15).

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use millstream::ErrorKind;
use millstream::StreamingContextState::{Active, Stopped};
use millstream::dstream::{InputBatch, InputSource};
use millstream::id::OutputId;
use millstream::listener::{BatchInfo, StreamingListener, StuckBatchInfo};
use millstream::prelude::*;

use crate::helpers::*;

/// A place where a thread of the context is held until the test lets go.
struct Hold {
    entered: Mutex<Sender<()>>,
    release: Mutex<Receiver<()>>,
}

/// The test's side of a [`Hold`]; dropping it lets go.
struct Grip {
    entered: Receiver<()>,
    _release: Sender<()>,
}

impl Hold {
    fn new() -> (Self, Grip) {
        let (enter, entered) = channel();
        let (_release, release) = channel();
        let hold = Self {
            entered: Mutex::new(enter),
            release: Mutex::new(release),
        };
        (hold, Grip { entered, _release })
    }

    fn here(&self) {
        // Nobody may be left to hear it.
        let _ = self.entered.lock().map(|enter| enter.send(()));
        let _ = self.release.lock().map(|release| release.recv());
    }
}

impl StreamingListener for Hold {
    fn on_batch_submitted(&self, _: &BatchInfo) {
        self.here();
    }
}

/// A program whose first output is held in every batch, and where it stands.
fn held(settings: &[(&str, &str)]) -> (Program, RddQueue<u64>, Grip, u32) {
    let program = Program::with(|builder| {
        let set = |b: millstream::StreamingContextBuilder, &(key, value): &(&str, &str)| {
            b.set(key, value)
        };
        settings.iter().fold(builder, set)
    });
    let (queue, input) = program.queue::<u64>();
    let (hold, grip) = Hold::new();
    let line = line!() + 1;
    input.foreach_rdd(move |_, _| {
        hold.here();
        Ok(())
    });
    (program, queue, grip, line)
}

const SHORT: &[(&str, &str)] = &[("graceful_stop_timeout", "1s"), ("stop_timeout", "500ms")];

fn running(line: u32) -> String {
    let file = file!();
    format!("output operation 0 (foreach_rdd at {file}:{line}) of the batch 1000 ms")
}

#[test]
fn s_14_a_stop_names_the_job_that_does_not_end() {
    let (program, _queue, grip, line) = held(SHORT);
    program.start();
    program.cut();
    grip.entered.recv().unwrap();
    program.cut();
    let error = program.ssc.stop(false).unwrap_err();
    assert!(error.is_timeout());
    let text = format!(
        "timed out: stop: 500ms ran out; left running: {}",
        running(line)
    );
    assert_eq!(error.to_string(), text);
    assert_eq!(program.ssc.state(), Stopped);
    program.ssc.await_termination().unwrap();
    program.ssc.stop(false).unwrap();
    drop(grip);
}

#[test]
fn s_14_a_graceful_stop_names_what_was_not_processed() {
    let (program, queue, grip, line) = held(SHORT);
    program.start();
    program.cut();
    grip.entered.recv().unwrap();
    for n in 2..5 {
        queue.push(program.ssc.parallelize(0..n, 1));
    }
    program.cut();
    let error = program.ssc.stop(true).unwrap_err().to_string();
    let text = format!(
        "timed out: graceful stop: 1s ran out; left running: {}; not processed: batches that \
         waited (3 with 9 records, the oldest of 2000 ms)",
        running(line)
    );
    assert_eq!(error, text);
    assert!(queue.is_empty(), "all was cut");
}

/// The graceful time runs out, but the job that was running then ends.
#[test]
fn s_14_what_ends_late_was_processed_all_the_same() {
    let late = [("graceful_stop_timeout", "1ms"), ("stop_timeout", "1h")];
    let (program, _queue, grip, _) = held(&late);
    program.start();
    program.cut();
    grip.entered.recv().unwrap();
    let ssc = &program.ssc;
    thread::scope(|scope| {
        let stop = scope.spawn(|| ssc.stop(true));
        while ssc.state() != Stopped {
            thread::yield_now();
        }
        drop(grip);
        stop.join().unwrap().unwrap();
    });
}

#[test]
fn f_29_a_listener_that_does_not_return_is_named() {
    for graceful in [false, true] {
        let program = Program::with(|b| b.set("stop_timeout", "500ms"));
        let (_queue, input) = program.queue::<u64>();
        let seen = watch(&input);
        let (hold, grip) = Hold::new();
        program.ssc.add_listener(hold);
        program.start();
        program.tick();
        grip.entered.recv().unwrap();
        let error = program.ssc.stop(graceful).unwrap_err().to_string();
        let text = "left running: the listener it::stop::Hold (2 events wait)";
        assert!(error.ends_with(text), "{error}");
        assert_eq!(seen.take(), [(1000, vec![])]);
        program.ssc.await_termination().unwrap();
        drop(grip);
    }
}

#[test]
fn f_29_an_input_whose_stop_does_not_return_is_named() {
    struct Endless(Hold);
    impl InputSource<u64> for Endless {
        fn stop(&mut self) {
            self.0.here();
        }
        fn compute(
            &mut self,
            _: BatchTime,
            batch: &mut InputBatch<'_>,
        ) -> millstream::Result<Option<Rdd<u64>>> {
            Ok(Some(batch.parallelize([7], 1)))
        }
    }
    let program = Program::with(|b| b.set("stop_timeout", "500ms"));
    let (hold, grip) = Hold::new();
    let seen = watch(&program.ssc.input_stream(Endless(hold)).unwrap());
    program.start();
    program.tick();
    let error = program.ssc.stop(true).unwrap_err().to_string();
    let text = "ran out; left running: the stop of the input Input stream [0]";
    assert!(error.ends_with(text), "{error}");
    assert_eq!(seen.take(), [(1000, vec![7])]);
    drop(grip);
}

#[test]
fn f_29_a_stop_in_a_listener_is_refused() {
    struct Stopping(
        Arc<OnceLock<StreamingContext>>,
        Mutex<Sender<Option<ErrorKind>>>,
    );
    impl StreamingListener for Stopping {
        fn on_batch_completed(&self, _: &BatchInfo) {
            let stopped = self.0.get().unwrap().stop(true);
            let kind = stopped.err().map(|error| error.kind());
            self.1.lock().unwrap().send(kind).unwrap();
        }
    }
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    watch(&input);
    let (tell, told) = channel();
    let ssc = Arc::new(OnceLock::from(program.ssc.clone()));
    program.ssc.add_listener(Stopping(ssc, Mutex::new(tell)));
    program.start();
    program.tick();
    assert_eq!(told.recv().unwrap(), Some(ErrorKind::IllegalState));
    assert_eq!(program.ssc.state(), Active);
    program.stop();
}

#[test]
fn f_29_a_drop_does_not_wait_for_ever() {
    let (program, _queue, grip, _) = held(SHORT);
    program.start();
    program.cut();
    grip.entered.recv().unwrap();
    drop(program);
    drop(grip);
}

#[test]
fn f_29_stops_at_once_all_come_back() {
    let (program, _queue, grip, _) = held(SHORT);
    program.start();
    program.cut();
    grip.entered.recv().unwrap();
    let failed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for graceful in [true, false, true, false] {
            let (ssc, failed) = (&program.ssc, &failed);
            scope.spawn(move || {
                failed.fetch_add(usize::from(ssc.stop(graceful).is_err()), SeqCst);
                assert_eq!(ssc.state(), Stopped);
            });
        }
    });
    assert_eq!(failed.into_inner(), 1, "the one that did the work tells");
    drop(grip);
}

/// Stops and drops from several threads, at any moment of the start.
#[test]
fn f_29_any_order_of_stops_and_drops_ends() {
    for round in 0..300 {
        let program = Program::new();
        let (queue, input) = program.queue();
        let seen = watch(&input);
        queue.push(program.ssc.parallelize([round], 1));
        let Program { ssc, clock } = program;
        if round % 3 > 0 {
            ssc.start().unwrap();
        }
        thread::scope(|scope| {
            for thread in 0..round % 4 {
                let ssc = ssc.clone();
                scope.spawn(move || match thread {
                    0 => ssc.stop(round % 2 == 0).unwrap(),
                    1 => drop(ssc),
                    _ => ssc.stop(round % 2 == 1).unwrap(),
                });
            }
            if round % 3 == 0 {
                // Either it comes first, or the stop.
                let _ = ssc.start();
            }
            clock.advance(SECOND);
            drop(ssc);
        });
        assert!(seen.take().len() <= 1);
    }
}

#[test]
fn ctx_12_a_context_that_was_never_started_lets_go_of_its_closures() {
    for stopped in [false, true] {
        let (alive, gone) = channel::<()>();
        let program = Program::new();
        let (_queue, input) = program.queue::<u64>();
        let own = stopped.then(|| program.ssc.clone());
        input.foreach_rdd(move |_, _| {
            let _ = (&own, &alive);
            Ok(())
        });
        if stopped {
            program.stop();
        }
        drop((program, input));
        assert_eq!(gone.recv(), Err(RecvError));
    }
}

#[test]
fn ctx_11_a_closure_that_panics_when_dropped_keeps_nobody_waiting() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("expected");
        }
    }
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    let bomb = Bomb;
    input.foreach_rdd(move |_, _| {
        let _ = &bomb;
        Ok(())
    });
    drop(input);
    program.start();
    program.stop();
    program.ssc.await_termination().unwrap();
}

#[test]
fn f_5_a_listener_that_only_panics_is_told_no_more() {
    struct Panicking(Arc<AtomicUsize>);
    impl StreamingListener for Panicking {
        fn on_batch_submitted(&self, _: &BatchInfo) {
            self.0.fetch_add(1, SeqCst);
            panic!("expected");
        }
        fn on_batch_started(&self, batch: &BatchInfo) {
            if batch.batch_time >= at(3000) {
                self.on_batch_submitted(batch);
            }
        }
        fn on_batch_completed(&self, batch: &BatchInfo) {
            self.on_batch_started(batch);
        }
    }
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    watch(&input);
    let times = Arc::new(AtomicUsize::new(0));
    program.ssc.add_listener(Panicking(Arc::clone(&times)));
    program.start();
    (0..10).for_each(|_| program.tick());
    program.stop();
    // Twice one of three, and then ten in a row.
    assert_eq!(times.load(SeqCst), 2 + 10);
}

#[test]
fn f_7_a_batch_that_runs_for_long_is_told_once() {
    struct Stuck(Sender<StuckBatchInfo>);
    impl StreamingListener for Stuck {
        fn on_batch_stuck(&self, stuck: &StuckBatchInfo) {
            let _ = self.0.send(stuck.clone());
        }
    }
    for (setting, told) in [("5s", true), ("0ms", false)] {
        let (program, _queue, grip, line) = held(&[("batch_stuck_after", setting)]);
        let (tell, stuck) = channel();
        program.ssc.add_listener(Stuck(tell));
        program.start();
        program.cut();
        grip.entered.recv().unwrap();
        (0..4).for_each(|_| program.cut());
        assert!(stuck.try_recv().is_err(), "four seconds are not long");
        (0..4).for_each(|_| program.cut());
        if told {
            let info = stuck.recv().unwrap();
            assert_eq!(info.batch.batch_time, at(1000));
            assert_eq!(info.running, 5 * SECOND);
            assert_eq!(info.batch.processing_end_nanos, None);
            let name = format!("foreach_rdd at {}:{line}", file!());
            assert_eq!(info.operations, [(OutputId(0), name.into())]);
        }
        drop(grip);
        program.stop();
        assert!(stuck.try_recv().is_err(), "once");
    }
}
