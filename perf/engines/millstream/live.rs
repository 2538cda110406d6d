//! Lines from a socket, in batches by the clock: W2, W5, and the points of a sweep.
//!
//! `work=words` counts words, `work=lines` lines only. Marked lines give latencies:
//! from when they were due until the result of their batch was handed out. Among words
//! they are looked for with `marks=true`.
//! `interval_us` sets the batch interval; without it the environment does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;
use perf_lab::Result;
use perf_lab::digest::Digest;
use perf_lab::facts::{self, Delays};
use perf_lab::marks::{due, now};
use perf_lab::protocol::{Done, Engine, Words};

pub(crate) struct Live {
    settings: Words,
}

impl Live {
    pub(crate) fn new(order: &Words) -> Result<Self> {
        let settings = order.clone();
        settings.text("work")?;
        Ok(Self { settings })
    }

    fn context(&self) -> Result<StreamingContext> {
        let mut builder = StreamingContext::builder().set("receiver_restart_delay", "1h");
        if self.settings.get("interval_us").is_some() {
            let interval = self.settings.number("interval_us")?;
            builder = builder.batch_interval(Duration::from_micros(interval));
        }
        if self.settings.get("workers").is_some() {
            builder = builder.workers(self.settings.number("workers")?);
        }
        Ok(builder.build()?)
    }
}

impl Engine for Live {
    fn run(&mut self, order: &Words) -> Result<Done> {
        let ssc = self.context()?;
        let address = format!("127.0.0.1:{}", order.number::<u16>("port")?);
        let lines = ssc.socket_text_stream(address)?;
        let (seen, ended) = Seen::new(order.number("records")?);
        match self.settings.text("work")? {
            "words" => {
                count_words(&lines, &seen);
                if self.settings.get("marks") == Some("true") {
                    take_marks(&lines, &seen);
                }
            }
            "lines" => count_lines(&lines, &seen),
            other => return Err(format!("work={other} is neither words nor lines").into()),
        }
        ssc.add_listener(Batches(Arc::clone(&seen)));
        let since = Instant::now();
        ssc.start()?;
        while ended.recv_timeout(Duration::from_millis(100)).is_err() {
            // Tells if a batch has failed.
            ssc.await_termination_or_timeout(Duration::ZERO)?;
        }
        let time = since.elapsed();
        ssc.stop(true)?;
        let facts = Words::default().with("interval_ms", ssc.batch_interval().as_millis());
        seen.done(time, facts)
    }
}

/// What came out so far.
struct Seen {
    /// Records that will come out.
    expected: u64,
    count: AtomicU64,
    sum: AtomicU64,
    end: Sender<()>,
    latencies: Mutex<Vec<u64>>,
    /// Those of each batch.
    delays: Mutex<Vec<Delays>>,
}

impl Seen {
    fn new(expected: u64) -> (Arc<Self>, Receiver<()>) {
        let (end, ended) = channel();
        let seen = Self {
            expected,
            count: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            end,
            latencies: Mutex::default(),
            delays: Mutex::default(),
        };
        (Arc::new(seen), ended)
    }

    fn add(&self, part: Digest) {
        // Relaxed: read when the context has stopped. Outputs run one by one.
        self.sum.fetch_add(part.sum, Ordering::Relaxed);
        let before = self.count.fetch_add(part.count, Ordering::Relaxed);
        if (before..before + part.count).contains(&(self.expected - 1)) {
            // The program waits for it, and sends no other.
            let _ = self.end.send(());
        }
    }

    fn late(&self, dues: &[u64]) {
        let now = now();
        let mut latencies = self
            .latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        latencies.extend(dues.iter().map(|due| now.saturating_sub(*due)));
    }

    fn done(&self, time: Duration, facts: Words) -> Result<Done> {
        let mut latencies = self
            .latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let delays = self.delays.lock().unwrap_or_else(PoisonError::into_inner);
        latencies.sort_unstable();
        let facts = facts::latencies(facts, &latencies);
        Ok(Done {
            time,
            digest: Digest {
                count: self.count.load(Ordering::Relaxed),
                sum: self.sum.load(Ordering::Relaxed),
            },
            facts: facts::delays(facts, &delays),
        })
    }
}

struct Batches(Arc<Seen>);

impl StreamingListener for Batches {
    fn on_batch_completed(&self, batch: &BatchInfo) {
        let mut delays = self.0.delays.lock().unwrap_or_else(PoisonError::into_inner);
        delays.push(Delays {
            scheduling: batch.scheduling_delay(),
            total: batch.total_delay(),
        });
    }
}

/// The words of all lines by word; a marked line is a word.
fn count_words(lines: &DStream<Str>, seen: &Arc<Seen>) {
    let counted = Arc::clone(seen);
    lines
        .flat_map(|line: Str| line.split(' '))
        .map(|word| (word, 1_u64))
        .reduce_by_key(|a, b| a + b)
        .foreach_rdd(move |counts, _| {
            let take = |digest: &mut Digest, (word, count): (Str, u64)| {
                digest.word(word.as_bytes(), count);
                // How often words came, not how many words.
                digest.count += count - 1;
            };
            counted.add(counts.aggregate(Digest::default(), take, |all, part| *all += part)?);
            Ok(())
        });
}

/// The due times of the marked lines, after that.
fn take_marks(lines: &DStream<Str>, seen: &Arc<Seen>) {
    let late = Arc::clone(seen);
    lines
        .filter(|line: &Str| due(line.as_bytes()).is_some())
        .foreach_rdd(move |marked, _| {
            let dues: Vec<u64> = marked
                .collect()?
                .iter()
                .filter_map(|line| due(line.as_bytes()))
                .collect();
            late.late(&dues);
            Ok(())
        });
}

/// The number of lines, with the due times of those that are marked, in one result.
fn count_lines(lines: &DStream<Str>, seen: &Arc<Seen>) {
    let seen = Arc::clone(seen);
    lines
        .map(|line: Str| (1_u64, due(line.as_bytes()).into_iter().collect::<Vec<_>>()))
        .reduce(|(a, mut dues), (b, mut more)| {
            dues.append(&mut more);
            (a + b, dues)
        })
        .foreach_rdd(move |result, _| {
            for (count, dues) in result.collect()? {
                seen.late(&dues);
                let sum = dues.iter().fold(0, |sum: u64, due| sum.wrapping_add(*due));
                seen.add(Digest { count, sum });
            }
            Ok(())
        });
}
