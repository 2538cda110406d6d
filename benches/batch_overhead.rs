//! What a batch costs when there is hardly any data: from the tick of the clock
//! to the end of the batch, through all threads that take part.
#![expect(
    clippy::print_stdout,
    reason = "the listener's times stand beside criterion's lines"
)]

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use common::driver::Driver;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Records of a small batch.
const SMALL: u64 = 10;

/// A keyed count whose output adds up the counts.
fn declare(ssc: &StreamingContext, queue: &RddQueue<u64>, seen: &Arc<AtomicU64>) {
    let counts = ssc
        .queue_stream(queue)
        .expect("not started")
        .map(|key| (key, 1_u64))
        .reduce_by_key(|a, b| a + b);
    let seen = Arc::clone(seen);
    counts.foreach_rdd(move |rdd, _| {
        let sum = rdd.map(|(_, count)| count).reduce(|a, b| a + b)?;
        // Relaxed: read only after the batch has ended.
        seen.fetch_add(sum.unwrap_or_default(), Ordering::Relaxed);
        Ok(())
    });
}

fn manual(c: &mut Criterion) {
    let mut group = c.benchmark_group("batch_overhead");
    group.throughput(Throughput::Elements(1));
    for workers in [1, 2] {
        let queue = RddQueue::new();
        let seen = Arc::new(AtomicU64::new(0));
        let mut driver = Driver::start(workers, |ssc| declare(ssc, &queue, &seen));
        driver.batch();
        assert_eq!(seen.swap(0, Ordering::Relaxed), 0);
        group.bench_function(format!("empty/{workers}"), |b| b.iter(|| driver.batch()));

        let small = driver.ssc.parallelize(0..SMALL, workers);
        let mut batch = || {
            queue.push(small.clone());
            driver.batch();
            seen.swap(0, Ordering::Relaxed)
        };
        assert_eq!(batch(), SMALL);
        group.bench_function(format!("ten_records/{workers}"), |b| b.iter(&mut batch));
    }
    group.finish();
}

/// The scheduling delay and the processing delay of each batch, in nanoseconds.
#[derive(Clone, Debug, Default)]
struct Delays(Arc<Mutex<Vec<(u64, u64)>>>);

impl StreamingListener for Delays {
    fn on_batch_completed(&self, batch: &BatchInfo) {
        let both = (
            batch.scheduling_delay().as_nanos() as u64,
            batch.processing_delay().as_nanos() as u64,
        );
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(both);
    }
}

/// The same program by the system's clock at 1 ms: a manual clock stands still
/// while a batch is processed, so its listener would be told zeros.
fn listened(_: &mut Criterion) {
    const BATCHES: u64 = 500;
    for workers in [1, 2] {
        let ssc = StreamingContext::builder()
            .batch_interval(Duration::from_millis(1))
            .workers(workers)
            .ignore_environment()
            .build()
            .expect("the settings are right");
        let (queue, seen) = (RddQueue::new(), Arc::default());
        declare(&ssc, &queue, &seen);
        let small = ssc.parallelize(0..SMALL, workers);
        for _ in 0..BATCHES {
            queue.push(small.clone());
        }
        let delays = Delays::default();
        ssc.add_listener(delays.clone());
        ssc.start().expect("the context starts");
        let zero = ssc.zero_time().expect("it was started");
        ssc.await_batch(zero + Duration::from_millis(BATCHES));
        // Gracefully: a machine that was busy meanwhile left some batches out.
        ssc.stop(true).expect("the context stops");
        assert_eq!(seen.load(Ordering::Relaxed), BATCHES * SMALL);
        let all = delays.0.lock().unwrap_or_else(PoisonError::into_inner);
        let percentile = |of: fn(&(u64, u64)) -> u64, percent: usize| {
            let mut values: Vec<u64> = all.iter().map(of).collect();
            values.sort_unstable();
            values[(values.len() * percent / 100).min(values.len() - 1)] as f64 / 1e3
        };
        println!(
            "batch_overhead/listener/{workers}: scheduling {:.1} us (p99 {:.1}), processing {:.1} us \
             (p99 {:.1})",
            percentile(|both| both.0, 50),
            percentile(|both| both.0, 99),
            percentile(|both| both.1, 50),
            percentile(|both| both.1, 99),
        );
    }
}

criterion_group!(benches, manual, listened);
criterion_main!(benches);
