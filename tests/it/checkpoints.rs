//! Programs that go on from a checkpoint (CKP, CTX-4, CTX-15, CTX-17, G-2, G-10).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use millstream::dstream::{InputBatch, InputSource};
use millstream::listener::{CheckpointInfo, StreamingListener};
use millstream::prelude::*;
use millstream::time::ManualClock;
use millstream::{State, StateSpec, UpdateOptions};

use crate::helpers::*;

type Pair = (u32, i64);

/// What there is outside of the process: records that keep coming.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Pair>>>);

impl Log {
    fn add(&self, records: &[Pair]) {
        self.0.lock().unwrap().extend_from_slice(records);
    }

    fn reader(&self) -> Reader {
        let log = self.clone();
        Reader { log, next: 0 }
    }
}

/// Reads what is new.
struct Reader {
    log: Log,
    next: usize,
}

impl InputSource<Pair> for Reader {
    fn compute(
        &mut self,
        _time: BatchTime,
        batch: &mut InputBatch<'_>,
    ) -> millstream::Result<Option<Rdd<Pair>>> {
        let log = self.log.0.lock().unwrap();
        let new = log[self.next..].to_vec();
        self.next = log.len();
        Ok(Some(batch.parallelize(new, 3)))
    }

    fn position(&mut self) -> millstream::Result<Vec<u8>> {
        Ok(self.next.to_le_bytes().to_vec())
    }

    fn resume(&mut self, position: &[u8]) -> millstream::Result<()> {
        self.next = usize::from_le_bytes(position.try_into().unwrap());
        Ok(())
    }
}

/// Tells of each checkpoint.
pub(crate) struct Taken(pub(crate) mpsc::Sender<CheckpointInfo>);

impl StreamingListener for Taken {
    fn on_checkpoint(&self, checkpoint: &CheckpointInfo) {
        let _ = self.0.send(checkpoint.clone());
    }
}

/// A program that keeps all sorts of things.
struct Run {
    program: Program,
    taken: mpsc::Receiver<CheckpointInfo>,
    updated: Seen<Vec<Pair>>,
    mapped: Seen<Vec<Pair>>,
    snapshots: Seen<Vec<Pair>>,
    sums: Seen<Vec<Pair>>,
    maxima: Seen<Vec<Pair>>,
    counts: Seen<Vec<u64>>,
    minima: Seen<Vec<i64>>,
}

/// Sums; a key that is idle for three seconds goes, and gives its sum negative.
fn running(key: u32, value: Option<i64>, state: &mut State<'_, i64>) -> Pair {
    let before = state.get_option().copied().unwrap_or_default();
    match value {
        Some(-1) if state.exists() => {
            state.remove();
            (key, 0)
        }
        Some(value) => {
            state.update(before + value);
            (key, before + value)
        }
        None => (key, -before),
    }
}

fn context(clock: &ManualClock, workers: usize) -> millstream::Result<StreamingContext> {
    StreamingContext::builder()
        .batch_interval(SECOND)
        .workers(workers)
        .default_parallelism(2 * workers + 1)
        .clock(clock.clone())
        .ignore_environment()
        .build()
}

impl Run {
    /// Begins, or goes on from a checkpoint in the directory.
    fn start(log: &Log, dir: Option<&Path>, millis: i64, workers: usize) -> Self {
        let clock = ManualClock::new(millis);
        let make = || context(&clock, workers);
        let ssc = match dir {
            Some(dir) => StreamingContext::get_or_create(dir, make).unwrap(),
            None => make().unwrap(),
        };
        let program = Program {
            ssc,
            clock: clock.clone(),
        };
        let (told, taken) = mpsc::channel();
        program.ssc.add_listener(Taken(told));
        let pairs = program.ssc.input_stream(log.reader()).unwrap();
        let updated = pairs
            .update_state_by_key(|new: &[i64], old: Option<&i64>| {
                let sum = old.copied().unwrap_or_default() + new.iter().sum::<i64>();
                (sum % 7 != 0).then_some(sum)
            })
            .checkpoint(SECOND)
            .unwrap();
        let mapped = pairs
            .map_with_state(StateSpec::function(running).timeout(3 * SECOND))
            .checkpoint(SECOND)
            .unwrap();
        let snapshots = mapped.state_snapshots();
        let sums = pairs
            .reduce_by_key_and_window_inverse(|a, b| a + b, |a, b| a - b, 4 * SECOND, SECOND)
            .unwrap()
            .checkpoint(SECOND)
            .unwrap();
        let maxima = pairs
            .reduce_by_key_and_window(i64::max, 5 * SECOND, SECOND)
            .unwrap()
            .checkpoint(SECOND)
            .unwrap();
        let counts = pairs
            .count_by_window(3 * SECOND, SECOND)
            .unwrap()
            .checkpoint(SECOND)
            .unwrap();
        let minima = pairs
            .map(|(_, value)| value)
            .reduce_by_window(i64::min, 3 * SECOND, SECOND)
            .unwrap()
            .checkpoint(SECOND)
            .unwrap();
        let run = Self {
            updated: watch(&updated),
            mapped: watch(&mapped),
            snapshots: watch(&snapshots),
            sums: watch(&sums),
            maxima: watch(&maxima),
            counts: watch(&counts),
            minima: watch(&minima),
            program,
            taken,
        };
        let is_new = dir.is_some() && run.program.ssc.recovered_time().is_none();
        run.program.start();
        if is_new {
            // Before the first batch.
            assert_eq!(run.taken.recv().unwrap().batch_time, at(millis));
        }
        run
    }

