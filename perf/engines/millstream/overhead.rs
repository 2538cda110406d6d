//! What batches of a few records cost at the batch interval of the environment, by the
//! system's clock: a keyed count, and its output.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;
use perf_lab::Result;
use perf_lab::digest::Digest;
use perf_lab::facts::{self, Delays};
use perf_lab::protocol::{Done, Engine, Words};

use crate::queue::Shelf;

/// Records of a batch.
const RECORDS: u64 = 10;

pub(crate) struct Overhead;

impl Overhead {
    pub(crate) fn new(_: &Words) -> Result<Self> {
        Ok(Self)
    }
}

#[derive(Clone, Default)]
struct Batches(Arc<Mutex<Vec<Delays>>>);

impl StreamingListener for Batches {
    fn on_batch_completed(&self, batch: &BatchInfo) {
        let mut delays = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        delays.push(Delays {
            scheduling: batch.scheduling_delay(),
            total: batch.total_delay(),
        });
    }
}

impl Engine for Overhead {
    /// The time is that of a batch, from its cut to its end, on the average.
    fn run(&mut self, order: &Words) -> Result<Done> {
        let steps: u32 = order.number("steps")?;
        let ssc = StreamingContext::builder().build()?;
        let (queue, digest) = (RddQueue::new(), Shelf::<Digest>::default());
        let seen = digest.clone();
        ssc.queue_stream(&queue)?
            .map(|key: u64| (key, 1_i64))
            .reduce_by_key(|a, b| a + b)
            .foreach_rdd(move |counts, _| {
                let counts = counts.collect()?;
                seen.change(|digest| counts.into_iter().for_each(|(key, n)| digest.key(key, n)));
                Ok(())
            });
        let batch = ssc.parallelize(0..RECORDS, 2);
        (0..steps).for_each(|_| queue.push(batch.clone()));
        let batches = Batches::default();
        ssc.add_listener(batches.clone());
        ssc.start()?;
        let busy = cpu_time();
        let zero = ssc.zero_time().ok_or("it was started")?;
        ssc.await_batch(zero + ssc.batch_interval() * steps);
        // Before the stop, and before the listener is read.
        let busy = cpu_time().saturating_sub(busy);
        ssc.stop(true)?;
        let delays = batches.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total: Duration = delays.iter().map(|batch| batch.total).sum();
        let facts = Words::default().with("cpu_us", busy.as_micros() / u128::from(steps));
        Ok(Done {
            time: total / delays.len().max(1) as u32,
            digest: digest.take(),
            facts: facts::delays(facts, &delays),
        })
    }
}

/// Time that all threads of this process have run; zero where the system does not say.
fn cpu_time() -> Duration {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return Duration::ZERO;
    };
    let run = |thread: fs::DirEntry| -> Option<u64> {
        let stat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse().ok()
    };
    let run = threads.filter_map(Result::ok).filter_map(run);
    Duration::from_nanos(run.sum())
}
