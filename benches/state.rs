//! What a batch costs that updates a running sum by key, in turn within one process.
//!
//! `cargo bench --bench state -- [--rounds N] [--keys N] [--updates N] [--workers N]`
//!
//! There are `keys` 64-bit keys. A batch has `updates` pairs, or a hundredth of that,
//! uniform over the keys. A round measures some batches of each contender:
//! `map_with_state` (without and with a result for each record, and with a time-out),
//! `update_state_by_key`, and a hand-written loop that keeps a hashbrown table for
//! each part of the hashes. Beside them `map_with_state` over few keys, and over all
//! keys but without records, against a loop that only reads all sums.
#![expect(
    clippy::print_stdout,
    reason = "its lines are what this program is for"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use common::args;
use common::driver::Driver;
use common::generate::{Random, SEED, spread};
use common::rounds::{interleave, report, report_time};
use common::timed;
use common::yardstick::{self, Pairs};
use millstream::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Different batches, which come again and again.
const BATCHES: usize = 8;

struct Args {
    rounds: usize,
    keys: usize,
    updates: usize,
    workers: usize,
}

impl Args {
    fn parse() -> Self {
        let mut args = Self {
            rounds: 11,
            keys: 1_000_000,
            updates: 1_000_000,
            workers: 2,
        };
        let is_test = args::is_test(&mut [
            ("--rounds", &mut args.rounds),
            ("--keys", &mut args.keys),
            ("--updates", &mut args.updates),
            ("--workers", &mut args.workers),
        ]);
        if is_test {
            (args.rounds, args.keys, args.updates) = (1, 3_000, 2_000);
        }
        args
    }
}

/// Batches of `updates` pairs over `keys` keys.
fn batches(keys: usize, updates: usize) -> Vec<Pairs> {
    let mut random = Random::new(SEED);
    let mut pair = |_| {
        let key = spread(random.below(keys as u64));
        (key, 1 + random.below(100) as i64)
    };
    (0..BATCHES)
        .map(|_| (0..updates).map(&mut pair).collect())
        .collect()
}

/// A zero for each key.
fn zeros(keys: usize) -> Pairs {
    (0..keys as u64).map(|rank| (spread(rank), 0)).collect()
}

/// What there is after a batch: how many keys, and the sum of all values.
type Totals = (u64, i64);

/// What the outputs saw last.
#[derive(Default)]
struct Seen {
    keys: AtomicU64,
    /// Whether the whole state is to be read once.
    read: AtomicBool,
    sum: AtomicI64,
    records: AtomicU64,
}

impl Seen {
    fn watch_state(self: &Arc<Self>, states: &DStream<(u64, i64)>) {
        let seen = Arc::clone(self);
        // Relaxed: read only after the batch has ended.
        states.foreach_rdd(move |rdd, _| {
            seen.keys.store(rdd.count()?, Ordering::Relaxed);
            if seen.read.swap(false, Ordering::Relaxed) {
                let sum = rdd.map(|(_, sum)| sum).reduce(|a, b| a + b)?;
                seen.sum.store(sum.unwrap_or_default(), Ordering::Relaxed);
            }
            Ok(())
        });
    }

    fn watch_records<T: Data>(self: &Arc<Self>, records: &DStream<T>) {
        let seen = Arc::clone(self);
        records.foreach_rdd(move |rdd, _| {
            seen.records.store(rdd.count()?, Ordering::Relaxed);
            Ok(())
        });
    }
}

/// The engine over a queue of batches.
struct Engine {
    driver: Driver,
    queue: RddQueue<(u64, i64)>,
    batches: Vec<Rdd<(u64, i64)>>,
    next: usize,
    seen: Arc<Seen>,
}

impl Engine {
    fn new(
        args: &Args,
        keys: usize,
        batches: &[Pairs],
        declare: impl FnOnce(&DStream<(u64, i64)>, &Arc<Seen>),
    ) -> Self {
        let queue = RddQueue::new();
        let seen = Arc::<Seen>::default();
        let driver = Driver::start(args.workers, |ssc| {
            declare(&ssc.queue_stream(&queue).expect("not started"), &seen);
        });
        let parts = 2 * args.workers;
        queue.push(driver.ssc.parallelize(zeros(keys), parts));
        let rdd = |batch: &Pairs| driver.ssc.parallelize(batch.iter().copied(), parts);
        let batches = batches.iter().map(rdd).collect();
        let mut engine = Self {
            driver,
            queue,
            batches,
            next: 0,
            seen,
        };
        engine.driver.batch();
        engine
    }

    fn batch(&mut self) {
        if let Some(batch) = self.batches.get(self.next % BATCHES) {
            self.queue.push(batch.clone());
        }
        self.next += 1;
        self.driver.batch();
    }

    fn measure(&mut self, times: usize) -> Duration {
        timed(|| (0..times).for_each(|_| self.batch())).0
    }

    /// One batch, and all of the state.
    fn totals(&mut self) -> Totals {
        self.seen.read.store(true, Ordering::Relaxed);
        self.batch();
        let keys = self.seen.keys.load(Ordering::Relaxed);
        (keys, self.seen.sum.load(Ordering::Relaxed))
    }
}

/// Adds a value to the state of its key.
fn add(value: Option<i64>, state: &mut State<'_, i64>) -> i64 {
    let sum = state.get_option().copied().unwrap_or_default() + value.unwrap_or_default();
    state.update(sum);
    sum
}

