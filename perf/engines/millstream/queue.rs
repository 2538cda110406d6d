//! Batches from memory, through a queue, each as soon as the last one was processed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use millstream::prelude::*;
use perf_lab::Result;
use perf_lab::digest::Digest;
use perf_lab::protocol::{Done, Words};

use crate::driver::Driver;

/// A program over a queue, and its batches, which come again and again.
pub(crate) struct Queued<T: Data> {
    driver: Driver,
    queue: RddQueue<T>,
    batches: Vec<Rdd<T>>,
    next: usize,
}

impl<T: Data> Queued<T> {
    /// Starts the program that `declare` makes of the stream of batches; `load` makes
    /// the batches.
    pub(crate) fn start(
        order: &Words,
        declare: impl FnOnce(DStream<T>),
        load: impl FnOnce(&StreamingContext) -> Result<Vec<Rdd<T>>>,
    ) -> Result<Self> {
        let queue = RddQueue::new();
        let workers = order.number("workers")?;
        let driver = Driver::with(
            |builder| builder.workers(workers),
            |ssc| declare(ssc.queue_stream(&queue).expect("not started")),
        );
        let batches = load(&driver.ssc)?;
        Ok(Self {
            driver,
            queue,
            batches,
            next: 0,
        })
    }

    /// Processes a batch that is none of those that come again.
    pub(crate) fn first(&mut self, batch: impl FnOnce(&StreamingContext) -> Rdd<T>) {
        self.queue.push(batch(&self.driver.ssc));
        self.driver.batch();
    }

    /// Processes as many batches as `order` says. `last` is called before the last one,
    /// and `result` after it, when the time was taken.
    pub(crate) fn run(
        &mut self,
        order: &Words,
        last: impl FnOnce(),
        result: impl FnOnce() -> Digest,
    ) -> Result<Done> {
        let steps: usize = order.number("steps")?;
        let since = Instant::now();
        for _ in 1..steps {
            self.step();
        }
        last();
        self.step();
        let time = since.elapsed();
        Ok(Done {
            time,
            digest: result(),
            ..Done::default()
        })
    }

    fn step(&mut self) {
        self.queue.push(self.batches[self.next].clone());
        self.next = (self.next + 1) % self.batches.len();
        self.driver.batch();
    }
}

/// A place where an output leaves something for the program.
#[derive(Debug, Default)]
pub(crate) struct Shelf<T>(Arc<Mutex<T>>);

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> Shelf<T> {
    pub(crate) fn set(&self, value: T) {
        self.change(|place| *place = value);
    }

    pub(crate) fn take(&self) -> T {
        self.change(std::mem::take)
    }

    pub(crate) fn change<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Watches a stream whose result rests in tables: has each batch's computed, and keeps
/// the one that is asked for.
pub(crate) struct Table<K: Data, V: Data> {
    wanted: Shelf<bool>,
    kept: Shelf<Option<Rdd<(K, V)>>>,
}

impl<K: Data, V: Data> Table<K, V> {
    /// Has an empty place.
    pub(crate) fn new() -> Self {
        Self {
            wanted: Shelf(Arc::default()),
            kept: Shelf(Arc::default()),
        }
    }

    /// Watches `stream`.
    pub(crate) fn watch(&self, stream: &DStream<(K, V)>) {
        let (wanted, kept) = (self.wanted.clone(), self.kept.clone());
        stream.foreach_rdd(move |rdd, _| {
            rdd.count()?;
            if wanted.take() {
                kept.set(Some(rdd));
            }
            Ok(())
        });
    }

    /// Keeps the result of the next batch.
    pub(crate) fn want(&self) {
        self.wanted.set(true);
    }

    /// The digest of the result that was kept, which is given up.
    pub(crate) fn digest(&self, take: impl Fn(&mut Digest, (K, V)) + Send + Sync) -> Digest {
        let rdd = self.kept.take().expect("it was wanted");
        let add = |all: &mut Digest, part| *all += part;
        rdd.aggregate(Digest::default(), take, add)
            .expect("reading a result does not fail")
    }
}
