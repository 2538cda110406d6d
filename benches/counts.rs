//! The hot kernels, each run once between two marks: `.ci/counts` counts their
//! instructions under valgrind and compares them with those that are recorded. A
//! machine that others use changes times, but not these.
//!
//! `cargo bench --bench counts -- [KERNEL ...]`
//!
//! By itself it counts nothing: it runs the kernels (all of them, unless some are
//! named) for their assertions, and says which set of instructions the byte kernels
//! can use here.
#![expect(
    clippy::print_stdout,
    reason = "its lines are what this program is for"
)]

mod common;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ahash::random_state::{RandomSource, set_random_source};
use common::args;
use common::driver::{Driver, INTERVAL};
use common::engine::{self, WordCount};
use common::generate::{self, Random, SEED, WORDS_PER_LINE, Zipf, spread};
use millstream::prelude::*;

// The system's allocator: mimalloc gives memory back by the clock.

const KERNELS: &[(&str, fn())] = &[
    ("line_ends_10k", line_ends),
    ("words_130k", words),
    ("str_from_130k", str_from),
    ("str_hash_130k", str_hash),
    ("str_eq_130k", str_eq),
    ("word_count_64k", word_count),
    ("aggregate_64k", aggregate),
    ("window_inverse_10k", window_inverse),
    ("window_two_stacks_10k", window_two_stacks),
    ("state_10k_of_1M", state),
    ("batch_empty_x100", batch_empty),
    ("batch_of_10_x100", batch_of_10),
];

/// What is counted.
fn between_marks<R>(body: impl FnOnce() -> R) -> R {
    let (mut body, mut result) = (Some(body), None);
    marked(&mut || result = body.take().map(|body| body()));
    result.expect("it ran")
}

/// From its begin to its end all threads are counted; `.ci/counts` knows the name.
#[inline(never)]
fn marked(body: &mut dyn FnMut()) {
    body();
    black_box(());
}

/// A line of the text has this many words; so 64k words.
const LINES_64K: usize = 64 * 1024 / WORDS_PER_LINE;

fn text(lines: usize) -> String {
    String::from_utf8(generate::text(lines)).expect("the words are ASCII")
}

fn line_ends() {
    let text = text(10_000);
    let ssc = engine::workers(1);
    let lines = ssc.text_lines(&text).map(|line: Str| (1, line.len()));
    let sum = between_marks(|| lines.reduce(|a, b| (a.0 + b.0, a.1 + b.1)));
    let expected = (10_000, text.len() - 10_000);
    assert_eq!(sum.expect("adding does not fail"), Some(expected));
}

fn words() {
    let lines: Vec<Str> = text(10_000).lines().map(Str::from).collect();
    let words = between_marks(|| {
        let words = lines.into_iter().flat_map(|line| line.split(' '));
        words.map(black_box).count()
    });
    assert_eq!(words, 10_000 * WORDS_PER_LINE);
}

/// The words of some lines.
fn strings() -> Vec<String> {
    let text = text(10_000);
    text.split_whitespace().map(str::to_owned).collect()
}

fn strs() -> Vec<Str> {
    strings().iter().map(|word| Str::from(&**word)).collect()
}

fn str_from() {
    let strings = strings();
    let mut strs = Vec::with_capacity(strings.len());
    between_marks(|| strs.extend(strings.iter().map(|word| Str::from(&**word))));
    assert!(strs.iter().zip(&strings).all(|(a, b)| *a == **b));
}

fn str_hash() {
    let (strs, hash) = (strs(), ahash::RandomState::new());
    let hashes = between_marks(|| {
        strs.iter()
            .fold(0_u64, |sum, word| sum.wrapping_add(hash.hash_one(word)))
    });
    let again = strs.iter().map(|word| hash.hash_one(word.clone()));
    assert_eq!(hashes, again.fold(0, u64::wrapping_add));
}

fn str_eq() {
    let (strs, again) = (strs(), strs());
    let equal = between_marks(|| strs.iter().zip(&again).filter(|(a, b)| a == b).count());
    assert_eq!(equal, strs.len());
}

fn word_count() {
    let mut count = WordCount::new(1, text(LINES_64K).as_bytes());
    let first = count.run();
    assert_eq!(first.words, (LINES_64K * WORDS_PER_LINE) as u64);
    assert_eq!(between_marks(|| count.run()), first);
}

/// A stream of pairs whose batches are given one by one, and what its output saw
/// last.
struct Stream<K: Data> {
    driver: Driver,
    queue: RddQueue<(K, u64)>,
    seen: Arc<AtomicU64>,
}

impl<K: Data> Stream<K> {
    /// `declare` makes a stream of whose records the number is seen.
    fn start<T: Data>(declare: impl FnOnce(DStream<(K, u64)>) -> DStream<T>) -> Self {
        let queue = RddQueue::new();
        let seen = Arc::new(AtomicU64::new(0));
        let driver = Driver::start(1, |ssc| {
            let records = declare(ssc.queue_stream(&queue).expect("not started"));
            let seen = Arc::clone(&seen);
            records.foreach_rdd(move |rdd, _| {
                // Relaxed: read only after the batch has ended.
                seen.store(rdd.count()?, Ordering::Relaxed);
                Ok(())
            });
        });
        Self {
            driver,
            queue,
            seen,
        }
    }