fn map(pairs: &DStream<(u64, i64)>, seen: &Arc<Seen>) {
    let spec = StateSpec::function_with_time(|_, _, value, state: &mut State<'_, i64>| {
        add(value, state);
        None::<()>
    });
    seen.watch_state(&pairs.map_with_state(spec).state_snapshots());
}

fn map_with_result(pairs: &DStream<(u64, i64)>, seen: &Arc<Seen>) {
    let spec =
        StateSpec::function(|key, value, state: &mut State<'_, i64>| (key, add(value, state)));
    let sums = pairs.map_with_state(spec);
    seen.watch_state(&sums.state_snapshots());
    seen.watch_records(&sums);
}

fn map_with_timeout(pairs: &DStream<(u64, i64)>, seen: &Arc<Seen>) {
    let spec = StateSpec::function_with_time(|_, _, value, state: &mut State<'_, i64>| {
        if !state.is_timing_out() {
            add(value, state);
        }
        None::<()>
    });
    let spec = spec.timeout(Duration::from_secs(3600));
    seen.watch_state(&pairs.map_with_state(spec).state_snapshots());
}

fn update(pairs: &DStream<(u64, i64)>, seen: &Arc<Seen>) {
    let sums = pairs.update_state_by_key(|new: &[i64], sum: Option<&i64>| {
        Some(sum.copied().unwrap_or_default() + new.iter().sum::<i64>())
    });
    seen.watch_state(&sums);
}

/// The hand-written loop.
struct ByHand {
    state: yardstick::State,
    batches: Vec<Arc<Pairs>>,
    next: usize,
}

impl ByHand {
    fn new(args: &Args, keys: usize, batches: &[Pairs]) -> Self {
        let state = yardstick::State::new(args.workers);
        state.add(&Arc::new(zeros(keys)));
        Self {
            state,
            batches: batches.iter().cloned().map(Arc::new).collect(),
            next: 0,
        }
    }

    fn batch(&mut self) {
        self.state.add(&self.batches[self.next % BATCHES]);
        self.next += 1;
    }

    fn measure(&mut self, times: usize) -> Duration {
        timed(|| (0..times).for_each(|_| self.batch())).0
    }

    /// One batch, and all of the state.
    fn totals(&mut self) -> Totals {
        self.batch();
        let mut keys = 0;
        self.state.rows(|_, _| keys += 1);
        (keys, self.state.scan())
    }
}

/// Runs the contenders over batches of `updates` pairs.
fn compare(args: &Args, updates: usize, steps: usize) {
    let batches = batches(args.keys, updates);
    let mut by_hand = ByHand::new(args, args.keys, &batches);
    let engine = |declare: fn(&DStream<(u64, i64)>, &Arc<Seen>)| {
        Engine::new(args, args.keys, &batches, declare)
    };
    let mut engines = [
        ("map", engine(map)),
        ("map_with_result", engine(map_with_result)),
        ("map_with_timeout", engine(map_with_timeout)),
        ("update", engine(update)),
    ];
    let few = self::batches(args.keys / 100, updates);
    let mut few = Engine::new(args, args.keys / 100, &few, map);
    let times = {
        let [a, b, c, d] = &mut engines;
        interleave(
            args.rounds,
            &mut [
                &mut || by_hand.measure(steps),
                &mut || a.1.measure(steps),
                &mut || b.1.measure(steps),
                &mut || c.1.measure(steps),
                &mut || d.1.measure(steps),
                &mut || few.measure(steps),
            ],
        )
    };
    let expected = by_hand.totals();
    report_time(&format!("state/{updates}/by_hand"), &times[0], steps);
    for (i, (name, engine)) in (1..).zip(&mut engines) {
        assert_eq!(engine.totals(), expected, "{name}");
        report_time(&format!("state/{updates}/{name}"), &times[i], steps);
        report(
            &format!("state/{updates}/{name} against by_hand"),
            &times[i],
            &times[0],
        );
    }
    let records = engines[1].1.seen.records.load(Ordering::Relaxed);
    assert_eq!(records, updates as u64, "a result for each record");
    // How many times longer it takes over a hundred times the keys.
    report(
        &format!("state/{updates}/map few keys against many"),
        &times[5],
        &times[1],
    );
}

/// Batches without records, against reading all sums.
fn idle(args: &Args) {
    let steps = 100;
    let by_hand = ByHand::new(args, args.keys, &[]);
    let mut idle =
        [map, map_with_timeout].map(|declare| Engine::new(args, args.keys, &[], declare));
    let mut none = Engine::new(args, 0, &[], map);
    let times = {
        let [a, b] = &mut idle;
        interleave(
            args.rounds,
            &mut [
                &mut || timed(|| assert_eq!(by_hand.state.scan(), 0)).0 * steps as u32,
                &mut || a.measure(steps),
                &mut || b.measure(steps),
                &mut || none.measure(steps),
            ],
        )
    };
    for (name, times) in ["scan", "map", "map_with_timeout", "no keys"]
        .iter()
        .zip(&times)
    {
        report_time(&format!("state/idle/{name}"), times, steps);
    }
}

fn main() {
    let args = Args::parse();
    println!("{} keys, {} workers", args.keys, args.workers);
    compare(&args, args.updates, 2);
    compare(&args, args.updates / 100, 50);
    idle(&args);
}
