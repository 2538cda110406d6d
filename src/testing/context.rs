//! A context whose time the test moves.

use std::fmt;
use std::sync::Arc;

use crate::context::{StreamingContext, StreamingContextBuilder};
use crate::dstream::{DStream, RddQueue};
use crate::error::Error;
use crate::rdd::pipe::Data;
use crate::rdd::{Rdd, at_rest};
use crate::time::{BatchTime, Clock, Duration, ManualClock};

/// A context with batches of a second on two workers, and its clock, which stands
/// at 0 ms until the test moves it: batch times are 1000 ms, 2000 ms, ... The
/// environment is not read.
///
/// Its methods panic where a program would get an error, so that the test fails
/// there.
pub struct TestContext {
    /// The context.
    pub ssc: StreamingContext,
    /// Its clock.
    pub clock: ManualClock,
}

impl TestContext {
    /// A context as described above.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// A context with other settings.
    ///
    /// # Panics
    /// If the settings are wrong.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    /// use millstream::testing::TestContext;
    ///
    /// let test = TestContext::with(|builder| {
    ///     builder.workers(1).batch_interval(Duration::from_millis(10))
    /// });
    /// assert_eq!(test.ssc.batch_interval(), Duration::from_millis(10));
    /// ```
    #[track_caller]
    #[must_use]
    pub fn with(change: impl FnOnce(StreamingContextBuilder) -> StreamingContextBuilder) -> Self {
        Self::starting_at(0, change)
    }

    /// A context with other settings, whose clock stands at `millis`.
    ///
    /// # Panics
    /// If the settings are wrong.
    #[track_caller]
    #[must_use]
    pub fn starting_at(
        millis: i64,
        change: impl FnOnce(StreamingContextBuilder) -> StreamingContextBuilder,
    ) -> Self {
        let clock = ManualClock::new(millis);
        let builder = StreamingContext::builder()
            .batch_interval(Duration::from_secs(1))
            .workers(2)
            .clock(clock.clone())
            .ignore_environment();
        let ssc = change(builder).build();
        let ssc = ssc.unwrap_or_else(|error| panic!("the context cannot be built: {error}"));
        Self { ssc, clock }
    }

    /// A queue and the stream of its batches, one after the other: the place of a
    /// source in a test.
    ///
    /// # Panics
    /// If the context was started.
    #[track_caller]
    pub fn queue<T: Data>(&self) -> (RddQueue<T>, DStream<T>) {
        let queue = RddQueue::new();
        let stream = self.ssc.queue_stream(&queue);
        let stream = stream.unwrap_or_else(|error| panic!("{error}"));
        (queue, stream)
    }

    /// Gives these records to a later batch, in one partition: the next one, unless
    /// others wait in the queue already. Without any the batch is empty.
    pub fn push<T: Data>(&self, queue: &RddQueue<T>, records: impl IntoIterator<Item = T>) {
        queue.push(self.ssc.parallelize(records, 1));
    }

    /// As [`push`](Self::push), partition by partition.
    pub fn push_partitions<T: Data>(
        &self,
        queue: &RddQueue<T>,
        partitions: impl IntoIterator<Item = Vec<T>>,
    ) {
        let none = self.ssc.parallelize(Vec::<T>::new(), 1);
        let executor = Arc::clone(none.executor());
        queue.push(Rdd::ready(at_rest(partitions), executor));
    }

    /// Starts the context.
    ///
    /// # Panics
    /// If it cannot be started: for one, as nothing was watched, printed or saved.
    #[track_caller]
    pub fn start(&self) {
        if let Err(error) = self.ssc.start() {
            panic!("the context cannot be started: {error}");
        }
    }

    /// Moves the time on to the next batch, and waits until it has ended.
    ///
    /// A failed batch has ended, too; see [`first_error`](Self::first_error).
    ///
    /// # Panics
    /// If the context was not started.
    #[track_caller]
    pub fn tick(&self) {
        let zero = self.ssc.zero_time().expect("start() comes before tick()");
        let interval = self.ssc.batch_interval();
        let next = self.now().max(zero).floor_from(zero, interval) + interval;
        self.clock.set(next);
        self.ssc.await_batch(next);
    }

    /// Moves the time on by `batches` batches, and waits for each until it has ended.
    ///
    /// # Panics
    /// If the context was not started.
    #[track_caller]
    pub fn advance(&self, batches: usize) {
        for _ in 0..batches {
            self.tick();
        }
    }

    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> BatchTime {
        BatchTime::from_millis(self.clock.now_millis())
    }

    /// The first error of any batch so far.
    #[must_use]
    pub fn first_error(&self) -> Option<Error> {
        let waited = self.ssc.await_termination_or_timeout(Duration::ZERO);
        waited.err()
    }

    /// Stops the context when all that waits in its queues was processed, in batches
    /// at the times that follow.
    ///
    /// # Panics
    /// If that fails, such as by a batch that does not end.
    #[track_caller]
    pub fn stop(&self) {
        if let Err(error) = self.ssc.stop(true) {
            panic!("the context did not stop: {error}");
        }
    }
}

impl Default for TestContext {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestContext")
            .field("now", &self.now())
            .field("ssc", &self.ssc)
            .finish()
    }
}
