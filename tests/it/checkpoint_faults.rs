//! Checkpoints in bad times: slow batches, a directory that is gone, long down times
//! (F-10, F-18, R-6, R-8, R-19).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use millstream::StreamingContextBuilder;
use millstream::checkpoint::inspect;
use millstream::dstream::{InputBatch, InputSource};
use millstream::listener::{BatchInfo, CheckpointInfo, RecoveryInfo, StreamingListener};
use millstream::prelude::*;
use millstream::receiver::{Receiver, ReceiverHandle};
use millstream::time::ManualClock;

use crate::checkpoints::Taken;
use crate::helpers::*;

/// Number after number, one in each batch.
#[derive(Default)]
struct Numbers(u64);

impl InputSource<u64> for Numbers {
    fn compute(
        &mut self,
        _time: BatchTime,
        batch: &mut InputBatch<'_>,
    ) -> millstream::Result<Option<Rdd<u64>>> {
        self.0 += 1;
        Ok(Some(batch.parallelize([self.0], 1)))
    }

    fn position(&mut self) -> millstream::Result<Vec<u8>> {
        Ok(self.0.to_le_bytes().to_vec())
    }

    fn resume(&mut self, position: &[u8]) -> millstream::Result<()> {
        self.0 = u64::from_le_bytes(position.try_into().unwrap());
        Ok(())
    }
}

/// A program that adds numbers up, with a checkpoint behind each batch; `meanwhile`
/// runs in each, with the sum of all numbers so far.
fn adding(
    dir: &Path,
    millis: i64,
    change: impl Fn(StreamingContextBuilder) -> StreamingContextBuilder,
    meanwhile: impl Fn(u64) + Send + Sync + 'static,
) -> (Program, mpsc::Receiver<CheckpointInfo>) {
    let program = recover(dir, millis, |builder| change(builder.workers(1)));
    let (told, taken) = mpsc::channel();
    program.ssc.add_listener(Taken(told));
    program
        .ssc
        .input_stream(Numbers::default())
        .unwrap()
        .map(|number| ((), number))
        .update_state_by_key(|new: &[u64], old: Option<&u64>| {
            Some(old.unwrap_or(&0) + new.iter().sum::<u64>())
        })
        .checkpoint(SECOND)
        .unwrap()
        .foreach_rdd(move |rdd, _| {
            let sum = rdd.collect()?.first().map_or(0, |(_, sum)| *sum);
            meanwhile(sum);
            Ok(())
        });
    (program, taken)
}

/// The newest checkpoint of a directory.
fn newest(dir: &Path) -> Option<BatchTime> {
    inspect(dir)
        .unwrap()
        .newest()
        .map(|checkpoint| checkpoint.batch_time)
}

/// While a batch runs, those behind it are cut and wait, and no checkpoint passes it by
/// (SPARK-6222, SPARK-11740, SPARK-11267).
#[test]
fn r_6_no_checkpoint_is_of_a_later_batch_than_the_one_that_runs() {
    let dir = Scratch::new("faults-blocked");
    let (hold, held) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let held = Mutex::new(held);
    let (program, taken) = adding(
        &dir,
        0,
        |builder| builder,
        move |sum| {
            if sum == 1 + 2 + 3 {
                begun.send(()).unwrap();
                // Until the test lets go.
                let _ = held.lock().unwrap().recv();
            }
        },
    );
    program.start();
    assert_eq!(taken.recv().unwrap().batch_time, at(0));
    for second in 1..=2 {
        program.tick();
        assert_eq!(taken.recv().unwrap().batch_time, at(second * 1000));
    }
    program.cut();
    has_begun.recv().unwrap();
    for _ in 4..=10 {
        program.cut();
    }
    assert_eq!(newest(&dir), Some(at(2000)));
    assert!(taken.try_recv().is_err());
    drop(hold);
    program.ssc.await_batch(at(10_000));
    program.ssc.stop(true).unwrap();
    let times: Vec<_> = taken.try_iter().map(|info| info.batch_time).collect();
    assert!(times.is_sorted() && times.iter().all(|time| *time > at(2000)));
    assert_eq!(newest(&dir), Some(at(10_000)));
}

