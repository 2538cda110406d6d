//! Receivers with a write-ahead log (RCV-8, DEP-3, S-7, S-15, G-3, G-4, G-12, G-16).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};

use millstream::id::BlockId;
use millstream::listener::{BatchInfo, StreamingListener};
use millstream::prelude::*;
use millstream::receiver::{BlockGenerator, BlockGeneratorListener, Receiver, ReceiverHandle};
use millstream::time::ManualClock;

use crate::helpers::*;

/// A receiver that hands out what it stores with.
struct Given(mpsc::Sender<ReceiverHandle<u64>>);

impl Receiver<u64> for Given {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> millstream::Result<()> {
        self.0.send(handle).map_err(millstream::Error::other)
    }

    fn on_stop(&mut self) {}
}

/// An interval of checkpoints.
const NEVER: Duration = Duration::from_secs(1_000_000);

fn context(
    clock: &ManualClock,
    checkpoint_interval: Duration,
) -> millstream::Result<StreamingContext> {
    StreamingContext::builder()
        .batch_interval(SECOND)
        .workers(2)
        .clock(clock.clone())
        .set("receiver_write_ahead_log", "true")
        .set(
            "checkpoint_interval",
            format!("{}ms", checkpoint_interval.as_millis()),
        )
        .ignore_environment()
        .build()
}

/// A program that counts what a receiver stores.
struct Run {
    program: Program,
    handle: ReceiverHandle<u64>,
    /// The records of each batch, by partition.
    batches: Seen<Vec<Vec<u64>>>,
    /// How often each number was there by now.
    counts: Seen<Vec<(u64, u64)>>,
}

impl Run {
    fn start(dir: &Path, millis: i64, checkpoint_interval: Duration) -> Self {
        Self::try_start(dir, millis, checkpoint_interval).unwrap()
    }

    fn try_start(
        dir: &Path,
        millis: i64,
        checkpoint_interval: Duration,
    ) -> millstream::Result<Self> {
        let clock = ManualClock::new(millis);
        let make = || context(&clock, checkpoint_interval);
        let ssc = StreamingContext::get_or_create(dir, make)?;
        let program = Program { ssc, clock };
        let (given, handle) = mpsc::channel();
        let numbers = program.ssc.receiver_stream(Given(given))?;
        let numbers = numbers.uid("numbers")?.checkpoint(SECOND)?;
        let counts = numbers.map(|number| (number, 1)).update_state_by_key(
            |new: &[u64], old: Option<&u64>| Some(old.unwrap_or(&0) + new.iter().sum::<u64>()),
        );
        let counts = counts.checkpoint(SECOND)?;
        let batches = watch_partitions(&numbers);
        let counts = watch(&counts);
        program.ssc.start()?;
        Ok(Self {
            handle: handle.recv().map_err(millstream::Error::other)?,
            program,
            batches,
            counts,
        })
    }

    /// As a crash would: nothing is brought to an end.
    fn crash(self) -> i64 {
        let now = self.program.now().as_millis();
        self.program.ssc.stop(false).unwrap();
        now
    }

    /// How often each number was counted, as of the last batch.
    fn counts(&self) -> BTreeMap<u64, u64> {
        let counts = self.counts.take();
        let (_, last) = counts.into_iter().next_back().unwrap();
        last.into_iter().collect()
    }
}

fn once(numbers: impl IntoIterator<Item = u64>) -> BTreeMap<u64, u64> {
    numbers.into_iter().map(|number| (number, 1)).collect()
}

/// What a store of many returned for is there after a crash, also if no batch had it,
/// and it counts once.
#[test]
fn g_4_what_was_stored_as_a_block_is_not_lost() {
    let dir = Scratch::new("log-blocks");
    let run = Run::start(&dir, 0, SECOND);
    run.handle.store_many(vec![1, 2]).unwrap();
    run.program.tick();
    assert_eq!(run.batches.take(), [(1000, vec![vec![1, 2]])]);
    run.handle.store_many(vec![3]).unwrap();
    run.handle
        .store_many_with_metadata(vec![4, 5], "offset 5")
        .unwrap();
    // Nobody was promised anything about this one.
    run.handle.store(6).unwrap();
    let now = run.crash();

    for _ in 0..2 {
        let run = Run::start(&dir, now, NEVER);
        run.program.tick();
        assert_eq!(run.counts(), once(1..=5));
        assert_eq!(run.batches.take(), [(2000, vec![vec![3], vec![4, 5]])]);
        run.crash();
    }
}

