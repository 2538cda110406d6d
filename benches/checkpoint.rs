//! What checkpoints cost. How soon a program goes on from one: the bench `recovery`.
//!
//! `cargo bench --bench checkpoint -- [--rounds N] [--keys N] [--updates N] [--interval-ms N]`
//!
//! State of `keys` 64-bit keys; a batch every `interval-ms` updates `updates` of them. The
//! program runs twice, without checkpoints and with one every second, whose batches take
//! turns: the machine changes its speed from one second to the next. A round is a second
//! of batches of both, and so has one checkpoint.

#![expect(clippy::print_stdout, reason = "prints its report")]
#![expect(clippy::disallowed_methods, reason = "measures real time")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails may panic")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use common::args;
use common::generate::{Random, SEED, spread};
use common::rounds::median;
use millstream::dstream::{InputBatch, InputSource};
use millstream::listener::{CheckpointInfo, StreamingListener};
use millstream::prelude::*;
use millstream::time::ManualClock;
use millstream::{State, StateSpec};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Different batches, which come again and again.
const BATCHES: usize = 8;

struct Args {
    rounds: usize,
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

/// Bytes of each checkpoint.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u64>>>);

impl StreamingListener for Written {
    fn on_checkpoint(&self, checkpoint: &CheckpointInfo) {
        assert!(checkpoint.error.is_none(), "all checkpoints are written");
        self.0.lock().unwrap().push(checkpoint.bytes);
    }
}

/// A program whose clock is moved from batch to batch.
struct Program {
    ssc: StreamingContext,
    clock: ManualClock,
    next: BatchTime,
    written: Written,
}

impl Program {
    /// One that saves to `dir`, if there is such.
    fn start(args: &Args, dir: Option<&Path>, batches: &Arc<[Pairs]>) -> Self {
        let interval = Duration::from_millis(args.interval_ms as u64);
        let clock = ManualClock::new(0);
        let make = || {
            StreamingContext::builder()
                .batch_interval(interval)
                .clock(clock.clone())
                .build()
        };
        let ssc = match dir {
            Some(dir) => StreamingContext::get_or_create(dir, make).unwrap(),
            None => make().unwrap(),
        };
        let all = (0..args.keys as u64).map(|key| (spread(key), 0)).collect();
        let source = Updates {
            all: Some(all),
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
        let written = Written::default();
        ssc.add_listener(written.clone());
        ssc.start().unwrap();
        Self {
            ssc,
            clock,
            next: BatchTime::from_millis(0) + interval,
            written,
        }
    }

    /// How long the next batch takes, from when it is due to its end.
    fn batch(&mut self) -> f64 {
        let begin = Instant::now();
        self.clock.set(self.next);
        self.ssc.await_batch(self.next);
        self.next = self.next + self.ssc.batch_interval();
        begin.elapsed().as_secs_f64() * 1e3
    }
}

fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!(
        "millstream-bench-checkpoint-{}",
        std::process::id()
    ))
}

/// The same batches without and with checkpoints, in turn, each of them every
/// `interval-ms`.
fn measure(args: &Args, dir: &Path, batches: &Arc<[Pairs]>) {
    let mut plain = Program::start(args, None, batches);
    let mut saved = Program::start(args, Some(dir), batches);
    let rest = Duration::from_millis(args.interval_ms as u64) / 2;
    let per_second = (1_000 / args.interval_ms).max(1);
    let mut sums = Vec::with_capacity(args.rounds);
    // What the first ones do is no part of it: all keys are new, and are saved.
    for round in 0..args.rounds + 3 {
        let mut sum = [0.0; 2];
        for i in 0..per_second {
            for turn in [i % 2, 1 - i % 2] {
                let program = [&mut plain, &mut saved];
                thread::sleep(rest);
                sum[turn] += program[turn].batch() / per_second as f64;
            }
        }
        sums.push(sum);
        if round == 2 {
            sums.clear();
            saved.written.0.lock().unwrap().clear();
        }
    }
    plain.ssc.stop(true).unwrap();
    saved.ssc.stop(true).unwrap();
    for (name, which) in [("without", 0), ("with", 1)] {
        let (middle, low, high) = median(sums.iter().map(|sum| sum[which]));
        println!("time checkpoint/batch {name} {middle:.3} ms ({low:.3}..{high:.3})");
    }
    let written = saved.written.0.lock().unwrap();
    println!(
        "{} checkpoints of {} bytes on average",
        written.len(),
        written.iter().sum::<u64>() / written.len().max(1) as u64
    );
    let (middle, low, high) = median(sums.iter().map(|[without, with]| with / without));
    println!("ratio checkpoint/batch with against without {middle:.2} ({low:.2}..{high:.2})");
}

fn main() {
    let mut args = Args {
        rounds: 30,
        keys: 1_000_000,
        updates: 10_000,
        interval_ms: 100,
    };
    let is_test = args::is_test(&mut [
        ("--rounds", &mut args.rounds),
        ("--keys", &mut args.keys),
        ("--updates", &mut args.updates),
        ("--interval-ms", &mut args.interval_ms),
    ]);
    if is_test {
        (args.rounds, args.keys, args.updates) = (1, 3_000, 100);
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
    let dir = scratch();
    measure(&args, &dir, &batches);
    std::fs::remove_dir_all(&dir).unwrap();
}
