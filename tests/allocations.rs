//! What a batch allocates once a program is under way: a few blocks of memory, and
//! none per record. A binary of its own, as it counts for the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use millstream::prelude::*;
use millstream::testing::TestContext;

/// The system's allocator, counted.
struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all calls go to the system's allocator as they are.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(size, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// So many records at first, and then.
const RECORDS: [usize; 2] = [1_000, 50_000];
/// A batch allocates at most so many blocks, whatever the operation.
const FEW: usize = 200;
/// And so many more if it has more records: at most one for what is handed over at a
/// time, which is about so many records.
const MORE: usize = RECORDS[1] / 400;

/// The most blocks, and the most bytes, that one of eight batches of these records
/// allocates, after eight others.
fn most<T: Data>(
    workers: usize,
    records: Vec<T>,
    declare: impl FnOnce(DStream<T>),
) -> (usize, usize) {
    let test = TestContext::with(|builder| builder.workers(workers));
    let (queue, stream) = test.queue();
    declare(stream);
    let batch = test.ssc.parallelize(records, workers);
    test.start();
    let batch = || {
        queue.push(batch.clone());
        let allocated = || (COUNT.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed));
        let before = allocated();
        test.tick();
        let after = allocated();
        (after.0 - before.0, after.1 - before.1)
    };
    let batches: Vec<_> = (0..16).map(|_| batch()).collect();
    test.stop();
    let most = |(count, bytes): (usize, usize), &(c, b)| (count.max(c), bytes.max(b));
    batches[8..].iter().fold((0, 0), most)
}

fn check<T: Data>(name: &str, record: impl Fn(usize) -> T, declare: impl Fn(DStream<T>)) {
    for workers in [1, 2] {
        let [few, many] =
            RECORDS.map(|records| most(workers, (0..records).map(&record).collect(), &declare).0);
        assert!(few <= FEW, "{name}, {workers} workers: {few}");
        assert!(
            many <= few + MORE,
            "{name}, {workers} workers: {few}, {many}"
        );
    }
}

fn count<T: Data>(stream: &DStream<T>) {
    stream.foreach_rdd(|rdd, _| rdd.count().map(drop));
}

/// Adds a value to the state of its key.
fn add(key: u64, value: Option<u64>, state: &mut State<'_, u64>) -> u64 {
    let sum = state.get_option().copied().unwrap_or_default();
    state.update(sum + value.unwrap_or_default());
    key
}

/// One test, so that no other one allocates meanwhile.
#[test]
fn no_operation_allocates_per_record() {
    // Four records of each key.
    let pair = |i: usize| (i as u64 / 4, 1_u64);
    let line = |i: usize| Str::from(format!("{} words on a line, {}", i % 100, i % 77));
    let second = Duration::from_secs(1);

    check("map, filter and reduce", pair, |pairs| {
        let odd = pairs.map(|(key, value)| key + value).filter(|n| n % 2 == 1);
        count(&odd.reduce(|a, b| a + b));
    });
    check("word count", line, |lines| {
        let words = lines.flat_map(|line| line.split(' ')).map(|word| (word, 1));
        count(&words.reduce_by_key(|a, b| a + b));
    });
    check("repartition", pair, |pairs| count(&pairs.repartition(3)));
    check("join", pair, |pairs| {
        let sums = pairs.reduce_by_key(|a, b| a + b);
        let most = pairs.reduce_by_key(u64::max);
        count(&sums.join(&most).expect("streams of one context"));
    });
    check("window with an inverse", pair, |pairs| {
        let sums =
            pairs.reduce_by_key_and_window_inverse(|a, b| a + b, |a, b| a - b, second * 4, second);
        count(&sums.expect("a right window"));
    });
    check("window without one", pair, |pairs| {
        let most = pairs.reduce_by_key_and_window(u64::max, second * 4, second);
        count(&most.expect("a right window"));
    });
    check("map_with_state", pair, |pairs| {
        count(&pairs.map_with_state(StateSpec::function(add)));
    });
    check("update_state_by_key", pair, |pairs| {
        count(
            &pairs.update_state_by_key(|new: &[u64], sum: Option<&u64>| {
                Some(sum.copied().unwrap_or_default() + new.iter().sum::<u64>())
            }),
        );
    });

    // What records are sorted into is memory of the batch before.
    for workers in [1, 2] {
        let records: Vec<_> = (0..RECORDS[1]).map(pair).collect();
        let (_, bytes) = most(workers, records, |pairs| {
            let spec = StateSpec::function(|key, value, state: &mut State<'_, u64>| {
                add(key, value, state);
                None::<()>
            });
            count(&pairs.map_with_state(spec));
        });
        // They are 800 kB, and what else a batch needs is a part of that.
        assert!(bytes < 200_000, "{workers} workers: {bytes} bytes");
    }
}
