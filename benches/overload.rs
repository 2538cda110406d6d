//! Twice the load that can be processed: what memory does, and the time to catch up.
//!
//! `cargo bench --bench overload -- [--seconds N] [--percent N] [--interval-ms N]`
//!
//! First a sender that never waits finds out how many lines a second are processed.
//! Then one offers up to `percent` (200) of that for `seconds` (30): in a step, in a ramp
//! up and down, and in a sawtooth. It keeps to its times as well as it can, but is pushed
//! back when the engine is full, as a real source would be. A line a second says how much
//! was offered, sent and processed, how many batches wait, and how much memory is
//! resident. The sender then ends, and the rest is worked off. Every line that was sent
//! has to come out. Settings are taken from the environment, such as
//! `MILLSTREAM_RING_BYTES=32MiB` or `MILLSTREAM_BACKPRESSURE_ENABLED=true`.

#![expect(clippy::print_stdout, reason = "prints its report")]
#![expect(clippy::disallowed_methods, reason = "measures real time")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails may panic")]

mod common;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use common::{args, generate};
use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Lines of the text that the sender repeats.
const LINES: usize = 20_000;

fn main() {
    let (mut seconds, mut percent, mut interval) = (30, 200, 100);
    let test = args::is_test(&mut [
        ("--seconds", &mut seconds),
        ("--percent", &mut percent),
        ("--interval-ms", &mut interval),
    ]);
    let seconds = if test { 1 } else { seconds as u64 };
    let (percent, interval) = (percent as u64, Duration::from_millis(interval as u64));

    let flat_out = Load::start(interval, |_| u64::MAX);
    // The first second warms up.
    thread::sleep(Duration::from_secs(1));
    let before = flat_out.counts.processed.load(Relaxed);
    let since = Instant::now();
    thread::sleep(Duration::from_secs(if test { 1 } else { 5 }));
    let processed = flat_out.counts.processed.load(Relaxed) - before;
    let capacity = (processed as f64 / since.elapsed().as_secs_f64()) as u64;
    flat_out.finish();

    let peak = capacity * percent / 100;
    println!("{capacity} lines/s can be processed; up to {peak} are offered for {seconds} s");
    for (name, shape) in SHAPES {
        overload(name, shape, interval, peak, seconds);
    }
}

/// What was offered until a part of the time has passed, of what would be at the peak.
type Shape = fn(f64) -> f64;

const SHAPES: [(&str, Shape); 3] = [("step", step), ("ramp", ramp), ("sawtooth", sawtooth)];

/// A quarter of the peak, and all of it from a fifth of the time on.
fn step(part: f64) -> f64 {
    0.25 * part.min(0.2) + (part - 0.2).max(0.0)
}

/// Up to the peak and down to nothing.
fn ramp(part: f64) -> f64 {
    let (up, down) = (part.min(0.5), (part - 0.5).clamp(0.0, 0.5));
    up * up + down - down * down
}

/// Up to the peak eight times.
fn sawtooth(part: f64) -> f64 {
    let teeth = part * 8.0;
    (teeth.floor() + teeth.fract() * teeth.fract()) / 16.0
}

/// Offers a load of this shape and reports what it did.
fn overload(name: &str, shape: Shape, interval: Duration, peak: u64, seconds: u64) {
    let offered = move |elapsed: Duration| {
        let part = elapsed.as_secs_f64() / seconds as f64;
        (shape(part) * peak as f64 * seconds as f64) as u64
    };
    println!("\n{name}");
    println!("second   offered M   sent M   processed M   batches waiting   resident MiB");
    let load = Load::start(interval, offered);
    let mut resident = Vec::new();
    let start = Instant::now();
    for second in 1..=seconds {
        thread::sleep(Duration::from_secs(second).saturating_sub(start.elapsed()));
        let counts = &load.counts;
        let millions = |count: u64| count as f64 / 1e6;
        resident.push(resident_mib());
        println!(
            "{second:6} {:11.2} {:8.2} {:13.2} {:17} {:14.1}",
            millions(offered(Duration::from_secs(second))),
            millions(counts.sent.load(Relaxed)),
            millions(counts.processed.load(Relaxed)),
            counts.waiting.load(Relaxed),
            resident.last().copied().flatten().unwrap_or(f64::NAN),
        );
    }
    let (sent, processed, caught_up, batches) = load.finish();
    println!(
        "caught up {:.2} s and {batches} batches after the sender ended; {} of {sent} lines lost",
        caught_up.as_secs_f64(),
        sent - processed
    );
    // What it takes to fill the rings is no growth.
    let warm = resident[resident.len() / 4].zip(resident[resident.len() - 1]);
    if let Some((warm, last)) = warm {
        let most = resident.iter().flatten().copied().fold(0.0, f64::max);
        println!(
            "resident after a quarter {warm:.1} MiB, at the end {last:.1} MiB: {:+.1} %; \
             {most:.1} MiB at the most",
            (last / warm - 1.0) * 100.0
        );
    }
    assert_eq!(processed, sent, "every line that was sent comes out");
}