/// Batches that end out of order have no checkpoint that would be of all of them.
#[test]
fn r_8_concurrent_jobs_are_refused() {
    let dir = Scratch::new("faults-concurrent");
    let two = |builder: StreamingContextBuilder| builder.set("concurrent_jobs", "2");
    let (program, _) = adding(&dir, 0, two, |_| ());
    let error = program.ssc.start().unwrap_err().to_string();
    assert!(error.contains("concurrent_jobs must be 1"), "{error}");
}

/// The directory is gone for three checkpoints: the batches go on, each failure is
/// told, and the first checkpoint behind them has all (SPARK-16395, SPARK-22429).
#[test]
fn r_19_when_the_directory_is_back_checkpoints_go_on() {
    let scratch = Scratch::new("faults-gone");
    let (dir, aside) = (scratch.join("checkpoints"), scratch.join("aside"));
    let sum = Arc::<AtomicU64>::default();
    let seen = Arc::clone(&sum);
    let note = move |sum| seen.store(sum, Ordering::Relaxed);
    let (program, taken) = adding(&dir, 0, |builder| builder, note);
    program.start();
    assert_eq!(taken.recv().unwrap().batch_time, at(0));
    for second in 1..=6_i64 {
        match second {
            3 => fs::rename(&dir, &aside).unwrap(),
            6 => fs::rename(&aside, &dir).unwrap(),
            _ => {}
        }
        program.tick();
        let info = taken.recv().unwrap();
        assert_eq!(info.batch_time, at(second * 1000));
        let text = info.error.map(|error| error.to_string());
        let expected = format!(
            "input/output error: the checkpoint of {} cannot be written: No such file or \
             directory (os error 2)",
            info.batch_time
        );
        assert_eq!(text, (3..6).contains(&second).then_some(expected));
        let expected = (1..=second as u64).sum::<u64>();
        assert_eq!(sum.load(Ordering::Relaxed), expected);
    }
    program.ssc.stop(false).unwrap();
    drop(program);
    assert_eq!(newest(&dir), Some(at(6000)));
    let seen = Arc::clone(&sum);
    let note = move |sum| seen.store(sum, Ordering::Relaxed);
    let (program, _) = adding(&dir, 6000, |builder| builder, note);
    program.start();
    program.tick();
    assert_eq!(sum.load(Ordering::Relaxed), (1..=7).sum::<u64>());
}

/// A stop that found the directory gone says so, also if nothing is left that it could write.
#[test]
fn f_10_a_stop_tells_that_the_last_checkpoint_could_not_be_written() {
    let scratch = Scratch::new("faults-stopped");
    let (dir, aside) = (scratch.join("checkpoints"), scratch.join("aside"));
    let (program, taken) = adding(&dir, 0, |builder| builder, |_| ());
    program.start();
    program.tick();
    // Also that of the start is written by now.
    let times: Vec<_> = taken.iter().take(2).map(|info| info.batch_time).collect();
    assert_eq!(times, [at(0), at(1000)]);
    fs::rename(&dir, &aside).unwrap();
    program.tick();
    let error = program.ssc.stop(true).unwrap_err().to_string();
    let what = "the checkpoint of 2000 ms cannot be written";
    assert!(error.contains(what), "{error}");
}

/// Runs as many batches, of which some fail, with a checkpoint behind each one that allows it.
/// Each second of `expected` has one, and no other; the last of them may be that of the stop.
fn check_taken(
    (program, taken): (Program, mpsc::Receiver<CheckpointInfo>),
    batches: i64,
    expected: &[i64],
) {
    program.start();
    assert_eq!(taken.recv().unwrap().batch_time, at(0));
    let mut times = vec![0];
    for second in 1..=batches {
        program.tick();
        if expected.contains(&second) {
            times.push(taken.recv().unwrap().batch_time.as_millis() / 1000);
        }
    }
    program.ssc.stop(true).unwrap();
    times.extend(
        taken
            .try_iter()
            .map(|info| info.batch_time.as_millis() / 1000),
    );
    assert_eq!(times, expected);
}

