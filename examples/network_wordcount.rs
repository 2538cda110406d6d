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

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its user"
)]

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;
use millstream::time::{Clock, SystemClock};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the program runs on its own text.
const DEMO: Duration = Duration::from_secs(6);
const TEXT: &str = include_str!("text/alice.txt");

fn main() -> millstream::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (address, interval, demo) = match &arguments[..] {
        [] => (serve_text()?.to_string(), Duration::from_millis(250), true),
        [host, port] => (format!("{host}:{port}"), Duration::from_secs(1), false),
        _ => {
            return Err(millstream::Error::invalid_argument(
                "usage: network_wordcount [<host> <port>]",
            ));
        }
    };

    let ssc = StreamingContext::builder()
        .app_name("NetworkWordCount")
        .batch_interval(interval)
        .build()?;
    let lines = ssc.socket_text_stream(address)?;
    let counts = lines
        .flat_map(|line| line.split(' '))
        .map(|word| (word, 1u64))
        .reduce_by_key(|a, b| a + b);
    counts.print();

    let summary = Arc::new(Summary::default());
    ssc.add_listener(SummaryListener(Arc::clone(&summary)));
    let words = Arc::clone(&summary);
    counts
        .map(|(_, count)| count)
        .foreach_rdd(move |counts, _| {
            let batch = counts.reduce(|a, b| a + b)?.unwrap_or(0);
            words.words.fetch_add(batch, Ordering::Relaxed);
            Ok(())
        });

    stop_on_signal(&ssc)?;
    let clock = SystemClock::new();
    let started = clock.now_nanos();
    ssc.start()?;
    if demo {
        ssc.await_termination_or_timeout(DEMO)?;
    } else {
        ssc.await_termination()?;
    }
    ssc.stop(true)?;
    // Standard output of the guide's form has the batches and nothing else.
    let report = summary.report(clock.now_nanos() - started);
    if demo {
        println!("{report}");
    } else {
        eprintln!("{report}");
    }
    Ok(())
}

/// Stops the context gracefully at Ctrl-C.
fn stop_on_signal(ssc: &StreamingContext) -> millstream::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let ssc = ssc.clone();
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            if signals.forever().next().is_some()
                && let Err(error) = ssc.stop(true)
            {
                eprintln!("{error}");
            }
        })?;
    Ok(())
}

/// A text server on a free port, which sends its text again and again, as fast
/// as it is read.
fn serve_text() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    std::thread::Builder::new()
        .name("text source".into())
        .spawn(move || {
            let text = TEXT.repeat(20);
            for client in listener.incoming() {
                let Ok(mut client) = client else { return };
                // Until the reader goes away.
                while client.write_all(text.as_bytes()).is_ok() {}
            }
        })?;
    Ok(address)
}

/// What the batches had in all.
#[derive(Default)]
struct Summary {
    words: AtomicU64,
    batches: Mutex<Vec<Measured>>,
}

struct Measured {
    records: u64,
    processing: Duration,
    delay: Duration,
}

impl Summary {
    fn report(&self, ran_nanos: i64) -> String {
        let batches = self.batches.lock().expect("no listener panics");
        let records: u64 = batches.iter().map(|batch| batch.records).sum();
        let words = self.words.load(Ordering::Relaxed);
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
