//! The whole engine under a seed: its threads, the disk, the time, and what goes wrong.
//!
//! A seed says everything: in which order the threads take their steps (shuttle runs them, one
//! at a time), what comes in and when, when the time moves on, which call of the disk fails,
//! when the process ends and what a crash of the machine leaves of what was not durable. Each
//! seed is a program that lives some lives on one disk, and then comes to its end in peace.
//! So a seed that finds something finds it again: [`trace`](truth::Truth::trace) is the same.
//!
//! | what | where |
//! | --- | --- |
//! | what is decided once per seed, and what happens in a life | `events` |
//! | the streams and outputs, and what they show | `program` |
//! | the source and the store outside, which no crash takes anything from | `outside` |
//! | what was promised and seen, and what follows from it | `truth` |
//! | the lives, one after the other | `lives` |
//!
//! Shown is: what was acknowledged is in one batch, and what was not in one at most; batches
//! come in order, one per interval, and again as they were; state and windows of each are those
//! of plain lists; the store has each partition of each batch once, and nothing else.
//!
//! Not here: tasks that run beside each other, as a checker of models knows no other threads
//! than its own, sockets, and files as inputs.
//!
//! `.ci/simulate` runs it. `SIMULATE_SEEDS` says how many seeds, `SIMULATE_FIRST` the first of
//! them, `SIMULATE_SEED` runs one and prints what happened.

mod events;
mod lives;
mod outside;
mod program;
mod truth;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use shuttle::scheduler::RandomScheduler;
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use crate::hash::KeyHash;
use lives::Outcome;

/// Seeds, unless `SIMULATE_SEEDS` says how many.
const SEEDS: u64 = 1000;

/// Steps of a life that does not end by itself.
const MAX_STEPS: usize = 50_000_000;

/// The engine's own frames are deep.
const STACK_BYTES: usize = 256 << 10;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

fn simulate(seed: u64, tells: bool) -> Outcome {
    // Those of this process would be others the next time.
    KeyHash::adopt((0x5eed_0000_0000_0001, 0x5eed_0000_0000_0003));
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.silence_warnings = true;
    config.max_steps = MaxSteps::FailAfter(MAX_STEPS);
    config.failure_persistence = FailurePersistence::None;
    let outcome = Arc::<OnceLock<Outcome>>::default();
    let ended = Arc::clone(&outcome);
    Runner::new(RandomScheduler::new_from_seed(seed, 1), config).run(move || {
        let _ = ended.set(lives::run(seed, tells));
    });
    outcome.get().cloned().expect("it ran to its end")
}

/// Prints the seed if what it stands for fails.
struct Name(u64);

impl Drop for Name {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to see it again: SIMULATE_SEED={} .ci/simulate", self.0);
        }
    }
}

#[test]
fn shuttle_simulate_g_10_g_14_g_16_g_17_whatever_happens_nothing_is_lost() {
    if let Some(seed) = number("SIMULATE_SEED") {
        let _name = Name(seed);
        simulate(seed, true);
        return;
    }
    let first = number("SIMULATE_FIRST").unwrap_or(0);
    let seeds = first..first + number("SIMULATE_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(seeds.start);
    let total = std::sync::Mutex::new(Outcome::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    // Relaxed: only the number counts.
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !seeds.contains(&seed) {
                        break;
                    }
                    let _name = Name(seed);
                    let outcome = simulate(seed, false);
                    total.lock().unwrap().add(&outcome);
                }
            });
        }
    });
    println!("seeds {seeds:?}: {:?}", total.into_inner().unwrap());
}

#[test]
fn shuttle_simulate_a_seed_is_the_same_each_time() {
    for seed in 0..20 {
        let _name = Name(seed);
        assert_eq!(simulate(seed, false), simulate(seed, false));
    }
}
