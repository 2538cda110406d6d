//! The log is on a simulated disk: it fails, and the machine crashes (F-2, F-9, R-1, R-3,
//! G-3, G-4), also while what it has is read again (F-15).

use std::collections::BTreeSet;

use millstream::disk::sim::{Fault, SimDisk, Survives, with_disk};
use millstream::listener::{ReceiverInfo, StreamingListener};

use super::*;

/// The program, on this disk.
fn start(disk: &SimDisk, millis: i64) -> Run {
    with_disk(disk, || {
        Run::start(Path::new("/checkpoints"), millis, SECOND)
    })
}

/// Tells of errors of the receiver.
struct Errors(mpsc::Sender<String>);

impl StreamingListener for Errors {
    fn on_receiver_error(&self, receiver: &ReceiverInfo) {
        let _ = self.0.send(receiver.last_message.clone());
    }
}

/// As long as the log cannot be written, no store of many returns without an error, and
/// no batch is processed; then all of it goes on, and nothing was dropped.
#[test]
fn f_9_what_cannot_be_logged_is_not_acknowledged_and_not_processed() {
    let disk = SimDisk::new();
    let run = start(&disk, 0);
    let (errors, told) = mpsc::channel();
    run.program.ssc.add_listener(Errors(errors));
    run.handle.store_many(vec![1]).unwrap();
    run.program.tick();
    assert_eq!(run.batches.take(), [(1000, vec![vec![1]])]);

    disk.fail(disk.calls().., Fault::Full);
    run.handle.store(2).unwrap();
    assert_eq!(run.handle.store_many(vec![3, 4]), Err(vec![3, 4]));
    assert_eq!(
        told.recv().unwrap(),
        "a block could not be written to the write-ahead log"
    );
    run.program.clock.advance(SECOND);
    // The thread that cuts, and the one that tries again.
    run.program.clock.await_waiters(2);
    let error = run.program.ssc.await_termination().unwrap_err().to_string();
    assert!(
        error.starts_with("input/output error: the write-ahead log cannot make /checkpoints/wal/"),
        "{error}"
    );
    assert!(error.contains("(batch 2000 ms)"), "{error}");
    run.program.clock.advance(SECOND);
    run.program.clock.await_waiters(2);
    assert_eq!(run.batches.take(), []);

    disk.mend();
    run.handle.store_many(vec![5]).unwrap();
    run.program.clock.advance(SECOND);
    run.program.ssc.await_batch(at(4000));
    assert_eq!(
        run.batches.take(),
        [(2000, vec![vec![2]]), (3000, vec![]), (4000, vec![vec![5]])]
    );
    assert_eq!(run.counts(), once([1, 2, 5]));
    run.program.ssc.stop(false).unwrap();
}

/// whichever operation of the disk fails, once or from then on, what was not
/// acknowledged is the only thing that may be missing, and nothing counts twice.
#[test]
fn r_1_r_3_whatever_fails_nothing_acknowledged_is_lost() {
    for nth in 0.. {
        for goes_on in [false, true] {
            let disk = SimDisk::new();
            let run = start(&disk, 0);
            let at = disk.calls() + nth;
            match goes_on {
                true => disk.fail(at.., Fault::Io),
                false => disk.fail(at..=at, Fault::Full),
            }
            let (mut acknowledged, mut refused) = (BTreeSet::new(), BTreeSet::new());
            for number in 0..3 {
                match run.handle.store_many(vec![number]) {
                    Ok(()) => acknowledged.insert(number),
                    Err(records) => refused.insert(records[0]),
                };
                run.program.clock.advance(SECOND);
                if !goes_on {
                    // It is tried again after a second.
                    run.program.clock.await_waiters(1);
                }
            }
            let is_over = disk.calls() <= at;
            run.program.ssc.stop(false).unwrap();
            disk.mend();
            let now = run.program.now().as_millis();
            drop(run);

            let run = start(&disk, now);
            run.program.tick();
            let counts = run.counts();
            assert!(counts.values().all(|&count| count == 1), "{counts:?}");
            let counted: BTreeSet<_> = counts.into_keys().collect();
            let lost: Vec<_> = acknowledged.difference(&counted).collect();
            assert!(lost.is_empty(), "{lost:?}, call {nth}");
            let all: BTreeSet<_> = acknowledged.union(&refused).copied().collect();
            assert!(counted.is_subset(&all), "{counted:?}, call {nth}");
            run.program.ssc.stop(false).unwrap();
            if is_over && goes_on {
                assert!(nth > 5, "{nth} calls");
                return;
            }
        }
    }
}

/// A stop does not wait for a disk that does not work.
#[test]
fn a_stop_ends_what_cannot_be_logged() {
    let disk = SimDisk::new();
    let run = start(&disk, 0);
    run.handle.store_many(vec![1]).unwrap();
    run.program.tick();
    disk.fail(disk.calls().., Fault::Io);
    run.handle.store(2).unwrap();
    run.program.clock.advance(SECOND);
    run.program.clock.await_waiters(2);
    run.program.ssc.stop(false).unwrap();
    assert_eq!(run.batches.take(), [(1000, vec![vec![1]])]);
}