    /// A batch, and its checkpoint.
    fn tick(&self, log: &Log, records: &[Pair], is_saved: bool) {
        log.add(records);
        self.program.tick();
        if is_saved {
            let taken = self.taken.recv().unwrap();
            assert!(taken.error.is_none(), "{taken:?}");
            assert_eq!(taken.batch_time, self.program.now());
        }
    }

    /// What each batch gave.
    fn take(&self) -> BTreeMap<i64, Vec<String>> {
        fn add<T: Data + Ord + std::fmt::Debug>(
            all: &mut BTreeMap<i64, Vec<String>>,
            seen: &Seen<Vec<T>>,
        ) {
            for (time, mut records) in seen.take() {
                records.sort_unstable();
                all.entry(time).or_default().push(format!("{records:?}"));
            }
        }
        let mut all = BTreeMap::new();
        add(&mut all, &self.updated);
        add(&mut all, &self.mapped);
        add(&mut all, &self.snapshots);
        add(&mut all, &self.sums);
        add(&mut all, &self.maxima);
        add(&mut all, &self.counts);
        add(&mut all, &self.minima);
        all
    }

    /// As a crash would: nothing is brought to an end.
    fn crash(self) {
        self.program.ssc.stop(false).unwrap();
    }
}

/// Small numbers, from a seed.
fn random(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*seed >> 33) % below
}

fn batches(mut seed: u64, count: usize) -> Vec<Vec<Pair>> {
    let seed = &mut seed;
    let mut record = || (random(seed, 12) as u32, random(seed, 20) as i64 - 5);
    (0..count)
        .map(|i| (0..[8, 0, 3, 0, 0, 30][i % 6]).map(|_| record()).collect())
        .collect()
}

/// Every batch is as if nothing had happened, wherever the process ended, and with
/// another number of partitions.
#[test]
fn g_10_what_is_kept_is_that_of_all_batches_after_recovery() {
    for seed in 0..6 {
        let dir = Scratch::new(&format!("checkpoints-{seed}"));
        let batches = batches(seed, 24);
        let (log, plain) = (Log::default(), Log::default());
        let undisturbed = Run::start(&plain, None, 0, 1);
        for batch in &batches {
            undisturbed.tick(&plain, batch, false);
        }
        let expected = undisturbed.take();
        let mut random_seed = seed;
        let mut run = Run::start(&log, Some(&dir), 0, 2);
        let mut got = BTreeMap::new();
        for batch in &batches {
            run.tick(&log, batch, true);
            if random(&mut random_seed, 3) == 0 {
                got.extend(run.take());
                let now = run.program.now().as_millis();
                run.crash();
                run = Run::start(&log, Some(&dir), now, 1 + seed as usize % 3);
            }
        }
        got.extend(run.take());
        assert_eq!(got, expected, "seed {seed}");
    }
}

/// Without a checkpoint behind each batch the ones since the last come again as one:
/// nothing is lost, and nothing counts twice.
#[test]
fn g_10_batches_since_the_last_checkpoint_come_again() {
    let dir = Scratch::new("checkpoints-again");
    let log = Log::default();
    let mut millis = 0;
    for round in 0..4 {
        let run = Run::start(&log, Some(&dir), millis, 2);
        for batch in batches(round, 7) {
            run.tick(&log, &batch, false);
        }
        millis = run.program.now().as_millis();
        let mut sums: BTreeMap<u32, i64> = BTreeMap::new();
        for (key, value) in &*log.0.lock().unwrap() {
            *sums.entry(*key).or_default() += value;
        }
        // The sums of a key that was zero modulo seven begin anew.
        let updated = run.updated.take();
        let (_, last) = updated.last().unwrap();
        for (key, sum) in last {
            assert_eq!((sums[key] - sum) % 7, 0, "key {key}");
        }
        run.crash();
    }
}