/// What was in batches since the last checkpoint comes again in the same batches, in
/// the same partitions, with the same things said about them.
#[test]
fn g_12_batches_that_come_again_are_what_they_were() {
    #[derive(Clone, Default)]
    struct Metadata(Arc<Mutex<BTreeMap<i64, Vec<String>>>>);

    impl StreamingListener for Metadata {
        fn on_batch_completed(&self, batch: &BatchInfo) {
            let metadata = batch.inputs[0].block_metadata.iter();
            let metadata = metadata.map(ToString::to_string).collect();
            let mut all = self.0.lock().unwrap();
            all.insert(batch.batch_time.as_millis(), metadata);
        }
    }

    let dir = Scratch::new("log-again");
    let run = Run::start(&dir, 0, NEVER);
    let told = Metadata::default();
    run.program.ssc.add_listener(told.clone());
    run.handle.store(1).unwrap();
    run.handle
        .store_many_with_metadata(vec![2, 3], "two and three")
        .unwrap();
    run.handle.store(4).unwrap();
    run.handle.store(5).unwrap();
    run.program.tick();
    run.program.tick();
    run.handle.store_many(vec![6]).unwrap();
    run.program.tick();
    run.handle.store_many(vec![7]).unwrap();
    let batches = run.batches.take();
    let first = vec![vec![1], vec![2, 3], vec![4, 5]];
    assert_eq!(
        batches,
        [(1000, first), (2000, vec![]), (3000, vec![vec![6]])]
    );
    let now = run.crash();
    assert_eq!(now, 3000);
    let told = told.0.lock().unwrap().clone();
    assert_eq!(told[&1000], ["two and three"]);

    // There is no checkpoint at all: all of it is in the first batch.
    let run = Run::start(&dir, now, SECOND);
    run.program.tick();
    let first = [vec![1], vec![2, 3], vec![4, 5], vec![6], vec![7]];
    assert_eq!(run.batches.take(), [(4000, first.to_vec())]);
    run.handle.store(8).unwrap();
    run.program.tick();
    let now = run.crash();

    let run = Run::start(&dir, now, NEVER);
    run.handle
        .store_many_with_metadata(vec![9], "nine")
        .unwrap();
    run.program.tick();
    run.handle.store(10).unwrap();
    run.program.tick();
    run.program.tick();
    run.handle.store_many(vec![11]).unwrap();
    let batches = run.batches.take();
    let now = run.crash();

    // Some time passes until the next start.
    let run = Run::start(&dir, now + 2500, NEVER);
    let told = Metadata::default();
    run.program.ssc.add_listener(told.clone());
    run.handle.store(12).unwrap();
    run.program.ssc.await_batch(at(now + 2000));
    let mut again = run.batches.take();
    let later = again.split_off(batches.len());
    assert_eq!(again, batches);
    // Nothing new in what an earlier process may have cut.
    assert_eq!(later, [(now + 1000, vec![]), (now + 2000, vec![])]);
    run.program.clock.set(at(now + 3000));
    run.program.ssc.await_batch(at(now + 3000));
    let fresh = vec![vec![11], vec![12]];
    assert_eq!(run.batches.take(), [(now + 3000, fresh)]);
    assert_eq!(run.counts(), once(1..=12));
    // Then all listeners were told.
    run.crash();
    assert_eq!(told.0.lock().unwrap()[&batches[0].0], ["nine"]);
}