/// F-2: whatever the machine loses in a crash, at any moment, what was promised counts
/// once.
#[test]
fn f_2_g_4_a_crash_of_the_machine_loses_nothing_acknowledged() {
    let trials = variable("CRASH_IMAGES").unwrap_or(40);
    let mut state = variable("CRASH_SEED").unwrap_or(3);
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    let mut images = 0;
    while images < trials {
        let mut disk = SimDisk::new();
        let (mut next, mut now) = (0, 0);
        // What was promised before the last crash.
        let mut promised = BTreeSet::new();
        for _ in 0..3 {
            // What was promised before is durable.
            let begun = disk.operations();
            let run = start(&disk, now);
            // With the number of changes on the disk by then.
            let mut acknowledged = Vec::new();
            for _ in 0..random(16) {
                match random(4) {
                    0 => run.program.tick(),
                    1 => {
                        run.handle.store(next).unwrap();
                        next += 1;
                    }
                    _ => {
                        let numbers: Vec<_> = (next..=next + random(3)).collect();
                        next += numbers.len() as u64;
                        run.handle.store_many(numbers.clone()).unwrap();
                        let operations = disk.operations();
                        acknowledged.extend(numbers.into_iter().map(|n| (operations, n)));
                    }
                }
            }
            now = run.program.now().as_millis() + 1000 * random(3) as i64;
            run.program.ssc.stop(false).unwrap();
            drop(run);
            let at = begun + random((disk.operations() - begun) as u64 + 1) as usize;
            let survives = match random(4) {
                0 => Survives::Written,
                1 => Survives::Durable,
                _ => Survives::Some(random(u64::MAX >> 33)),
            };
            let kept = acknowledged
                .iter()
                .filter(|(operations, _)| *operations <= at);
            promised.extend(kept.map(|(_, number)| *number));
            disk = disk.crash(at, survives);
            images += 1;

            let run = start(&disk, now);
            run.program.tick();
            let counts = run.counts();
            assert!(counts.values().all(|&count| count == 1), "{counts:?}");
            let counted: BTreeSet<_> = counts.into_keys().collect();
            let lost: Vec<_> = promised.difference(&counted).collect();
            assert!(lost.is_empty(), "{lost:?} in image {images}");
            assert!(counted.iter().all(|&number| number < next));
            // They are in the checkpoint now, or come again.
            promised = counted;
            now = run.program.now().as_millis();
            run.program.ssc.stop(true).unwrap();
        }
    }
    println!("crashed: {images} images: 0 lost, 0 phantoms, 0 twice");
}

/// Whichever operation of the disk fails once while batches come again, they are what they
/// were: a block that could not be read is asked for again (F-15, F-3).
#[test]
fn f_15_a_disk_that_fails_for_a_moment_is_asked_again() {
    let start = |disk: &SimDisk, millis| {
        with_disk(disk, || {
            Run::start(Path::new("/checkpoints"), millis, NEVER)
        })
    };
    for nth in 0.. {
        let disk = SimDisk::new();
        let run = start(&disk, 0);
        for number in 1..=3 {
            run.handle.store_many(vec![number, 10 * number]).unwrap();
            run.program.tick();
        }
        let batches = run.batches.take();
        let expected = [1, 2, 3].map(|n| (1000 * n as i64, vec![vec![n, 10 * n]]));
        assert_eq!(batches, expected);
        run.program.ssc.stop(false).unwrap();
        drop(run);
        // The clock was set back, so what comes again takes its time.
        let run = start(&disk, 500);
        let at = disk.calls() + nth;
        disk.fail(at..=at, Fault::Io);
        for _ in 0..3 {
            run.program.tick();
        }
        assert_eq!(run.batches.take(), batches, "call {nth}");
        let is_over = disk.calls() <= at;
        run.program.ssc.stop(false).unwrap();
        if is_over {
            assert!(nth > 5, "{nth} calls");
            return;
        }
    }
}

/// Whatever the disk refuses for a moment while a program starts, it does start, and what was
/// there comes again (F-12, F-15).
#[test]
fn f_12_a_start_asks_a_disk_that_fails_for_a_moment_again() {
    let start = |disk: &SimDisk, millis| {
        with_disk(disk, || {
            Run::start(Path::new("/checkpoints"), millis, NEVER)
        })
    };
    for nth in 0.. {
        for times in 1..=2 {
            let disk = SimDisk::new();
            let run = start(&disk, 0);
            run.handle.store_many(vec![1]).unwrap();
            run.program.tick();
            run.program.ssc.stop(true).unwrap();
            drop(run);
            let run = start(&disk, 1000);
            for number in 2..=3 {
                run.handle.store_many(vec![number]).unwrap();
                run.program.tick();
            }
            run.handle.store_many(vec![4]).unwrap();
            run.program.ssc.stop(false).unwrap();
            drop(run);

            let at = disk.calls() + nth;
            disk.fail(at..at + times, Fault::Io);
            // The clock was set back, so no batch is cut yet.
            let run = start(&disk, 1000);
            let is_over = disk.calls() <= at;
            disk.mend();
            for _ in 0..3 {
                run.program.tick();
            }
            let what = format!("call {nth}, {times} times");
            let expected = [2, 3, 4].map(|n| (1000 * n as i64, vec![vec![n]]));
            assert_eq!(run.batches.take(), expected, "{what}");
            assert_eq!(run.counts(), once(1..=4), "{what}");
            run.program.ssc.stop(false).unwrap();
            if is_over && times == 2 {
                assert!(nth > 30, "{nth} calls");
                return;
            }
        }
    }
}

/// What cannot be logged ahead of its batch is logged with it.
#[test]
fn f_9_much_that_cannot_be_logged_waits_for_its_batch() {
    let disk = SimDisk::new();
    let run = start(&disk, 0);
    disk.fail(disk.calls().., Fault::Full);
    for number in 0..600_000 {
        run.handle.store(number).unwrap();
    }
    disk.mend();
    run.program.tick();
    assert_eq!(run.counts(), once(0..600_000));
    run.program.ssc.stop(false).unwrap();
}