/// As [`adding`]: batches of these numbers fail, and hold checkpoints up for three seconds.
fn failing(dir: &Path, batches: &'static [u64]) -> (Program, mpsc::Receiver<CheckpointInfo>) {
    let hold = |builder: StreamingContextBuilder| builder.set("failed_batch_hold", "3s");
    adding(dir, 0, hold, move |sum| {
        let fails = batches.iter().any(|&batch| sum == (1..=batch).sum::<u64>());
        assert!(!fails, "the batch fails");
    })
}

/// From the first batch that failed on: another one that fails meanwhile does not make it
/// longer. When the time is over all of it is over, and the next failure counts again; a stop
/// waits for nothing, and takes none (F-8).
#[test]
fn f_8_a_batch_that_failed_holds_checkpoints_up_for_a_while() {
    let dir = Scratch::new("faults-held");
    let program = failing(&dir, &[3, 5, 8, 12]);
    check_taken(program, 13, &[0, 1, 2, 6, 7, 11]);
    assert_eq!(newest(&dir), Some(at(11_000)));
}

/// What comes through a receiver without a log is gone, so nothing is held up for it.
#[test]
fn f_8_nothing_is_held_up_if_an_input_cannot_give_its_data_again() {
    struct Silent;

    impl Receiver<u64> for Silent {
        fn on_start(&mut self, _: ReceiverHandle<u64>) -> millstream::Result<()> {
            Ok(())
        }

        fn on_stop(&mut self) {}
    }

    let dir = Scratch::new("faults-not-held");
    let (program, taken) = failing(&dir, &[2]);
    let silent = program.ssc.receiver_stream(Silent).unwrap();
    silent.foreach_rdd(|_, _| Ok(()));
    check_taken((program, taken), 4, &[0, 1, 2, 3, 4]);
}

/// Only at times at which all streams that keep something have a batch, and windows begin that
/// have nothing in common with the one before: a graceful stop goes on to the next such time
/// (G-10, G-11).
#[test]
fn g_10_checkpoints_are_at_multiples_of_the_slides() {
    /// The length of windows, their slide, and whether they are saved.
    type Window = (u32, u32, bool);
    let cases: [(&[Window], &[i64]); 4] = [
        (&[(6, 2, true), (6, 3, true)], &[0, 6, 12, 18]),
        (&[(4, 4, false)], &[0, 4, 8, 12, 16]),
        (&[(2, 4, false)], &[0, 4, 8, 12, 16]),
        (
            &[(6, 4, false)],
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
        ),
    ];
    for (i, (windows, expected)) in cases.into_iter().enumerate() {
        let dir = Scratch::new(&format!("faults-slides-{i}"));
        let each = |builder: StreamingContextBuilder| builder.set("checkpoint_interval", "1s");
        let (program, taken) = adding(&dir, 0, each, |_| ());
        for &(length, slide, is_saved) in windows {
            let (length, slide) = (length * SECOND, slide * SECOND);
            let numbers = program.ssc.input_stream(Numbers::default()).unwrap();
            if is_saved {
                let numbers = numbers.map(|number| ((), number));
                let sums = numbers.reduce_by_key_and_window(|a, b| a + b, length, slide);
                let sums = sums.unwrap().checkpoint(slide).unwrap();
                sums.foreach_rdd(|_, _| Ok(()));
            } else {
                let window = numbers.window(length, slide).unwrap();
                window.foreach_rdd(|_, _| Ok(()));
            }
        }
        check_taken((program, taken), 13, expected);
    }
}

/// Counts batches that were cut and have not ended.
#[derive(Clone, Default)]
struct Waiting {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    times: Arc<Mutex<Vec<BatchTime>>>,
}

impl StreamingListener for Waiting {
    fn on_batch_submitted(&self, batch: &BatchInfo) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        self.times.lock().unwrap().push(batch.batch_time);
    }

    fn on_batch_completed(&self, _batch: &BatchInfo) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// After a day without a process no more batches wait at a time than may, and the first
