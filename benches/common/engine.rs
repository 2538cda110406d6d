//! The same programs on the engine, through its public interface only.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use memchr::memmem::Finder;
use millstream::prelude::*;

use super::driver::{Driver, INTERVAL};

/// A context for Rdds without a stream.
pub(crate) fn workers(workers: usize) -> StreamingContext {
    StreamingContext::builder()
        .batch_interval(INTERVAL)
        .workers(workers)
        .ignore_environment()
        .build()
        .expect("the settings are right")
}

/// What an output makes of all distinct words of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) words: u64,
    pub(crate) distinct: u64,
}

/// A program that has the same lines in each batch.
struct Lines {
    driver: Driver,
    queue: RddQueue<Str>,
    lines: Rdd<Str>,
}

impl Lines {
    fn new(workers: usize, text: &[u8], declare: impl FnOnce(DStream<Str>)) -> Self {
        let queue = RddQueue::new();
        let driver = Driver::start(workers, |ssc| {
            declare(ssc.queue_stream(&queue).expect("not started"));
        });
        let lines = driver.ssc.text_lines(text);
        Self {
            driver,
            queue,
            lines,
        }
    }

    fn batch(&mut self) {
        self.queue.push(self.lines.clone());
        self.driver.batch();
    }
}

/// The guide's word count over batches of lines.
pub(crate) struct WordCount {
    lines: Lines,
    totals: Arc<Mutex<Totals>>,
}

impl WordCount {
    pub(crate) fn new(workers: usize, text: &[u8]) -> Self {
        let totals = Arc::new(Mutex::new(Totals::default()));
        let lines = Lines::new(workers, text, |lines| {
            let counts = lines
                .flat_map(|line: Str| line.split(' '))
                .map(|word| (word, 1_u64))
                .reduce_by_key(|a, b| a + b);
            let totals = Arc::clone(&totals);
            counts.foreach_rdd(move |rdd, _| {
                rdd.for_each_partition(|counts| {
                    let distinct = counts.len() as u64;
                    let words = counts.map(|(_, count)| count).sum::<u64>();
                    let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
                    totals.words += words;
                    totals.distinct += distinct;
                    Ok(())
                })
            });
        });
        Self { lines, totals }
    }

    /// One batch.
    pub(crate) fn run(&mut self) -> Totals {
        self.lines.batch();
        std::mem::take(&mut *self.totals.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// All distinct words with their counts, of an Rdd without a stream.
pub(crate) fn count_words(lines: &Rdd<Str>, partitions: usize) -> Vec<Vec<(Str, u64)>> {
    lines
        .clone()
        .flat_map(|line| line.split(' '))
        .map(|word| (word, 1_u64))
        .reduce_by_key_into(|a, b| a + b, partitions)
        .collect_partitions()
        .expect("counting does not fail")
}

/// Counts the lines of each batch that hold a word.
pub(crate) struct Grep {
    lines: Lines,
    found: Arc<AtomicU64>,
}

impl Grep {
    pub(crate) fn new(workers: usize, text: &[u8], needle: &str) -> Self {
        let found = Arc::new(AtomicU64::new(0));
        let lines = Lines::new(workers, text, |lines| {
            let finder = Finder::new(needle).into_owned();
            let counts = lines
                .filter(move |line: &Str| finder.find(line.as_bytes()).is_some())
                .count();
            let found = Arc::clone(&found);
            counts.foreach_rdd(move |rdd, _| {
                // Relaxed: read only after the batch has ended.
                found.fetch_add(rdd.collect()?.iter().sum(), Ordering::Relaxed);
                Ok(())
            });
        });
        Self { lines, found }
    }

    /// One batch.
    pub(crate) fn run(&mut self) -> u64 {
        self.lines.batch();
        self.found.swap(0, Ordering::Relaxed)
    }
}