    /// The next batch has these records.
    fn push(&self, records: impl IntoIterator<Item = (K, u64)>) {
        self.queue.push(self.driver.ssc.parallelize(records, 1));
    }

    fn run(&mut self) -> u64 {
        self.driver.batch();
        self.seen.load(Ordering::Relaxed)
    }
}

fn aggregate() {
    let mut words = Stream::start(|words| words.reduce_by_key(|a, b| a + b));
    let batch: Vec<_> = strs()
        .into_iter()
        .take(64 * 1024)
        .zip([1].into_iter().cycle())
        .collect();
    words.push(batch.clone());
    let first = words.run();
    words.push(batch);
    assert_eq!(between_marks(|| words.run()), first);
}

/// A slide of a window of 16 panes with 10 000 entries each, zipf 1.0.
fn window(declare: impl FnOnce(DStream<(u64, u64)>) -> millstream::Result<DStream<(u64, u64)>>) {
    const PANES: usize = 16;
    let mut random = Random::new(SEED);
    let zipf = Zipf::new(100_000, 1.0);
    let mut window = Stream::start(|pairs| declare(pairs).expect("a right window"));
    let mut batch = || {
        let mut keys = std::collections::BTreeSet::new();
        while keys.len() < 10_000 {
            keys.insert(zipf.draw(&mut random) as u64);
        }
        keys
    };
    let mut kept = std::collections::VecDeque::new();
    for _ in 0..2 * PANES {
        let batch = batch();
        window.push(batch.iter().map(|&rank| (spread(rank), rank)));
        kept.push_back(batch);
        window.run();
    }
    let batch = batch();
    window.push(batch.iter().map(|&rank| (spread(rank), rank)));
    kept.push_back(batch);
    let keys = between_marks(|| window.run());
    let in_window = kept.iter().rev().take(PANES).flatten();
    let in_window: std::collections::BTreeSet<_> = in_window.collect();
    assert_eq!(keys, in_window.len() as u64);
}

fn window_inverse() {
    window(|pairs| {
        pairs.reduce_by_key_and_window_inverse(|a, b| a + b, |a, b| a - b, INTERVAL * 16, INTERVAL)
    });
}

fn window_two_stacks() {
    window(|pairs| pairs.reduce_by_key_and_window(u64::max, INTERVAL * 16, INTERVAL));
}

fn state() {
    const KEYS: u64 = 1_000_000;
    let mut sums = Stream::start(|pairs| {
        let sum = |_, _, value: Option<u64>, state: &mut State<'_, u64>| {
            state.update(
                value.unwrap_or_default() + state.get_option().copied().unwrap_or_default(),
            );
            None::<()>
        };
        pairs
            .map_with_state(StateSpec::function_with_time(sum))
            .state_snapshots()
    });
    sums.push((0..KEYS).map(|rank| (spread(rank), 0)));
    let mut random = Random::new(SEED);
    let mut updates = || {
        (0..10_000)
            .map(|_| spread(random.below(KEYS)))
            .map(|key| (key, 1))
            .collect::<Vec<_>>()
    };
    sums.run();
    // The first one makes room for what it logs.
    sums.push(updates());
    sums.run();
    sums.push(updates());
    assert_eq!(between_marks(|| sums.run()), KEYS);
}

/// A hundred batches of so many records; the first ones, which make room, before.
fn batches(records: u64) {
    let mut counts = Stream::start(|pairs| pairs.reduce_by_key(|a, b| a + b));
    let push = |counts: &Stream<u64>| {
        for _ in 0..100 {
            counts.push((0..records).map(|key| (key, 1)));
        }
    };
    let run = |counts: &mut Stream<u64>| (0..100).map(|_| counts.run()).sum::<u64>();
    push(&counts);
    run(&mut counts);
    push(&counts);
    assert_eq!(between_marks(|| run(&mut counts)), 100 * records);
}

fn batch_empty() {
    batches(0);
}

fn batch_of_10() {
    batches(10);
}

/// The same seeds of all hashes in every run: else a table probes a little more or
/// less often in each.
struct Fixed(AtomicUsize);

impl RandomSource for Fixed {
    fn gen_hasher_seed(&self) -> usize {
        self.0
            .fetch_add(0x9e37_79b9_7f4a_7c15_u64 as usize, Ordering::Relaxed)
    }
}

/// What the byte kernels can use. Valgrind has no AVX-512.
fn level() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512vbmi2") {
            return "avx512";
        }
        if is_x86_feature_detected!("avx2") {
            return "avx2";
        }
    }
    "portable"
}

fn main() {
    let fixed = set_random_source(Fixed(AtomicUsize::new(SEED as usize)));
    assert!(fixed.is_ok(), "nothing was hashed before");
    let (named, _) = args::read(&mut []);
    for name in &named {
        assert!(
            KERNELS.iter().any(|(kernel, _)| kernel == name),
            "unknown kernel {name}"
        );
    }
    println!("level {} {}", std::env::consts::ARCH, level());
    for (name, run) in KERNELS {
        if named.is_empty() || named.iter().any(|named| named == name) {
            println!("kernel {name}");
            run();
        }
    }
}