/// fresh one comes behind all of them (F-18).
#[test]
fn f_18_a_long_down_time_is_cut_within_bounds() {
    const DAY: i64 = 24 * 3600 * 1000;
    let dir = Scratch::new("faults-down");
    let few = |builder: StreamingContextBuilder| builder.set("max_queued_batches", "50");
    let (program, taken) = adding(&dir, 0, few, |_| ());
    program.start();
    program.tick();
    assert!(taken.recv().unwrap().error.is_none());
    program.ssc.stop(false).unwrap();
    drop(program);

    let (program, _) = adding(&dir, DAY, few, |_| ());
    let waiting = Waiting::default();
    program.ssc.add_listener(waiting.clone());
    program.start();
    program.ssc.await_batch(at(DAY));
    program.tick();
    program.ssc.stop(true).unwrap();
    let times = waiting.times.lock().unwrap();
    assert!(times.is_sorted_by(|a, b| a < b));
    assert!(times.iter().all(|time| time.as_millis() % 1000 == 0));
    assert_eq!(*times.last().unwrap(), at(DAY + 1000));
    // One in thirty seconds, as files are looked for within a minute; and each second of
    // the last thirty, unless it is passed over as too many are queued.
    let count = times.len() as i64 - DAY / 30_000;
    assert!((0..=31).contains(&count), "{count}");
    assert!(waiting.most.load(Ordering::Relaxed) <= 50);
}

struct Recoveries(mpsc::Sender<RecoveryInfo>);

impl StreamingListener for Recoveries {
    fn on_recovered(&self, recovery: &RecoveryInfo) {
        self.0.send(recovery.clone()).unwrap();
    }
}

/// Takes its time to come back.
struct Slow(Numbers, ManualClock);

impl InputSource<u64> for Slow {
    fn compute(
        &mut self,
        time: BatchTime,
        batch: &mut InputBatch<'_>,
    ) -> millstream::Result<Option<Rdd<u64>>> {
        self.0.compute(time, batch)
    }

    fn position(&mut self) -> millstream::Result<Vec<u8>> {
        self.0.position()
    }

    fn resume(&mut self, position: &[u8]) -> millstream::Result<()> {
        self.1.advance(Duration::from_millis(300));
        self.0.resume(position)
    }
}

/// What recovery took is told, and when the first fresh batch was there (G-19, F-18, S-12).
#[test]
fn g_19_how_long_recovery_took_is_told() {
    let dir = Scratch::new("faults-recovery");
    let process = |millis| {
        let program = recover(&dir, millis, |builder| {
            builder.workers(1).set("checkpoint_interval", "3s")
        });
        let (told, recoveries) = mpsc::channel();
        program.ssc.add_listener(Recoveries(told));
        let slow = Slow(Numbers::default(), program.clock.clone());
        let numbers = program.ssc.input_stream(slow).unwrap();
        let (seen, clock) = (Seen::new(), program.clock.clone());
        let sees = seen.clone();
        numbers.foreach_rdd(move |rdd, time| {
            sees.add(time, rdd.collect()?);
            clock.advance(Duration::from_millis(20));
            Ok(())
        });
        program.start();
        (program, recoveries, seen)
    };
    let (program, recoveries, seen) = process(0);
    // Checkpoints are behind none and behind the third.
    for time in 1..=5 {
        program.clock.set(at(1000 * time));
        program.ssc.await_batch(at(1000 * time));
    }
    program.ssc.stop(false).unwrap();
    drop(program);
    assert_eq!(seen.take().len(), 5);
    assert!(recoveries.recv().is_err(), "nothing was recovered");

    let (program, recoveries, seen) = process(7500);
    // Not before its time.
    program.ssc.await_batch(at(7000));
    assert!(recoveries.try_recv().is_err());
    program.clock.set(at(8000));
    program.ssc.await_batch(at(8000));
    program.ssc.stop(true).unwrap();
    drop(program);
    let told: Vec<_> = recoveries.iter().collect();
    let [recovery] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(recovery.checkpoint_time, at(3000));
    assert_eq!(recovery.restored, Duration::from_millis(300));
    // Two that came again, and two in which no process ran.
    assert_eq!(recovery.batches, 4);
    assert_eq!(recovery.first_fresh, at(8000));
    assert_eq!(recovery.until_fresh, Duration::from_millis(520));
    let times = (4..=8).map(|second| (1000 * second, vec![second as u64]));
    assert_eq!(seen.take(), times.collect::<Vec<_>>());
}
