//! The number of workers that take part, as the batches need them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use millstream::prelude::*;

use crate::helpers::*;

#[test]
fn dep_10_workers_come_and_go_with_the_time_that_batches_take() {
    let program = Program::with(|builder| {
        builder
            .set("spark.streaming.dynamicAllocation.enabled", "true")
            .set("spark.streaming.dynamicAllocation.scalingInterval", "10s")
    });
    let (_queue, input) = program.queue::<u64>();
    // So many records that nobody works alone on them.
    let records = program.ssc.parallelize(0..100_000_u64, 2);
    let millis = Arc::new(AtomicU64::new(0));
    let workers = Arc::new(AtomicUsize::new(2));
    let clock = program.clock.clone();
    let (takes, together) = (Arc::clone(&millis), Arc::clone(&workers));
    let threads = watch(&input.transform(move |_, _| {
        // Each of the two partitions waits until so many workers are at it.
        let together = Barrier::new(together.load(Ordering::SeqCst));
        Ok(records.clone().map_partitions(move |_| {
            together.wait();
            thread::current().name().map(str::to_owned).into_iter()
        }))
    }));
    input.foreach_rdd(move |_, _| {
        clock.advance(Duration::from_millis(takes.load(Ordering::SeqCst)));
        Ok(())
    });
    program.start();
    let names = |count: usize| {
        program.advance(count);
        let mut names: Vec<String> = threads.take().pop().expect("a batch ended").1;
        names.sort();
        names
    };
    assert_eq!(names(10), ["ms-worker-0", "ms-worker-1"]);
    // From now on there is one.
    workers.store(1, Ordering::SeqCst);
    assert_eq!(names(10), ["ms-worker-0", "ms-worker-0"]);
    // Batches of nearly a second each.
    millis.store(950, Ordering::SeqCst);
    assert_eq!(names(10), ["ms-worker-0", "ms-worker-0"]);
    workers.store(2, Ordering::SeqCst);
    assert_eq!(names(1), ["ms-worker-0", "ms-worker-1"]);
    program.stop();
}
