//! What was promised is there after a crash, once (RCV-8, DEP-3, S-15, G-3, G-4, G-16).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, mpsc};
use std::{fs, thread};

use millstream::id::BlockId;
use millstream::receiver::BlockGeneratorListener;
use millstream::receiver::{BlockGenerator, Receiver, ReceiverHandle};

use super::*;

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
    // A block interval, of the receiver and of the thread that cuts.
    program.clock.await_waiters(2);
    program.clock.advance(Duration::from_millis(200));
    while pushed(&acknowledged).is_empty() {
        thread::yield_now();
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
            ssc.discard_saved("update_state_by_key-0").unwrap();
        }
        ssc.start().map(|()| ssc.stop(false).unwrap())
    };
    assert_eq!(
        error_of(renamed(false)),
        "illegal state: the checkpoint of 0 ms has a stream \"numbers\" (receiver), and the program \
         has none of that name, but [\"others\"]: give its stream this name by uid(), or let go of \
         what was saved by discard_saved(\"numbers\")"
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

/// Much is in the log before its batch is cut: a crash before that does not lose it.
#[test]
fn g_3_what_is_much_is_logged_before_it_is_cut() {
    let dir = Scratch::new("log-much");
    let run = Run::start(&dir, 0, NEVER);
    for number in 0..300_000 {
        run.handle.store(number).unwrap();
    }
    let logged = || {
        let files = fs::read_dir(dir.join("wal")).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum::<u64>()
    };
    while logged() < 100_000 {
        thread::yield_now();
    }
    let now = run.crash();
    let run = Run::start(&dir, now, NEVER);
    run.program.tick();
    let counts = run.counts();
    assert!(!counts.is_empty());
    assert_eq!(counts, once(0..counts.len() as u64));
    run.program.ssc.stop(false).unwrap();
}
