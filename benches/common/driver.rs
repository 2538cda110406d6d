//! A context that its program drives batch by batch.

use millstream::StreamingContextBuilder;
use millstream::prelude::*;
use millstream::time::ManualClock;

/// A batch interval, by which the manual clock is moved.
pub(crate) const INTERVAL: Duration = Duration::from_millis(10);

/// A started context, and its clock.
pub(crate) struct Driver {
    pub(crate) ssc: StreamingContext,
    clock: ManualClock,
    next: BatchTime,
}

impl Driver {
    /// A context with `workers` threads; `declare` declares its streams. Settings of
    /// the environment have no part in it.
    pub(crate) fn start(workers: usize, declare: impl FnOnce(&StreamingContext)) -> Self {
        Self::with(
            |builder| builder.workers(workers).ignore_environment(),
            declare,
        )
    }

    /// As [`start`](Self::start), with the settings that `set` makes.
    pub(crate) fn with(
        set: impl FnOnce(StreamingContextBuilder) -> StreamingContextBuilder,
        declare: impl FnOnce(&StreamingContext),
    ) -> Self {
        let clock = ManualClock::new(0);
        let builder = StreamingContext::builder()
            .batch_interval(INTERVAL)
            .clock(clock.clone());
        let ssc = set(builder).build().expect("the settings are right");
        declare(&ssc);
        ssc.start().expect("the context starts");
        let next = ssc.zero_time().expect("it was started") + ssc.batch_interval();
        Self { ssc, clock, next }
    }

    /// Cuts the next batch and waits until it was processed.
    pub(crate) fn batch(&mut self) {
        self.clock.set(self.next);
        self.ssc.await_batch(self.next);
        self.next = self.next + self.ssc.batch_interval();
    }
}