/// A source that cannot tell where it is, now and then.
struct Moody {
    reader: Reader,
    fails: Arc<AtomicBool>,
}

impl InputSource<Pair> for Moody {
    fn compute(
        &mut self,
        time: BatchTime,
        batch: &mut InputBatch<'_>,
    ) -> millstream::Result<Option<Rdd<Pair>>> {
        self.reader.compute(time, batch)
    }

    fn position(&mut self) -> millstream::Result<Vec<u8>> {
        match self.fails.load(Ordering::Relaxed) {
            true => Err(millstream::Error::other("the offsets cannot be had")),
            false => self.reader.position(),
        }
    }

    fn resume(&mut self, position: &[u8]) -> millstream::Result<()> {
        self.reader.resume(position)
    }
}

/// What the streams before it told is in the next checkpoint, and the error is told.
#[test]
fn f_10_a_checkpoint_that_fails_half_way_loses_nothing() {
    let dir = Scratch::new("checkpoints-half");
    let (log, fails) = (Log::default(), Arc::<AtomicBool>::default());
    let start = |millis| {
        let clock = ManualClock::new(millis);
        // A position that cannot be had fails the batch, too.
        let make = || {
            let builder = StreamingContext::builder().batch_interval(SECOND);
            let builder = builder.workers(2).clock(clock.clone());
            let builder = builder.set("failed_batch_hold", "0ms");
            builder.ignore_environment().build()
        };
        let ssc = StreamingContext::get_or_create(&*dir, make).unwrap();
        let (told, taken) = mpsc::channel();
        ssc.add_listener(Taken(told));
        let reader = log.reader();
        let sums = ssc
            .input_stream(reader)
            .unwrap()
            .reduce_by_key_and_window(|a, b| a + b, 4 * SECOND, SECOND)
            .unwrap()
            .checkpoint(SECOND)
            .unwrap();
        let moody = Moody {
            reader: log.reader(),
            fails: Arc::clone(&fails),
        };
        ssc.input_stream(moody)
            .unwrap()
            .uid("moody")
            .unwrap()
            .print();
        let seen = watch(&sums);
        let clock = clock.clone();
        let program = Program { ssc, clock };
        program.start();
        (program, seen, taken)
    };
    let (program, _, taken) = start(0);
    assert_eq!(taken.recv().unwrap().batch_time, at(0));
    for second in 1..=4_u32 {
        fails.store([2, 3].contains(&second), Ordering::Relaxed);
        log.add(&[(second, 1), (9, 1)]);
        program.tick();
        let error = taken.recv().unwrap().error.map(|error| error.to_string());
        let expected = "the stream moody";
        assert_eq!(
            error.is_some_and(|error| error.contains(expected)),
            [2, 3].contains(&second)
        );
    }
    program.ssc.stop(false).unwrap();
    drop(program);
    let (program, seen, taken) = start(4_000);
    log.add(&[]);
    program.tick();
    assert!(taken.recv().unwrap().error.is_none());
    let (_, mut sums) = seen.take().pop().unwrap();
    sums.sort_unstable();
    assert_eq!(sums, [(2, 1), (3, 1), (4, 1), (9, 3)]);

    // The last one is told by who stops.
    fails.store(true, Ordering::Relaxed);
    program.tick();
    let error = error_of(program.ssc.stop(true));
    assert!(error.contains("the last checkpoint"), "{error}");
}

/// What the program has to say when it ends in an orderly way.
#[test]
fn ctx_12_a_graceful_stop_takes_a_last_checkpoint() {
    let dir = Scratch::new("checkpoints-stop");
    let log = Log::default();
    let run = Run::start(&log, Some(&dir), 0, 1);
    run.tick(&log, &[(1, 5), (2, 6)], false);
    run.program.ssc.stop(true).unwrap();
    drop(run);
    let ssc = StreamingContext::get_or_create(&*dir, || context(&ManualClock::new(9_000), 1));
    assert_eq!(ssc.unwrap().recovered_time(), Some(at(1000)));
}