/// Memory of this process, sender included; none where the system does not say.
fn resident_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// What the sender, the outputs and the listener count.
#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    processed: AtomicU64,
    /// Batches that were cut and have not ended.
    waiting: AtomicI64,
    /// Batches that ended.
    completed: AtomicU64,
}

struct Waiting(Arc<Counts>);

impl StreamingListener for Waiting {
    fn on_batch_submitted(&self, _: &BatchInfo) {
        self.0.waiting.fetch_add(1, Relaxed);
    }

    fn on_batch_completed(&self, _: &BatchInfo) {
        self.0.waiting.fetch_sub(1, Relaxed);
        self.0.completed.fetch_add(1, Relaxed);
    }
}

/// A word count, and a sender for it.
struct Load {
    ssc: StreamingContext,
    counts: Arc<Counts>,
    end: Arc<AtomicBool>,
    sender: JoinHandle<()>,
}

impl Load {
    /// Begins to offer lines: so many until a time has passed.
    fn start(interval: Duration, offered: impl Fn(Duration) -> u64 + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (counts, end) = (
            Arc::new(Counts::default()),
            Arc::new(AtomicBool::new(false)),
        );
        let sender = thread::spawn({
            let (counts, end) = (Arc::clone(&counts), Arc::clone(&end));
            move || send(listener.accept().unwrap().0, offered, &counts, &end)
        });
        let ssc = StreamingContext::builder()
            .batch_interval(interval)
            .set("receiver_restart_delay", "1h")
            .build()
            .unwrap();
        let lines = ssc.socket_text_stream(address).unwrap();
        lines
            .flat_map(|line| line.split(' '))
            .map(|word| (word, 1_u64))
            .reduce_by_key(|a, b| a + b)
            .foreach_rdd(|rdd, _| rdd.count().map(|_| ()));
        // Second, so that a line is counted when its words are.
        let processed = Arc::clone(&counts);
        lines.foreach_rdd(move |rdd, _| {
            processed.processed.fetch_add(rdd.count()?, Relaxed);
            Ok(())
        });
        ssc.add_listener(Waiting(Arc::clone(&counts)));
        ssc.start().unwrap();
        Self {
            ssc,
            counts,
            end,
            sender,
        }
    }

    /// Ends the sender and waits for the last line: lines sent and processed, the
    /// time that took, and its batches.
    fn finish(self) -> (u64, u64, Duration, u64) {
        self.end.store(true, Relaxed);
        let counts = &self.counts;
        let since = Instant::now();
        let before = counts.completed.load(Relaxed);
        // It may be pushed back in the middle of a portion.
        self.sender.join().unwrap();
        let sent = counts.sent.load(Relaxed);
        while counts.processed.load(Relaxed) < sent {
            thread::sleep(Duration::from_millis(1));
        }
        let caught_up = since.elapsed();
        let batches = counts.completed.load(Relaxed) - before;
        self.ssc.stop(true).unwrap();
        (sent, counts.processed.load(Relaxed), caught_up, batches)
    }
}

/// Sends portions of a text at their times, or later, until told to end.
fn send(
    mut connection: TcpStream,
    offered: impl Fn(Duration) -> u64,
    counts: &Counts,
    end: &AtomicBool,
) {
    static TEXT: OnceLock<Vec<u8>> = OnceLock::new();
    let text = TEXT.get_or_init(|| generate::text(LINES));
    let lines: Vec<_> = text.split_inclusive(|&byte| byte == b'\n').collect();
    let start = Instant::now();
    let mut sent = 0;
    for portion in lines.chunks(100).cycle() {
        while offered(start.elapsed()) <= sent && !end.load(Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        if end.load(Relaxed) {
            break;
        }
        let first = portion[0].as_ptr() as usize - text.as_ptr() as usize;
        let len: usize = portion.iter().map(|line| line.len()).sum();
        connection.write_all(&text[first..first + len]).unwrap();
        sent += portion.len() as u64;
        counts.sent.store(sent, Relaxed);
    }
}
