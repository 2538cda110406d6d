//! How soon a program that was killed goes on: from a checkpoint of much state, and the
//! logged data of some seconds behind it.
//!
//! `cargo bench --bench recovery -- [--rounds N] [--keys N] [--updates N] [--batches N]`
//!
//! A process gives each of `keys` (1 000 000) keys a state, which is saved. Then a reliable
//! receiver stores `updates` (10 000) pairs for each of `batches` (100) batches of 100 ms,
//! which are processed, and logged, and in no checkpoint; and the process is killed. The time
//! is from the start of another one until it has read the checkpoint and restored the state,
//! and until those batches and the first fresh one have ended.

#![expect(clippy::print_stdout, reason = "prints its report")]
#![expect(clippy::disallowed_methods, reason = "measures real time")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails may panic")]

mod common;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use common::args;
use common::generate::{Random, SEED, spread};
use common::rounds::median;
use millstream::listener::{CheckpointInfo, StreamingListener};
use millstream::prelude::*;
use millstream::receiver::{Receiver, ReceiverHandle};
use millstream::time::ManualClock;
use millstream::{State, StateSpec};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Pair = (u64, u64);

const INTERVAL: Duration = Duration::from_millis(100);

/// The state is saved at this time, and then once more much later.
const SAVED_EVERY: Duration = Duration::from_secs(100);

struct Load {
    keys: usize,
    updates: usize,
    batches: usize,
}

/// Hands out what it stores with.
struct Given(mpsc::Sender<ReceiverHandle<Pair>>);

impl Receiver<Pair> for Given {
    fn on_start(&mut self, handle: ReceiverHandle<Pair>) -> millstream::Result<()> {
        self.0.send(handle).map_err(millstream::Error::other)
    }

    fn on_stop(&mut self) {}
}

/// Tells of each checkpoint that is written.
struct Saved(mpsc::Sender<BatchTime>);

impl StreamingListener for Saved {
    fn on_checkpoint(&self, checkpoint: &CheckpointInfo) {
        assert!(checkpoint.error.is_none(), "all checkpoints are written");
        let _ = self.0.send(checkpoint.batch_time);
    }
}

struct Program {
    ssc: StreamingContext,
    clock: ManualClock,
    handle: ReceiverHandle<Pair>,
    saved: mpsc::Receiver<BatchTime>,
    /// Pairs that batches had.
    seen: Arc<AtomicU64>,
}

impl Program {
    fn start(dir: &Path, at: BatchTime) -> Self {
        let clock = ManualClock::new(at.as_millis());
        let make = || {
            StreamingContext::builder()
                .batch_interval(INTERVAL)
                .clock(clock.clone())
                .ignore_environment()
                .set("receiver_write_ahead_log", "true")
                .build()
        };
        let ssc = StreamingContext::get_or_create(dir, make).unwrap();
        let (given, handle) = mpsc::channel();
        let pairs = ssc.receiver_stream(Given(given)).unwrap();
        let pairs = pairs.checkpoint(SAVED_EVERY).unwrap();
        let seen = Arc::<AtomicU64>::default();
        let count = Arc::clone(&seen);
        pairs.foreach_rdd(move |rdd, _| {
            // Relaxed: read when the batch has ended.
            count.fetch_add(rdd.count()?, Ordering::Relaxed);
            Ok(())
        });
        let add = |_: u64, value: Option<u64>, state: &mut State<'_, u64>| {
            let sum = state.get_option().copied().unwrap_or_default() + value.unwrap_or_default();
            state.update(sum);
        };
        let sums = pairs.map_with_state(StateSpec::function(add));
        let sums = sums.checkpoint(SAVED_EVERY).unwrap();
        sums.foreach_rdd(|rdd, _| rdd.count().map(|_| ()));
        let (tell, saved) = mpsc::channel();
        ssc.add_listener(Saved(tell));
        ssc.start().unwrap();
        let handle = handle.recv().unwrap();
        Self {
            ssc,
            clock,
            handle,
            saved,
            seen,
        }
    }

    fn batch(&self, time: BatchTime) {
        self.clock.set(time);
        self.ssc.await_batch(time);
    }
}