/// The state of a checkpoint is what the initial one had become: a key that went stays away.
#[test]
fn sta_2_the_initial_state_counts_once_for_all_processes() {
    let dir = Scratch::new("checkpoints-initial");
    let log = Log::default();
    let run = |millis, pairs: &[Pair]| {
        let program = recover(&dir, millis, |builder| builder.workers(2));
        let initial = program.ssc.parallelize([(1, 10), (2, 20)], 2);
        let input = program.ssc.input_stream(log.reader()).unwrap();
        let sums = input.update_state_by_key_with(
            |_, _, new: &[i64], old: Option<&i64>| {
                let sum = old.unwrap_or(&0) + new.iter().sum::<i64>();
                (sum != 0).then_some(sum)
            },
            UpdateOptions::new().initial_state(initial),
        );
        let seen = watch(&sums.checkpoint(SECOND).unwrap());
        program.start();
        log.add(pairs);
        program.tick();
        program.ssc.stop(true).unwrap();
        let (_, mut sums) = seen.take().pop().unwrap();
        sums.sort_unstable();
        sums
    };
    assert_eq!(run(0, &[(1, 5), (2, -20)]), [(1, 15)]);
    assert_eq!(run(1000, &[(1, 1), (3, 5)]), [(1, 16), (3, 5)]);
}

fn error_of<T>(result: millstream::Result<T>) -> String {
    result.err().map(|error| error.to_string()).unwrap()
}

#[test]
fn g_2_a_queue_is_refused() {
    let dir = Scratch::new("checkpoints-queue");
    let program = Program::new();
    let (_, input) = program.queue::<u64>();
    input.print();
    program.ssc.checkpoint(&*dir).unwrap();
    let error = error_of(program.ssc.start());
    assert!(
        error.contains("Queue stream [0] cannot be recovered"),
        "{error}"
    );
}

#[test]
fn ckp_3_state_that_would_not_be_saved_is_an_error() {
    let dir = Scratch::new("checkpoints-codec");
    let program = Program::new();
    let pairs = program.ssc.input_stream(Log::default().reader()).unwrap();
    pairs.map_with_state(StateSpec::function(running)).print();
    program.ssc.checkpoint(dir.join("deep/er")).unwrap();
    let error = error_of(program.ssc.start());
    assert!(
        error.contains("\"map_with_state-0\" would not be saved"),
        "{error}"
    );
    assert!(error.contains("checkpoints.rs"), "{error}");
}

/// A stream of sums by key, or of their windows.
fn declare(ssc: &StreamingContext, log: &Log, is_window: bool, uid: &str) {
    let pairs = ssc.input_stream(log.reader()).unwrap();
    let sums = if is_window {
        pairs
            .reduce_by_key_and_window(|a, b| a + b, 3 * SECOND, SECOND)
            .unwrap()
    } else {
        pairs.update_state_by_key(|new: &[i64], old: Option<&i64>| {
            Some(old.unwrap_or(&0) + new.iter().sum::<i64>())
        })
    };
    sums.uid(uid)
        .unwrap()
        .checkpoint(2 * SECOND)
        .unwrap()
        .print();
}

/// A program of an earlier process, with one checkpoint.
fn earlier(dir: &Path, log: &Log) {
    let clock = ManualClock::new(0);
    let make = || context(&clock, 1);
    let ssc = StreamingContext::get_or_create(dir, make).unwrap();
    declare(&ssc, log, false, "sums");
    let program = Program {
        ssc,
        clock: clock.clone(),
    };
    log.add(&[(1, 1), (2, 2)]);
    program.start();
    program.tick();
    program.ssc.stop(true).unwrap();
}