/// Any program, with crashes and orderly stops at any moment: what was promised counts
/// once, and nothing counts twice.
#[test]
fn g_3_g_4_what_was_logged_counts_once() {
    let mut state = 1_u64;
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    for round in 0..6 {
        let dir = Scratch::new(&format!("log-random-{round}"));
        let interval = [SECOND, 3 * SECOND][round % 2];
        let (mut next, mut now) = (0, 0);
        // What was stored as a block, or seen in a batch.
        let (mut promised, mut stored) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..5 {
            let run = Run::start(&dir, now, interval);
            for _ in 0..random(12) {
                match random(4) {
                    0 => run.program.tick(),
                    1 => {
                        run.handle.store(next).unwrap();
                        stored.insert(next);
                        next += 1;
                    }
                    _ => {
                        let numbers: Vec<_> = (next..=next + random(3)).collect();
                        next += numbers.len() as u64;
                        promised.extend(&numbers);
                        run.handle.store_many(numbers).unwrap();
                    }
                }
            }
            let seen = run.batches.take();
            promised.extend(seen.into_iter().flat_map(|(_, batch)| batch.concat()));
            now = run.program.now().as_millis();
            let graceful = random(3) == 0;
            let stored = std::mem::take(&mut stored);
            if graceful {
                promised.extend(stored);
                // The last batches are ahead of the clock.
                now += 3000;
            }
            run.program.ssc.stop(graceful).unwrap();
            now += 1000 * random(4) as i64;
        }
        let run = Run::start(&dir, now, interval);
        run.program.tick();
        let counts = run.counts();
        assert!(counts.values().all(|&count| count == 1), "{counts:?}");
        let counted: BTreeSet<_> = counts.into_keys().collect();
        let lost: Vec<_> = promised.difference(&counted).collect();
        assert!(lost.is_empty(), "{lost:?} in round {round}");
        assert!(counted.iter().all(|&number| number < next));
    }
}

/// What a block generator tells of.
#[derive(Clone, Default)]
struct Acknowledged {
    added: Arc<Mutex<Vec<u64>>>,
    /// The records of each block that was pushed.
    pushed: Arc<Mutex<Vec<Vec<u64>>>>,
}

impl BlockGeneratorListener for Acknowledged {
    type Metadata = u64;

    fn on_add_data(&self, number: u64) {
        self.added.lock().unwrap().push(number);
    }

    fn on_generate_block(&self, _: BlockId) {}

    fn on_push_block(&self, _: BlockId, records: usize) {
        let mut added = self.added.lock().unwrap();
        let block = added.drain(..records).collect();
        self.pushed.lock().unwrap().push(block);
    }
}

/// A receiver that acknowledges by blocks.
struct Reliable {
    given: mpsc::Sender<BlockGenerator<u64, Acknowledged>>,
    acknowledged: Acknowledged,
}

impl Receiver<u64> for Reliable {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> millstream::Result<()> {
        let generator = handle.block_generator(self.acknowledged.clone());
        self.given.send(generator).map_err(millstream::Error::other)
    }

    fn on_stop(&mut self) {}
}

/// A block of a generator is acknowledged when it is in the log, and not before; what
/// was added and not acknowledged is in no batch.
#[test]
fn g_16_a_generator_acknowledges_what_is_in_the_log() {
    let dir = Scratch::new("log-generator");
    let start = |millis| {
        let clock = ManualClock::new(millis);
        let make = || context(&clock, SECOND);
        let ssc = StreamingContext::get_or_create(&*dir, make).unwrap();
        let program = Program { ssc, clock };
        let (given, generator) = mpsc::channel();
        let acknowledged = Acknowledged::default();
        let numbers = program.ssc.receiver_stream(Reliable {
            given,
            acknowledged: acknowledged.clone(),
        });
        let numbers = numbers.unwrap().checkpoint(SECOND).unwrap();
        let seen = watch_partitions(&numbers);
        program.start();
        (program, generator.recv().unwrap(), acknowledged, seen)
    };
    let pushed = |acknowledged: &Acknowledged| acknowledged.pushed.lock().unwrap().clone();

    let (program, generator, acknowledged, seen) = start(0);
    for number in [1, 2] {
        generator.add_data_with_callback(number, number).unwrap();
    }
    // A block interval.
    program.clock.advance(Duration::from_millis(200));
    while pushed(&acknowledged).is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(pushed(&acknowledged), [vec![1, 2]]);
    generator.add_data_with_callback(3, 3).unwrap();
    assert_eq!(seen.take(), []);
    program.ssc.stop(false).unwrap();
    // The end of the run ended the last block, too.
    assert_eq!(pushed(&acknowledged), [vec![1, 2], vec![3]]);
    drop((program, generator));

    let (program, generator, acknowledged, seen) = start(200);
    program.tick();
    assert_eq!(seen.take(), [(1000, vec![vec![1, 2], vec![3]])]);
    generator.add_data_with_callback(4, 4).unwrap();
    program.ssc.stop(true).unwrap();
    assert_eq!(pushed(&acknowledged), [vec![4]]);
    assert_eq!(seen.take(), [(2000, vec![vec![4]])]);
}

