//! What a slide of a window by key costs, in turn within one process.
//!
//! `cargo bench --bench window -- [--rounds N] [--records N] [--keys N] [--workers N]`
//!
//! Each batch has `records` pairs of 64-bit keys, zipf 1.0 over `keys`; windows of 6
//! and of 60 batches slide by one. A round measures some slides of each contender:
//! sums with an inverse, maxima without one, and a hand-written loop that keeps a
//! hashbrown table for each half of the hashes.
#![expect(
    clippy::print_stdout,
    reason = "its lines are what this program is for"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use common::args;
use common::driver::{Driver, INTERVAL};
use common::generate::{Random, SEED, Zipf, spread};
use common::rounds::{interleave, report, report_time};
use common::timed;
use common::yardstick::{self, Pairs};
use millstream::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Slides that are measured at a time.
const SLIDES: usize = 6;
/// Different batches, which come again and again.
const BATCHES: usize = 66;

struct Args {
    rounds: usize,
    records: usize,
    keys: usize,
    workers: usize,
}

impl Args {
    fn parse() -> Self {
        let mut args = Self {
            rounds: 11,
            records: 100_000,
            keys: 1_000_000,
            workers: 2,
        };
        let is_test = args::is_test(&mut [
            ("--rounds", &mut args.rounds),
            ("--records", &mut args.records),
            ("--keys", &mut args.keys),
            ("--workers", &mut args.workers),
        ]);
        if is_test {
            (args.rounds, args.records, args.keys) = (1, 2_000, 3_000);
        }
        args
    }
}

fn batches(args: &Args) -> Vec<Pairs> {
    let mut random = Random::new(SEED);
    let zipf = Zipf::new(args.keys, 1.0);
    let batch = |_| {
        (0..args.records)
            .map(|_| {
                let rank = zipf.draw(&mut random) as u64;
                (spread(rank), 1 + random.below(100) as i64)
            })
            .collect()
    };
    (0..BATCHES).map(batch).collect()
}

/// What a window has: how many keys, and a sum over them.
type Result = (u64, i64);

/// The engine's window over a queue of batches.
struct Engine {
    driver: Driver,
    queue: RddQueue<(u64, i64)>,
    batches: Vec<Rdd<(u64, i64)>>,
    next: usize,
    seen: Arc<Seen>,
}

/// What the output saw last.
#[derive(Default)]
struct Seen {
    keys: AtomicU64,
    /// Whether it is to read the whole result once.
    read: AtomicBool,
    sum: AtomicI64,
}

impl Engine {
    fn new(
        args: &Args,
        batches: &[Pairs],
        declare: impl FnOnce(DStream<(u64, i64)>) -> millstream::Result<DStream<(u64, i64)>>,
    ) -> Self {
        let queue = RddQueue::new();
        let seen = Arc::<Seen>::default();
        let driver = Driver::start(args.workers, |ssc| {
            let pairs = ssc.queue_stream(&queue).expect("not started");
            let window = declare(pairs).expect("a right window");
            let seen = Arc::clone(&seen);
            // Relaxed: read only after the batch has ended.
            window.foreach_rdd(move |rdd, _| {
                seen.keys.store(rdd.count()?, Ordering::Relaxed);
                if seen.read.swap(false, Ordering::Relaxed) {
                    let sum = rdd.map(|(_, value)| value).reduce(|a, b| a + b)?;
                    seen.sum.store(sum.unwrap_or_default(), Ordering::Relaxed);
                }
                Ok(())
            });
        });
        let batches = batches
            .iter()
            .map(|batch| {
                driver
                    .ssc
                    .parallelize(batch.iter().copied(), 2 * args.workers)
            })
            .collect();
        Self {
            driver,
            queue,
            batches,
            next: 0,
            seen,
        }
    }

    fn slide(&mut self) {
        self.queue.push(self.batches[self.next % BATCHES].clone());
        self.next += 1;
        self.driver.batch();
    }

    fn measure(&mut self) -> Duration {
        timed(|| (0..SLIDES).for_each(|_| self.slide())).0
    }

    /// One slide, and all of its result.
    fn result(&mut self) -> Result {
        self.seen.read.store(true, Ordering::Relaxed);
        self.slide();
        let keys = self.seen.keys.load(Ordering::Relaxed);
        (keys, self.seen.sum.load(Ordering::Relaxed))
    }
}

/// The hand-written loop.
struct ByHand {
    window: yardstick::Window,
    batches: Vec<Arc<Pairs>>,
    next: usize,
}

impl ByHand {
    fn new(args: &Args, batches: &[Pairs], length: usize) -> Self {
        Self {
            window: yardstick::Window::new(args.workers, length),
            batches: batches.iter().cloned().map(Arc::new).collect(),
            next: 0,
        }
    }

    fn slide(&mut self) {
        self.window.slide(&self.batches[self.next % BATCHES]);
        self.next += 1;
    }

    fn measure(&mut self) -> Duration {
        timed(|| (0..SLIDES).for_each(|_| self.slide())).0
    }

    fn result(&mut self) -> Result {
        self.slide();
        let (mut keys, mut total) = (0, 0);
        self.window.rows(|_, sum| {
            keys += 1;
            total += sum;
        });
        (keys, total)
    }
}

fn main() {
    let args = Args::parse();
    let batches = batches(&args);
    let length = |n: u32| INTERVAL * n;
    let sum = |n| {
        Engine::new(&args, &batches, |pairs| {
            pairs.reduce_by_key_and_window_inverse(|a, b| a + b, |a, b| a - b, length(n), INTERVAL)
        })
    };
    let max = |n| {
        Engine::new(&args, &batches, |pairs| {
            pairs.reduce_by_key_and_window(i64::max, length(n), INTERVAL)
        })
    };
    let (mut sum_6, mut sum_60, mut max_6, mut max_60) = (sum(6), sum(60), max(6), max(60));
    let mut by_hand_60 = ByHand::new(&args, &batches, 60);
    for _ in 0..BATCHES {
        for engine in [&mut sum_6, &mut sum_60, &mut max_6, &mut max_60] {
            engine.slide();
        }
        by_hand_60.slide();
    }
    let expected = by_hand_60.result();
    assert_eq!(sum_60.result(), expected);
    assert_eq!(max_60.result().0, expected.0);
    sum_6.result();
    max_6.result();
    println!(
        "{} records in a batch, {} keys in the window of 60, {} workers",
        args.records, expected.0, args.workers
    );
    let times = interleave(
        args.rounds,
        &mut [
            &mut || sum_6.measure(),
            &mut || sum_60.measure(),
            &mut || max_6.measure(),
            &mut || max_60.measure(),
            &mut || by_hand_60.measure(),
        ],
    );
    assert_eq!(sum_60.result(), by_hand_60.result());
    for (name, times) in ["sum/6", "sum/60", "max/6", "max/60", "by_hand/60"]
        .iter()
        .zip(&times)
    {
        report_time(&format!("window/{name}"), times, SLIDES);
    }
    // How many times longer a slide of the long window takes.
    report("window/sum 60 against 6", &times[0], &times[1]);
    report("window/max 60 against 6", &times[2], &times[3]);
    report("window/sum 60 against by_hand", &times[1], &times[4]);
    report("window/max 60 against by_hand", &times[3], &times[4]);
}