#[test]
fn f_13_what_does_not_fit_is_an_error_that_names_both_sides() {
    let dir = Scratch::new("checkpoints-fit");
    let log = Log::default();
    earlier(&dir, &log);
    let again = |interval: Duration| {
        let builder = StreamingContext::builder()
            .batch_interval(interval)
            .ignore_environment();
        let make = || builder.clock(ManualClock::new(5000)).build();
        StreamingContext::get_or_create(&*dir, make).unwrap()
    };
    let ssc = again(SECOND);
    declare(&ssc, &log, false, "totals");
    let error = error_of(ssc.start());
    assert!(
        error.contains("has a stream \"sums\" (state by key)"),
        "{error}"
    );
    assert!(error.contains("\"totals\""), "{error}");
    drop(ssc);

    let ssc = again(SECOND);
    declare(&ssc, &log, true, "sums");
    let error = error_of(ssc.start());
    assert!(error.contains("is a window by key now"), "{error}");
    drop(ssc);

    let ssc = again(2 * SECOND);
    declare(&ssc, &log, false, "sums");
    let error = error_of(ssc.start());
    assert!(error.contains("a batch interval of 1s"), "{error}");
    drop(ssc);

    let ssc = again(SECOND);
    declare(&ssc, &log, false, "sums");
    declare(&ssc, &log, true, "sums");
    let error = error_of(ssc.start());
    assert!(
        error.contains("two streams have the name \"sums\""),
        "{error}"
    );
    drop(ssc);

    let ssc = again(SECOND);
    declare(&ssc, &log, false, "totals");
    ssc.discard_saved("sums").unwrap();
    ssc.start().unwrap();
    ssc.stop(false).unwrap();
}

#[test]
fn another_context_cannot_have_the_directory_meanwhile() {
    let dir = Scratch::new("checkpoints-lock");
    let program = Program::new();
    program.ssc.checkpoint(&*dir).unwrap();
    let other = Program::new();
    let error = other.ssc.checkpoint(&*dir).unwrap_err();
    assert!(error.to_string().contains("cannot be used"), "{error}");
    drop(program);
    other.ssc.checkpoint(&*dir).unwrap();
}

/// A child that is being started has all descriptors for a moment (F-26).
#[test]
fn f_26_a_directory_is_free_at_once_whatever_is_being_started() {
    let dir = Scratch::new("checkpoints-free");
    let ended = AtomicBool::new(false);
    let refused = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let started = std::process::Command::new("true").status();
                assert!(started.unwrap().success());
            }
        });
        let refused = (0..300).filter(|_| Program::new().ssc.checkpoint(&*dir).is_err());
        let refused = refused.count();
        ended.store(true, Ordering::Relaxed);
        refused
    });
    assert_eq!(refused, 0);
}

#[test]
fn f_11_a_directory_that_cannot_be_used_is_an_error_at_once() {
    let dir = Scratch::new("checkpoints-unusable");
    let file = dir.join("file");
    fs::write(&file, "no directory").unwrap();
    let program = Program::new();
    let error = program.ssc.checkpoint(&file).unwrap_err();
    assert!(
        error.to_string().contains("checkpoints-unusable"),
        "{error}"
    );
}

/// Every byte of the newest checkpoint flipped, and every length cut: the one before
/// is taken, and never something else.
#[test]
fn f_12_of_damaged_checkpoints_the_newest_whole_one_is_taken() {
    let dir = Scratch::new("checkpoints-damage");
    let log = Log::default();
    let run = Run::start(&log, Some(&dir), 0, 1);
    run.tick(&log, &[(1, 5), (2, 6)], true);
    run.tick(&log, &[(1, 5), (3, 6)], true);
    run.crash();
    let newest = dir.join("checkpoint-2000");
    let whole = fs::read(&newest).unwrap();
    let found = || {
        let ssc = StreamingContext::get_or_create(&*dir, || context(&ManualClock::new(0), 1));
        ssc.map(|ssc| ssc.recovered_time())
    };
    assert_eq!(found().unwrap(), Some(at(2000)));
    for at_byte in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at_byte] ^= 0x20;
        fs::write(&newest, damaged).unwrap();
        assert_eq!(found().unwrap(), Some(at(1000)), "byte {at_byte}");
        fs::write(&newest, &whole[..at_byte]).unwrap();
        assert_eq!(found().unwrap(), Some(at(1000)), "cut at {at_byte}");
    }
    let names = ["checkpoint-0", "checkpoint-1000", "checkpoint-2000"];
    for name in names {
        fs::write(dir.join(name), "nothing").unwrap();
    }
    let error = error_of(found());
    for name in names {
        assert!(error.contains(name), "{error}");
    }
    let make = || context(&ManualClock::new(0), 1);
    let ssc = StreamingContext::get_or_create_on_error(&*dir, make).unwrap();
    assert_eq!(ssc.recovered_time(), None);
}

#[test]
fn ckp_6_old_checkpoints_go() {
    let dir = Scratch::new("checkpoints-retention");
    let log = Log::default();
    let run = Run::start(&log, Some(&dir), 0, 1);
    for second in 0..200 {
        run.tick(&log, &[(second % 50, 1)], true);
        let files = fs::read_dir(&*dir).unwrap().count();
        // Ten checkpoints, what they need of older ones, the log of batches, and the lock.
        assert!(files <= 110, "{files}");
    }
    run.crash();
    let run = Run::start(&log, Some(&dir), 200_000, 1);
    run.tick(&log, &[], true);
    run.crash();
}