/// When the state was saved.
fn saved_at() -> BatchTime {
    BatchTime::from_millis(0) + SAVED_EVERY
}

/// The process that is killed.
fn run(dir: &Path, load: &Load) {
    let before = saved_at() - INTERVAL;
    let program = Program::start(dir, BatchTime::from_millis(0));
    // Nothing comes for a while.
    program.batch(before - INTERVAL);
    let keys: Vec<Pair> = (0..load.keys as u64).map(|key| (spread(key), 0)).collect();
    for some in keys.chunks(10_000) {
        program.handle.store_many(some.to_vec()).unwrap();
    }
    program.batch(before);
    program.batch(saved_at());
    // It is written while batches run, and these are over soon.
    assert!(program.saved.iter().any(|time| time == saved_at()));
    let mut random = Random::new(SEED);
    let mut time = saved_at();
    for _ in 0..load.batches {
        let pair = |_| (spread(random.below(load.keys as u64)), 1);
        let some = (0..load.updates).map(pair).collect();
        program.handle.store_many(some).unwrap();
        time = time + INTERVAL;
        program.batch(time);
    }
    println!("processed");
    loop {
        thread::park();
    }
}

/// Runs that process until it has processed all, and kills it.
fn killed(dir: &Path, load: &Load) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let numbers = [
        ("--keys", load.keys),
        ("--updates", load.updates),
        ("--batches", load.batches),
    ];
    for (name, number) in numbers {
        child.arg(name).arg(number.to_string());
    }
    child.arg("run").arg(dir).stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut said = String::new();
    let out = child.stdout.take().unwrap();
    BufReader::new(out).read_line(&mut said).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(said, "processed\n");
}

/// Seconds until the state is restored, and until the first fresh batch has ended.
fn recovered(dir: &Path, load: &Load) -> [f64; 2] {
    let ended = saved_at() + INTERVAL * load.batches as u32;
    let begin = Instant::now();
    let program = Program::start(dir, ended);
    let restored = begin.elapsed().as_secs_f64();
    program.batch(ended + INTERVAL);
    let fresh = begin.elapsed().as_secs_f64();
    // Relaxed: the batches have ended.
    let seen = program.seen.load(Ordering::Relaxed);
    assert_eq!(seen, (load.updates * load.batches) as u64);
    program.ssc.stop(true).unwrap();
    [restored, fresh]
}

fn main() {
    let (mut rounds, mut keys, mut updates, mut batches) = (5, 1_000_000, 10_000, 100);
    let (words, is_test) = args::read(&mut [
        ("--rounds", &mut rounds),
        ("--keys", &mut keys),
        ("--updates", &mut updates),
        ("--batches", &mut batches),
    ]);
    if is_test {
        (rounds, keys, updates, batches) = (1, 3_000, 100, 5);
    }
    let load = Load {
        keys,
        updates,
        batches,
    };
    if let [word, dir] = &words[..] {
        assert_eq!(word, "run", "unknown argument {word}");
        return run(Path::new(dir), &load);
    }
    assert!(words.is_empty(), "unknown argument {}", words[0]);
    let times: Vec<_> = (0..rounds).map(|round| measure(round, &load)).collect();
    for (name, which) in [("restored", 0), ("first fresh batch", 1)] {
        let (middle, low, high) = median(times.iter().map(|times| times[which]));
        println!("time recovery/{name} {middle:.3} s ({low:.3}..{high:.3})");
    }
}

fn measure(round: usize, load: &Load) -> [f64; 2] {
    let dir = format!("millstream-bench-recovery-{}-{round}", std::process::id());
    let dir: PathBuf = std::env::temp_dir().join(dir);
    killed(&dir, load);
    let times = recovered(&dir, load);
    std::fs::remove_dir_all(&dir).unwrap();
    times
}
