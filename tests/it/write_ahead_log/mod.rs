//! Receivers with a write-ahead log.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod again;
#[cfg(feature = "fault-inject")]
mod faults;
mod killed;
mod promises;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};

use millstream::StreamingContextBuilder;
use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;
use millstream::receiver::{Receiver, ReceiverHandle};
use millstream::time::ManualClock;

use crate::helpers::*;

/// A receiver that hands out what it stores with.
pub(crate) struct Given(pub(crate) mpsc::Sender<ReceiverHandle<u64>>);

impl Receiver<u64> for Given {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> millstream::Result<()> {
        self.0.send(handle).map_err(millstream::Error::other)
    }

    fn on_stop(&mut self) {}
}

/// An interval of checkpoints.
const NEVER: Duration = Duration::from_secs(1_000_000);

fn context(
    clock: &ManualClock,
    checkpoint_interval: Duration,
) -> millstream::Result<StreamingContext> {
    builder(clock, checkpoint_interval).build()
}

fn builder(clock: &ManualClock, checkpoint_interval: Duration) -> StreamingContextBuilder {
    StreamingContext::builder()
        .batch_interval(SECOND)
        .workers(2)
        .clock(clock.clone())
        .set("receiver_write_ahead_log", "true")
        .set(
            "checkpoint_interval",
            format!("{}ms", checkpoint_interval.as_millis()),
        )
        .ignore_environment()
}

/// What was told of each batch.
#[derive(Clone, Default)]
struct Metadata(Arc<Mutex<BTreeMap<i64, BatchInfo>>>);

impl StreamingListener for Metadata {
    fn on_batch_completed(&self, batch: &BatchInfo) {
        let mut all = self.0.lock().unwrap();
        let before = all.insert(batch.batch_time.as_millis(), batch.clone());
        assert!(before.is_none(), "R-10: no batch is submitted twice");
    }
}

impl Metadata {
    fn of(&self, time: i64) -> Vec<String> {
        let batch = self.completed(time);
        let metadata = batch.inputs[0].block_metadata.iter();
        metadata.map(ToString::to_string).collect()
    }

    fn completed(&self, time: i64) -> BatchInfo {
        self.0.lock().unwrap()[&time].clone()
    }
}

/// A program that counts what a receiver stores.
struct Run {
    program: Program,
    handle: ReceiverHandle<u64>,
    /// How many records each batch says that it has.
    sizes: Seen<u64>,
    /// The records of each batch, by partition.
    batches: Seen<Vec<Vec<u64>>>,
    /// How often each number was there by now.
    counts: Seen<Vec<(u64, u64)>>,
    told: Metadata,
}

impl Run {
    fn start(dir: &Path, millis: i64, checkpoint_interval: Duration) -> Self {
        Self::start_with(dir, millis, checkpoint_interval, |builder| builder)
    }

    fn start_with(
        dir: &Path,
        millis: i64,
        checkpoint_interval: Duration,
        change: impl FnOnce(StreamingContextBuilder) -> StreamingContextBuilder,
    ) -> Self {
        let clock = ManualClock::new(millis);
        let make = || change(builder(&clock, checkpoint_interval)).build();
        let ssc = StreamingContext::get_or_create(dir, make).unwrap();
        Self::begin(Program { ssc, clock })
    }

    fn begin(program: Program) -> Self {
        let (given, handle) = mpsc::channel();
        let numbers = program.ssc.receiver_stream(Given(given)).unwrap();
        let numbers = numbers.uid("numbers").unwrap();
        let numbers = numbers.checkpoint(SECOND).unwrap();
        let counts = numbers.map(|number| (number, 1)).update_state_by_key(
            |new: &[u64], old: Option<&u64>| Some(old.unwrap_or(&0) + new.iter().sum::<u64>()),
        );
        let counts = counts.checkpoint(SECOND).unwrap();
        // First, so that nobody has read the batch.
        let sizes = Seen::new();
        let sees = sizes.clone();
        numbers.foreach_rdd(move |rdd, time| {
            sees.add(time, rdd.count()?);
            Ok(())
        });
        let batches = watch_partitions(&numbers);
        let counts = watch(&counts);
        let told = Metadata::default();
        program.ssc.add_listener(told.clone());
        program.start();
        Self {
            handle: handle.recv().unwrap(),
            program,
            sizes,
            batches,
            counts,
            told,
        }
    }

    /// As a crash would: nothing is brought to an end.
    fn crash(self) -> i64 {
        let now = self.program.now().as_millis();
        self.program.ssc.stop(false).unwrap();
        now
    }

    /// How often each number was counted, as of the last batch.
    fn counts(&self) -> BTreeMap<u64, u64> {
        let counts = self.counts.take();
        let (_, last) = counts.into_iter().next_back().unwrap();
        last.into_iter().collect()
    }
}

fn once(numbers: impl IntoIterator<Item = u64>) -> BTreeMap<u64, u64> {
    numbers.into_iter().map(|number| (number, 1)).collect()
}
