//! Latency at a batch interval of 1 ms, beside a hand-written loop.
//!
//! `cargo bench --bench latency -- [--seconds N] [--rounds N] [--rate LINES_PER_SECOND]`
//!
//! A sender gives `rate` lines a second, a portion every millisecond; the first
//! line of each portion carries the time at which it was due. The result of a
//! batch is its number of lines and the due times in it; a latency is the moment
//! at which that result was handed out, minus the due time. The sender's own
//! lateness is in it, for both sides alike.

#![expect(clippy::print_stdout, reason = "prints its report")]
#![expect(clippy::disallowed_methods, reason = "measures real time")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails may panic")]

mod common;

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use common::{args, yardstick};
use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LINE: &str =
    "the quick brown fox jumps over the lazy dog and runs away from all of the other animals here";
const MARK: u8 = b'@';

fn main() {
    let (mut seconds, mut rounds, mut rate) = (10, 3, 100_000);
    let mut options = [
        ("--seconds", &mut seconds),
        ("--rounds", &mut rounds),
        ("--rate", &mut rate),
    ];
    if args::is_test(&mut options) {
        (seconds, rounds) = (1, 1);
    }
    let (seconds, rounds, rate) = (seconds as u64, rounds as u64, rate as u64);
    println!("{rate} lines/s, batch interval 1 ms, {seconds} s a round");
    for round in 0..rounds {
        // In turn, so that both meet the same moods of the machine.
        report(round, "millstream", engine(seconds, rate));
        report(round, "hand-written", hand_written(seconds, rate));
    }
}

/// What one side measured.
struct Measured {
    /// Nanoseconds from due to handed out.
    latencies: Vec<u64>,
    lines: u64,
    sent: u64,
    /// Nanoseconds from cut to first job, batch by batch; empty by hand.
    scheduling: Vec<u64>,
}

fn report(round: u64, name: &str, mut measured: Measured) {
    assert_eq!(
        measured.lines, measured.sent,
        "{name}: every line is counted once"
    );
    let (first, last) = halves(&measured.scheduling);
    measured.latencies.sort_unstable();
    let ms = |per_mille: usize| {
        let rank = (measured.latencies.len() * per_mille).div_ceil(1000).max(1);
        measured.latencies[rank - 1] as f64 / 1e6
    };
    println!(
        "round {round} {name:13} lines {} p50 {:.2} ms p99 {:.2} ms p99.9 {:.2} ms max {:.2} ms; \
         mean scheduling delay in the first and last tenth {first:.0} and {last:.0} us",
        measured.lines,
        ms(500),
        ms(990),
        ms(999),
        ms(1000),
    );
}

/// Means of the first and the last tenth, in microseconds.
fn halves(delays: &[u64]) -> (f64, f64) {
    let tenth = (delays.len() / 10).max(1).min(delays.len());
    let mean = |part: &[u64]| part.iter().sum::<u64>() as f64 / part.len().max(1) as f64 / 1e3;
    (
        mean(&delays[..tenth]),
        mean(&delays[delays.len() - tenth..]),
    )
}

/// Sends to the first client, then closes. Times are since `epoch`.
fn sender(epoch: Instant, seconds: u64, rate: u64) -> (SocketAddr, thread::JoinHandle<u64>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.set_nodelay(true).unwrap();
        let start = epoch.elapsed().as_nanos() as u64;
        let per_ms = rate / 1000;
        for tick in 0..seconds * 1000 {
            let due = start + tick * 1_000_000;
            let now = epoch.elapsed().as_nanos() as u64;
            if due > now {
                thread::sleep(Duration::from_nanos(due - now));
            }
            let mut portion = format!("{}{due}\n", MARK as char);
            for _ in 1..per_ms {
                portion.push_str(LINE);
                portion.push('\n');
            }
            client.write_all(portion.as_bytes()).unwrap();
        }
        seconds * 1000 * per_ms
    });
    (address, thread)
}

/// The due time that a line carries.
fn due(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(&[MARK])?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

struct Delays(Arc<Mutex<Vec<u64>>>);

impl StreamingListener for Delays {
    fn on_batch_completed(&self, batch: &BatchInfo) {
        self.0
            .lock()
            .unwrap()
            .push(batch.scheduling_delay().as_nanos() as u64);
    }
}

fn engine(seconds: u64, rate: u64) -> Measured {
    let epoch = Instant::now();
    let (address, sender) = sender(epoch, seconds, rate);
    let ssc = StreamingContext::builder()
        .batch_interval(Duration::from_millis(1))
        .set("receiver_restart_delay", "1h")
        .build()
        .unwrap();
    let lines = ssc.socket_text_stream(address.to_string()).unwrap();
    let latencies = Arc::new(Mutex::new(Vec::new()));
    let counted = Arc::new(AtomicUsize::new(0));
    let (out, total) = (Arc::clone(&latencies), Arc::clone(&counted));
    lines
        .map(|line| (1u64, due(line.as_bytes()).into_iter().collect::<Vec<_>>()))
        .reduce(|(a, mut dues), (b, mut more)| {
            dues.append(&mut more);
            (a + b, dues)
        })
        .foreach_rdd(move |rdd, _| {
            for (lines, dues) in rdd.collect()? {
                let now = epoch.elapsed().as_nanos() as u64;
                out.lock().unwrap().extend(dues.iter().map(|due| now - due));
                total.fetch_add(lines as usize, Ordering::Relaxed);
            }
            Ok(())
        });
    let scheduling = Arc::new(Mutex::new(Vec::new()));
    ssc.add_listener(Delays(Arc::clone(&scheduling)));
    ssc.start().unwrap();
    let sent = sender.join().unwrap();
    // The sender is done, but its last bytes may still be on their way.
    while (counted.load(Ordering::Relaxed) as u64) < sent {
        thread::sleep(Duration::from_millis(1));
    }
    ssc.stop(true).unwrap();
    let latencies = latencies.lock().unwrap().clone();
    let scheduling = scheduling.lock().unwrap().clone();
    Measured {
        latencies,
        lines: counted.load(Ordering::Relaxed) as u64,
        sent,
        scheduling,
    }
}

/// One thread receives into a buffer, another takes it every millisecond, counts
/// its lines and reads the due times.
fn hand_written(seconds: u64, rate: u64) -> Measured {
    let epoch = Instant::now();
    let (address, sender) = sender(epoch, seconds, rate);
    let stream = TcpStream::connect(address).unwrap();
    let (mut lines, mut latencies) = (0, Vec::new());
    yardstick::batches(stream, Duration::from_millis(1), |batch| {
        let mut dues = Vec::new();
        for line in batch.split_inclusive(|&byte| byte == b'\n') {
            lines += 1;
            dues.extend(due(&line[..line.len() - 1]));
        }
        let now = epoch.elapsed().as_nanos() as u64;
        latencies.extend(dues.iter().map(|due| now - due));
    });
    let sent = sender.join().unwrap();
    Measured {
        latencies,
        lines,
        sent,
        scheduling: Vec::new(),
    }
}
