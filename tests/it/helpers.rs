//! A program on a clock that the test moves.

use std::sync::{Arc, Mutex};

use millstream::prelude::*;
use millstream::rdd::pipe::Pipe;
use millstream::time::{Clock, ManualClock};
use millstream::{StreamingContextBuilder, StreamingContextState};

pub(crate) use crate::own_process::in_own_process;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn at(millis: i64) -> BatchTime {
    BatchTime::from_millis(millis)
}

/// A context with batches of a second on two workers, and its clock, which
/// begins at zero: batch times are 1000 ms, 2000 ms, ...
pub(crate) struct Program {
    pub(crate) ssc: StreamingContext,
    pub(crate) clock: ManualClock,
}

impl Program {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(
        change: impl FnOnce(StreamingContextBuilder) -> StreamingContextBuilder,
    ) -> Self {
        Self::starting_at(0, change)
    }

    pub(crate) fn starting_at(
        millis: i64,
        change: impl FnOnce(StreamingContextBuilder) -> StreamingContextBuilder,
    ) -> Self {
        let clock = ManualClock::new(millis);
        let builder = StreamingContext::builder()
            .batch_interval(SECOND)
            .workers(2)
            .clock(clock.clone())
            .ignore_environment();
        let ssc = change(builder).build().expect("the settings are right");
        Self { ssc, clock }
    }

    pub(crate) fn queue<T: Data>(&self) -> (RddQueue<T>, DStream<T>) {
        let queue = RddQueue::new();
        let stream = self.ssc.queue_stream(&queue).expect("not started");
        (queue, stream)
    }

    pub(crate) fn start(&self) {
        self.ssc.start().expect("a right program starts");
    }

    /// Lets a second pass, and its batch run.
    pub(crate) fn tick(&self) {
        self.clock.advance(SECOND);
        self.ssc.await_batch(self.now());
    }

    /// Lets a second pass, and its batch be cut.
    pub(crate) fn cut(&self) {
        self.clock.advance(SECOND);
        // The only thread that waits for the clock is the one that cuts.
        self.clock.await_waiters(1);
    }

    pub(crate) fn now(&self) -> BatchTime {
        at(self.clock.now_millis())
    }

    pub(crate) fn stop(&self) {
        self.ssc.stop(true).expect("all batches end");
        assert_eq!(self.ssc.state(), StreamingContextState::Stopped);
    }
}

/// What an output operation saw: the batch times and the records.
#[derive(Clone)]
pub(crate) struct Seen<T>(Arc<Mutex<Vec<(i64, T)>>>);

impl<T> Seen<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn add(&self, time: BatchTime, value: T) {
        let mut seen = self.0.lock().expect("no test panics here");
        seen.push((time.as_millis(), value));
    }

    /// All since the last call.
    pub(crate) fn take(&self) -> Vec<(i64, T)> {
        std::mem::take(&mut *self.0.lock().expect("no test panics here"))
    }
}

/// The records of each batch, in the order of the partitions.
pub(crate) fn watch<T: Data, P: Pipe<Out = T>>(stream: &DStream<T, P>) -> Seen<Vec<T>> {
    let seen = Seen::new();
    let add = seen.clone();
    stream.foreach_rdd(move |rdd, time| {
        add.add(time, rdd.collect()?);
        Ok(())
    });
    seen
}

/// The records of each batch by partition.
pub(crate) fn watch_partitions<T: Data, P: Pipe<Out = T>>(
    stream: &DStream<T, P>,
) -> Seen<Vec<Vec<T>>> {
    let seen = Seen::new();
    let add = seen.clone();
    stream.foreach_rdd(move |rdd, time| {
        add.add(time, rdd.collect_partitions()?);
        Ok(())
    });
    seen
}

/// What a program makes of some batches of two partitions each: the sorted
/// records of the batches at 1 s, 2 s, ...
pub(crate) fn run<T: Data, U: Data + Ord, P: Pipe<Out = U>>(
    batches: impl IntoIterator<Item = Vec<T>>,
    declare: impl FnOnce(DStream<T>) -> DStream<U, P>,
) -> Vec<Vec<U>> {
    let program = Program::new();
    let (queue, input) = program.queue();
    let seen = watch(&declare(input));
    program.start();
    for batch in batches {
        queue.push(program.ssc.parallelize(batch, 2));
        program.tick();
    }
    program.stop();
    let seen = seen.take().into_iter();
    seen.zip(1..)
        .map(|((time, mut records), second)| {
            assert_eq!(time, second * 1000);
            records.sort();
            records
        })
        .collect()
}
