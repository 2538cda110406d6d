//! Counts words in text received over a socket: the first program of the guide.
//!
//! Without arguments it brings its own text source and runs for some seconds:
//!
//! ```text
//! cargo run --release --example network_wordcount
//! ```
//!
//! With a host and a port it reads from any text server, in batches of a second,
//! until Ctrl-C:
//!
//! ```text
//! nc -lk 9999
//! cargo run --release --example network_wordcount -- localhost 9999
//! ```

mod common;

use std::io::Write;
use std::sync::{Arc, Mutex};

use common::{Input, TEXT};
use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;
use millstream::time::{Clock, SystemClock};

fn main() -> millstream::Result<()> {
    common::log_to_stderr();
    let text = TEXT.repeat(20);
    let input = Input::socket(
        "network_wordcount",
        Duration::from_millis(250),
        // As fast as it is read.
        move |client| loop {
            client.write_all(text.as_bytes())?;
        },
    )?;

    let ssc = StreamingContext::builder()
        .app_name("NetworkWordCount")
        .batch_interval(input.second)
        .build()?;
    let lines = ssc.socket_text_stream(&input.address)?;
    let counts = lines
        .flat_map(|line| line.split(' '))
        .map(|word| (word, 1u64))
        .reduce_by_key(|a, b| a + b);
    counts.print();

    let summary = Arc::new(Summary::default());
    ssc.add_listener(SummaryListener(Arc::clone(&summary)));
    let words = common::total(&counts.map(|(_, count)| count));

    common::stop_at_ctrl_c(&ssc)?;
    let clock = SystemClock::new();
    let started = clock.now_nanos();
    ssc.start()?;
    if !ssc.await_termination_or_timeout(input.run_for)? {
        ssc.stop(true)?;
    }
    input.report(summary.report(words.value(), clock.now_nanos() - started));
    Ok(())
}

/// What the batches had in all.
#[derive(Default)]
struct Summary {
    batches: Mutex<Vec<Measured>>,
}

struct Measured {
    records: u64,
    processing: Duration,
    delay: Duration,
}

impl Summary {
    fn report(&self, words: i64, ran_nanos: i64) -> String {
        let batches = self.batches.lock().expect("no listener panics");
        let records: u64 = batches.iter().map(|batch| batch.records).sum();
        let processing = sorted(batches.iter().map(|batch| batch.processing));
        let delay = sorted(batches.iter().map(|batch| batch.delay));
        format!(
            "{} batches, {records} records, {words} words, {:.1} million words/s; \
             processing time p50 {:.1?} p99 {:.1?}; total delay p50 {:.1?} p99 {:.1?}",
            batches.len(),
            words as f64 / ran_nanos as f64 * 1e3,
            percentile(&processing, 50),
            percentile(&processing, 99),
            percentile(&delay, 50),
            percentile(&delay, 99),
        )
    }
}

fn sorted(values: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values
}

/// The least value that `percent` of all values do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

struct SummaryListener(Arc<Summary>);

impl StreamingListener for SummaryListener {
    fn on_batch_completed(&self, batch: &BatchInfo) {
        self.0
            .batches
            .lock()
            .expect("no listener panics")
            .push(Measured {
                records: batch.num_records(),
                processing: batch.processing_delay(),
                delay: batch.total_delay(),
            });
    }
}