/// Files come at any moment, also while no process runs; each of them counts once
/// (G-1).
#[test]
fn g_1_each_file_counts_once_whatever_happens() {
    for seed in 0..4_u64 {
        let dir = Scratch::new(&format!("checkpoints-files-{seed}"));
        let (files, checkpoints) = (dir.join("files"), dir.join("checkpoints"));
        fs::create_dir(&files).unwrap();
        let mut random_seed = seed;
        let mut put_some = {
            let mut count = 0;
            let files = files.clone();
            move |now: i64, seed: &mut u64| {
                for _ in 0..random(seed, 4) {
                    let age = random(seed, 3_000) as i64;
                    let millis = (now + 1_500 - age).max(1) as u64;
                    put(
                        files.join(format!("file-{count}")),
                        millis,
                        format!("{count}\n"),
                    );
                    count += 1;
                }
                count
            }
        };
        let (mut now, mut count) = (0, 0);
        for _ in 0..5 {
            let (program, seen) = count_lines(&files, &checkpoints, now);
            for _ in 0..1 + random(&mut random_seed, 6) {
                put_some(program.now().as_millis(), &mut random_seed);
                program.tick();
            }
            // Nothing is dated later than this.
            for _ in 0..3 {
                program.tick();
            }
            now = program.now().as_millis();
            count = put_some(now - 1_500, &mut random_seed);
            drop(seen);
            program.ssc.stop(random(&mut random_seed, 2) == 0).unwrap();
        }
        let (program, seen) = count_lines(&files, &checkpoints, now);
        for _ in 0..4 {
            program.tick();
        }
        let (_, mut last) = seen.take().pop().unwrap();
        last.sort_unstable();
        let mut expected: Vec<_> = (0..count)
            .map(|number| (Str::from(number.to_string()), 1))
            .collect();
        expected.sort_unstable();
        assert_eq!(last, expected, "seed {seed}");
    }
}

/// Counts each line of the files, from the newest checkpoint on.
fn count_lines(files: &Path, checkpoints: &Path, now: i64) -> (Program, Seen<Vec<(Str, u64)>>) {
    let clock = ManualClock::new(now);
    let make = || context(&clock, 2);
    let ssc = StreamingContext::get_or_create(checkpoints, make).unwrap();
    let program = Program {
        ssc,
        clock: clock.clone(),
    };
    let counts = program
        .ssc
        .text_file_stream(files)
        .unwrap()
        .map(|line| (line, 1_u64))
        .update_state_by_key(|new: &[u64], old: Option<&u64>| {
            Some(old.unwrap_or(&0) + new.iter().sum::<u64>())
        })
        .checkpoint(2 * SECOND)
        .unwrap();
    let seen = watch(&counts);
    program.start();
    (program, seen)
}

/// Gives the second of its time.
struct Seconds;

impl InputSource<i64> for Seconds {
    fn compute(
        &mut self,
        time: BatchTime,
        batch: &mut InputBatch<'_>,
    ) -> millstream::Result<Option<Rdd<i64>>> {
        Ok(Some(batch.parallelize([time.as_millis() / 1000], 1)))
    }
}

/// A window that has no batch in common with the one before keeps nothing: a checkpoint is
/// taken where one begins.
#[test]
fn g_11_a_window_without_overlap_is_whole_after_recovery() {
    for stop in 1..=5 {
        let dir = Scratch::new(&format!("disjoint-{stop}"));
        let run = |from: i64, until: i64| {
            let program = recover(&dir, from * 1000, |builder| {
                builder.set("checkpoint_interval", "1s")
            });
            let seconds = program.ssc.input_stream(Seconds).unwrap();
            let sums = seconds.map(|second| ((), second));
            let sums = sums.reduce_by_key_and_window(|a, b| a + b, 3 * SECOND, 3 * SECOND);
            let seen = watch(&sums.unwrap());
            program.start();
            (from..until).for_each(|_| program.tick());
            program.ssc.stop(false).unwrap();
            seen.take()
        };
        run(0, stop);
        let sums = run(stop, 6);
        assert_eq!(sums.last(), Some(&(6000, vec![((), 15)])));
        assert!(!sums.contains(&(3000, vec![((), 3)])), "{sums:?}");
    }
}
