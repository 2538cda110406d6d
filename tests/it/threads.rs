//! Nothing is left of a context that was dropped: no thread, no record.

use std::cell::RefCell;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvError, Sender, channel};
use std::sync::{Barrier, Mutex};

use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;
use millstream::time::{Clock, ManualClock, WaitResult, Wake};

use crate::helpers::*;

thread_local! {
    static ALIVE: RefCell<Option<Sender<()>>> = const { RefCell::new(None) };
}

/// Held by every thread that came by until it ends.
#[derive(Clone, Debug)]
struct Alive(Sender<()>);

impl Alive {
    fn mark(&self) {
        ALIVE.with_borrow_mut(|alive| {
            alive.get_or_insert_with(|| self.0.clone());
        });
    }
}

/// The clock marks the thread that waits for it.
#[derive(Debug)]
struct Marking(ManualClock, Alive);

impl Clock for Marking {
    fn now_nanos(&self) -> i64 {
        self.0.now_nanos()
    }

    fn wait_until(&self, deadline_nanos: i64, wake: &Wake) -> WaitResult {
        self.1.mark();
        self.0.wait_until(deadline_nanos, wake)
    }
}

impl StreamingListener for Alive {
    fn on_batch_submitted(&self, _: &BatchInfo) {
        self.mark();
    }
}

impl fmt::Display for Alive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("alive")
    }
}

/// A context all of whose threads hold a sender, the workers too, and what
/// each job does besides; all are gone when the receiver says so.
fn marked(
    job: impl Fn(&Rdd<u64>) + Send + Sync + 'static,
) -> (Program, DStream<u64>, Receiver<()>) {
    let (alive, gone) = channel();
    let alive = Alive(alive);
    let clock = ManualClock::new(0);
    let marking = Marking(clock.clone(), alive.clone());
    let program = Program::with(|builder| builder.clock(marking));
    let program = Program { clock, ..program };
    let (queue, input) = program.queue();
    let both = Barrier::new(2);
    program.ssc.add_listener(alive.clone());
    let work = input
        .map(|x| (x, x))
        .reduce_by_key(|a, _| a)
        .map(|(x, _)| x)
        .boxed();
    work.foreach_rdd(move |rdd, _| {
        alive.mark();
        rdd.for_each_partition(|_| {
            // Neither worker can do both.
            both.wait();
            alive.mark();
            Ok(())
        })?;
        job(&rdd);
        Ok(())
    });
    program.start();
    queue.push(program.ssc.parallelize(0..10, 2));
    (program, work, gone)
}

fn all_ended(gone: &Receiver<()>) {
    assert_eq!(gone.recv(), Err(RecvError));
}

#[test]
fn dropping_the_last_handle_ends_all_threads() {
    let (program, stream, gone) = marked(|_| ());
    program.tick();
    let other = program.ssc.clone();
    drop(program);
    other.await_batch(at(1000));
    drop(other);
    // A stream that is left holds its part of the graph, and the workers.
    assert!(gone.try_recv().is_err());
    drop(stream);
    all_ended(&gone);
}

#[test]
fn a_stopped_context_leaves_nothing_when_it_is_dropped() {
    for graceful in [false, true] {
        let (program, stream, gone) = marked(|_| ());
        program.tick();
        program.ssc.stop(graceful).unwrap();
        drop((program, stream));
        all_ended(&gone);
    }
}

#[test]
fn a_context_that_never_started_leaves_nothing() {
    let (alive, gone) = channel::<()>();
    let program = Program::new();
    let (_queue, input) = program.queue::<u64>();
    input.map(move |x| (x, alive.clone())).count().print();
    drop((program, input));
    all_ended(&gone);
}

#[test]
fn a_job_may_drop_the_last_handle() {
    for in_task in [false, true] {
        let (hand_over, last) = channel::<StreamingContext>();
        let last = Mutex::new(last);
        let (program, stream, gone) = marked(move |rdd| {
            let ssc = Mutex::new(last.lock().unwrap().recv().ok());
            if in_task {
                rdd.for_each_partition(|_| {
                    drop(ssc.lock().unwrap().take());
                    Ok(())
                })
                .unwrap();
            }
        });
        let Program { ssc, clock } = program;
        clock.advance(SECOND);
        drop(stream);
        hand_over.send(ssc).unwrap();
        all_ended(&gone);
    }
}