fn error_of<T>(result: millstream::Result<T>) -> String {
    result.err().map(|error| error.to_string()).unwrap()
}

#[test]
fn what_would_not_be_logged_is_an_error() {
    let clock = ManualClock::new(0);
    let ssc = context(&clock, SECOND).unwrap();
    let (given, _handle) = mpsc::channel();
    ssc.receiver_stream(Given(given)).unwrap().print();
    let error = error_of(ssc.start());
    assert!(
        error.contains("receiver_write_ahead_log is on, but there is no checkpoint directory"),
        "{error}"
    );

    let dir = Scratch::new("log-codec");
    let ssc = context(&clock, SECOND).unwrap();
    ssc.checkpoint(&*dir).unwrap();
    let (given, _handle) = mpsc::channel();
    ssc.receiver_stream(Given(given)).unwrap().print();
    let error = error_of(ssc.start());
    assert!(
        error.contains("the stream \"Receiver-0\" would not be saved: call checkpoint(interval)"),
        "{error}"
    );
}

#[test]
fn data_of_a_stream_that_is_gone_is_an_error_or_let_go() {
    let dir = Scratch::new("log-gone");
    let run = Run::start(&dir, 0, SECOND);
    run.handle.store_many(vec![1]).unwrap();
    run.crash();
    let renamed = |discard: bool| {
        let clock = ManualClock::new(1000);
        let ssc = StreamingContext::get_or_create(&*dir, || context(&clock, SECOND)).unwrap();
        let (given, _handle) = mpsc::channel();
        let numbers = ssc.receiver_stream(Given(given)).unwrap();
        let numbers = numbers.uid("others").unwrap().checkpoint(SECOND).unwrap();
        numbers.print();
        if discard {
            ssc.discard_saved("numbers").unwrap();
        }
        ssc.start().map(|()| ssc.stop(false).unwrap())
    };
    assert_eq!(
        error_of(renamed(false)),
        "illegal state: the write-ahead log has data of a stream \"numbers\" that was not \
         processed, and the program has none of that name: give its receiver this name by uid(), \
         or let go of the data by discard_saved(\"numbers\")"
    );
    renamed(true).unwrap();
}

#[test]
fn a_log_that_is_turned_off_is_not_forgotten() {
    let dir = Scratch::new("log-off");
    let run = Run::start(&dir, 0, SECOND);
    run.handle.store_many(vec![1]).unwrap();
    run.program.tick();
    run.program.ssc.stop(true).unwrap();
    drop(run);
    let start = |discard: bool| {
        let program = Program::new();
        let ssc = StreamingContext::get_or_create(&*dir, || Ok(program.ssc.clone())).unwrap();
        let (given, _handle) = mpsc::channel();
        let numbers = ssc.receiver_stream(Given(given)).unwrap();
        numbers.uid("numbers").unwrap().print();
        for uid in ["numbers", "update_state_by_key-0"] {
            if discard || uid != "numbers" {
                ssc.discard_saved(uid).unwrap();
            }
        }
        ssc.start().map(|()| ssc.stop(false).unwrap())
    };
    let error = error_of(start(false));
    assert!(
        error.contains("what it received is in the write-ahead log: turn that on"),
        "{error}"
    );
    start(true).unwrap();
}
