//! What checkpoints cost, and how soon a program goes on from one.
//!
//! `cargo bench --bench checkpoint -- [--rounds N] [--seconds N] [--keys N] [--updates N]
//! [--interval-ms N]`
//!
//! State of `keys` 64-bit keys; a batch every `interval-ms` updates `updates` of them. A
//! round runs the program for some seconds without checkpoints and with one every
//! second, in turn. Then the last state is read again.

#![expect(clippy::print_stdout, reason = "prints its report")]
#![expect(clippy::disallowed_methods, reason = "measures real time")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails may panic")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;

use common::args;
use common::generate::{Random, SEED, spread};
use common::rounds::median;
use millstream::dstream::{InputBatch, InputSource};
use millstream::listener::{BatchInfo, CheckpointInfo, StreamingListener};
use millstream::prelude::*;
use millstream::{State, StateSpec};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Different batches, which come again and again.
const BATCHES: usize = 8;

struct Args {
    rounds: usize,
    seconds: usize,
    keys: usize,
    updates: usize,
    interval_ms: usize,
}

type Pairs = Vec<(u64, u64)>;

/// All keys in the first batch, then some of them in each.
struct Updates {
    all: Option<Pairs>,
    batches: Arc<[Pairs]>,
    next: usize,
}

impl InputSource<(u64, u64)> for Updates {
    fn compute(
        &mut self,
        _time: BatchTime,
        batch: &mut InputBatch<'_>,
    ) -> millstream::Result<Option<Rdd<(u64, u64)>>> {
        if let Some(all) = self.all.take() {
            return Ok(Some(batch.parallelize(all, 4)));
        }
        self.next += 1;
        let some = &self.batches[self.next % BATCHES];
        Ok(Some(batch.parallelize(some.iter().copied(), 4)))
    }
}

#[derive(Default)]
struct Measured {
    /// Milliseconds from cut to end, batch by batch.
    delays: Vec<f64>,
    checkpoints: Vec<CheckpointInfo>,
}

struct Watch(Arc<Mutex<Measured>>, mpsc::Sender<()>);

impl StreamingListener for Watch {
    fn on_batch_completed(&self, batch: &BatchInfo) {
        let delay = batch.total_delay();
        self.0
            .lock()
            .unwrap()
            .delays
            .push(delay.as_secs_f64() * 1e3);
        let _ = self.1.send(());
    }

    fn on_checkpoint(&self, checkpoint: &CheckpointInfo) {
        self.0.lock().unwrap().checkpoints.push(checkpoint.clone());
    }
}

struct Program {
    ssc: StreamingContext,
    measured: Arc<Mutex<Measured>>,
    batch: mpsc::Receiver<()>,
}

fn start(args: &Args, dir: Option<&Path>, all: Option<Pairs>, batches: &Arc<[Pairs]>) -> Program {
    let make = || {
        StreamingContext::builder()
            .batch_interval(Duration::from_millis(args.interval_ms as u64))
            .build()
    };
    let ssc = match dir {
        Some(dir) => StreamingContext::get_or_create(dir, make).unwrap(),
        None => make().unwrap(),
    };
    let source = Updates {
        all,
        batches: Arc::clone(batches),
        next: 0,
    };
    let add = |_: u64, value: Option<u64>, state: &mut State<'_, u64>| {
        let sum = state.get_option().copied().unwrap_or_default() + value.unwrap_or_default();
        state.update(sum);
    };
    let sums = ssc
        .input_stream(source)
        .unwrap()
        .map_with_state(StateSpec::function(add))
        .checkpoint(Duration::from_secs(1))
        .unwrap();
    sums.foreach_rdd(|rdd, _| rdd.count().map(|_| ()));
    let measured = Arc::<Mutex<Measured>>::default();
    let (told, batch) = mpsc::channel();
    ssc.add_listener(Watch(Arc::clone(&measured), told));
    ssc.start().unwrap();
    Program {
        ssc,
        measured,
        batch,
    }
}

/// Runs for some seconds behind the first batch.
fn measure(args: &Args, dir: Option<&Path>, batches: &Arc<[Pairs]>) -> Measured {
    let all = (0..args.keys as u64).map(|key| (spread(key), 0)).collect();
    let program = start(args, dir, Some(all), batches);
    // What the first ones do is no part of it: all keys are new.
    let warm = 1_500 / args.interval_ms + 2;
    for _ in 0..warm {
        program.batch.recv().unwrap();
    }
    *program.measured.lock().unwrap() = Measured::default();
    for _ in 0..(args.seconds * 1_000 / args.interval_ms).max(3) {
        program.batch.recv().unwrap();
    }
    let measured = std::mem::take(&mut *program.measured.lock().unwrap());
    program.ssc.stop(true).unwrap();
    measured
}

fn scratch(number: usize) -> PathBuf {
    let name = format!(
        "millstream-bench-checkpoint-{}-{number}",
        std::process::id()
    );
    std::env::temp_dir().join(name)
}

fn main() {
    let mut args = Args {
        rounds: 5,
        seconds: 5,
        keys: 1_000_000,
        updates: 10_000,
        interval_ms: 100,
    };
    let is_test = args::is_test(&mut [
        ("--rounds", &mut args.rounds),
        ("--seconds", &mut args.seconds),
        ("--keys", &mut args.keys),
        ("--updates", &mut args.updates),
        ("--interval-ms", &mut args.interval_ms),
    ]);
    if is_test {
        (args.rounds, args.seconds, args.keys, args.updates) = (1, 1, 3_000, 100);
    }
    let mut random = Random::new(SEED);
    let mut pair = |_| {
        (
            spread(random.below(args.keys as u64)),
            1 + random.below(100),
        )
    };
    let batches = (0..BATCHES).map(|_| (0..args.updates).map(&mut pair).collect());
    let batches: Arc<[Pairs]> = batches.collect();
    let mut ratios = Vec::new();
    for round in 0..args.rounds {
        let dir = scratch(round);
        let plain = measure(&args, None, &batches);
        let saved = measure(&args, Some(&dir), &batches);
        let mean = |delays: &[f64]| delays.iter().sum::<f64>() / delays.len() as f64;
        let (without, with) = (mean(&plain.delays), mean(&saved.delays));
        ratios.push(with / without);
        let bytes: u64 = saved
            .checkpoints
            .iter()
            .map(|checkpoint| checkpoint.bytes)
            .sum();
        let errors = saved
            .checkpoints
            .iter()
            .filter(|it| it.error.is_some())
            .count();
        assert_eq!(errors, 0, "all checkpoints are written");
        println!(
            "round {round}: delay of a batch {without:.3} ms without, {with:.3} ms with {} \
             checkpoints of {} bytes on average",
            saved.checkpoints.len(),
            bytes / saved.checkpoints.len().max(1) as u64
        );
        let begin = Instant::now();
        let again = start(&args, Some(&dir), None, &batches);
        let restored = begin.elapsed();
        again.batch.recv().unwrap();
        let first = begin.elapsed();
        again.ssc.stop(true).unwrap();
        println!("round {round}: restored in {restored:.1?}, first batch after {first:.1?}");
        std::fs::remove_dir_all(&dir).unwrap();
    }
    let (middle, low, high) = median(ratios.into_iter());
    println!("ratio checkpoint/delay with against without {middle:.2} ({low:.2}..{high:.2})");
}
