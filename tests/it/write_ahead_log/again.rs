//! Batches that come again after a crash are what they were (S-7, G-12, R-2, R-7, R-9, R-10).

use super::*;
use std::fs;
use std::ops::BitAndAssign;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::once::recovered::Numbers;

/// What was in batches since the last checkpoint comes again in the same batches, in
/// the same partitions, with the same things said about them; before anything else, and
/// however long the process was away.
#[test]
fn rerun_batch_is_identical() {
    for away in [0, 2500, 3000] {
        let dir = Scratch::new(&format!("log-again-{away}"));
        let run = Run::start(&dir, 0, NEVER);
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
        let told = run.told.clone();
        let now = run.crash();
        assert_eq!(now, 3000);
        assert_eq!(told.of(1000), ["two and three"]);

        // Also behind a process that got no further.
        for is_last in [false, true] {
            let run = Run::start(&dir, now + away, NEVER);
            run.handle.store(8).unwrap();
            run.program.ssc.await_batch(at(now + away / 1000 * 1000));
            let mut seen = run.batches.take();
            let later = seen.split_off(batches.len());
            assert_eq!(seen, batches);
            // Nothing new in what an earlier process may have cut.
            let times = (now + 1000..=now + away).step_by(1000);
            let passed: Vec<_> = times.map(|time| (time, vec![])).collect();
            assert_eq!(later, passed);
            if is_last {
                run.program.tick();
                let fresh = run.batches.take();
                assert_eq!(fresh[0].1, [vec![7], vec![8]]);
                assert_eq!(run.counts(), once(1..=8));
            }
            let again = run.told.clone();
            run.crash();
            assert_eq!(again.of(1000), ["two and three"]);
        }
    }
}

/// Without a checkpoint that can be read nothing of the log comes, and what is stored then
/// does.
#[test]
fn f_12_a_program_that_begins_anew_gets_nothing_of_the_log() {
    let dir = Scratch::new("log-anew");
    let run = Run::start(&dir, 0, NEVER);
    run.handle.store_many(vec![1]).unwrap();
    run.program.tick();
    run.handle.store_many(vec![2]).unwrap();
    assert_eq!(run.crash(), 1000);
    fs::write(dir.join("checkpoint-0"), "nothing").unwrap();

    let clock = ManualClock::new(1000);
    let make = || context(&clock, NEVER);
    let ssc = StreamingContext::get_or_create_on_error(&*dir, make).unwrap();
    let run = Run::begin(Program { ssc, clock });
    run.handle.store_many(vec![3]).unwrap();
    run.program.tick();
    assert_eq!(run.batches.take(), [(2000, vec![vec![3]])]);
    assert_eq!(run.counts(), once([3]));
    assert_eq!(run.crash(), 2000);
    // What was given up does not come back.
    let run = Run::start(&dir, 2000, NEVER);
    run.program.tick();
    let batches = [(2000, vec![vec![3]]), (3000, vec![])];
    assert_eq!(run.batches.take(), batches);
    run.crash();
}

/// Batches come again as a whole: what is in none yet is not in one that another input had,
/// also if the clock was set back.
#[test]
fn g_14_a_batch_that_another_input_had_gets_nothing_new() {
    let dir = Scratch::new("log-others");
    let there = Arc::<AtomicU64>::default();
    let start = |millis| {
        let program = recover(&dir, millis, |builder| {
            let builder = builder.workers(1).set("checkpoint_interval", "1h");
            builder.set("receiver_write_ahead_log", "true")
        });
        let there = Arc::clone(&there);
        let others = program.ssc.input_stream(Numbers { there, next: 0 });
        others.unwrap().foreach_rdd(|_, _| Ok(()));
        let (given, handle) = mpsc::channel();
        let numbers = program.ssc.receiver_stream(Given(given)).unwrap();
        let numbers = numbers.checkpoint(SECOND).unwrap();
        let batches = watch_partitions(&numbers);
        program.start();
        (program, handle.recv().unwrap(), batches)
    };
    let (first, handle, _) = start(0);
    handle.store_many(vec![1]).unwrap();
    for n in 1..=3 {
        there.store(n, SeqCst);
        first.tick();
    }
    handle.store_many(vec![2]).unwrap();
    first.ssc.stop(false).unwrap();
    drop((first, handle));

    let (second, _, batches) = start(500);
    for _ in 0..4 {
        second.tick();
    }
    let expected = [
        (1000, vec![vec![1]]),
        (2000, vec![]),
        (3000, vec![]),
        (4000, vec![vec![2]]),
    ];
    assert_eq!(batches.take(), expected);
    second.ssc.stop(false).unwrap();
}

/// Blocks that are stored while earlier ones come again belong to no batch yet: a
/// checkpoint of that time must not take them for done.
#[test]
fn what_is_stored_while_batches_come_again_is_not_lost() {
    let dir = Scratch::new("log-meanwhile");
    let run = Run::start(&dir, 0, NEVER);
    for number in 0..4 {
        run.handle.store_many(vec![number]).unwrap();
        run.program.tick();
    }
    assert_eq!(run.crash(), 4000);

    // The clock was set back, so what comes again takes its time.
    let run = Run::start(&dir, 500, 2 * SECOND);
    run.handle.store_many(vec![4]).unwrap();
    run.handle.store(5).unwrap();
    run.program.tick();
    run.program.tick();
    assert_eq!(
        run.batches.take(),
        [(1000, vec![vec![0]]), (2000, vec![vec![1]])]
    );
    let now = run.crash();

    let run = Run::start(&dir, now, SECOND);
    run.program.tick();
    run.program.tick();
    run.program.tick();
    let expected = [
        (3000, vec![vec![2]]),
        (4000, vec![vec![3]]),
        (5000, vec![vec![4]]),
    ];
    assert_eq!(run.batches.take(), expected);
    assert_eq!(run.counts(), once(0..=4));
    run.crash();
}

/// Windows of what was logged are after a restart what they would be without.
#[test]
fn raw_windows_are_what_they_were() {
    let start = |dir: &Path, millis| {
        let clock = ManualClock::new(millis);
        let make = || context(&clock, 2 * SECOND);
        let ssc = StreamingContext::get_or_create(dir, make).unwrap();
        let program = Program { ssc, clock };
        let (given, handle) = mpsc::channel();
        let numbers = program.ssc.receiver_stream(Given(given)).unwrap();
        let numbers = numbers.checkpoint(SECOND).unwrap();
        let sums = numbers.map(|number| (number % 2, number));
        let sums = sums.reduce_by_key(|a, b| a + b);
        let seen = (
            watch_partitions(&numbers.window(3 * SECOND, SECOND).unwrap()),
            watch_partitions(&numbers.window(5 * SECOND, 4 * SECOND).unwrap()),
            watch(
                &sums
                    .window(2 * SECOND, SECOND)
                    .unwrap()
                    .window(4 * SECOND, 2 * SECOND)
                    .unwrap()
                    .map(|(_, sum)| sum),
            ),
        );
        program.start();
        (program, handle.recv().unwrap(), seen)
    };
    let feed = |handle: &ReceiverHandle<u64>, second: u64| {
        handle.store_many(vec![second, second + 1]).unwrap();
        handle.store(10 * second).unwrap();
    };

    let dir = Scratch::new("log-windows-whole");
    let (program, handle, whole) = start(&dir, 0);
    for second in 1..=20 {
        feed(&handle, second);
        program.tick();
    }
    program.stop();
    let mut whole = (whole.0.take(), whole.1.take(), whole.2.take());

    for crash_at in 1..=9 {
        let dir = Scratch::new(&format!("log-windows-{crash_at}"));
        let (mut now, mut times) = (0, 0_u64);
        let mut all = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for second in 1..=20 {
            if second % crash_at == 1 % crash_at || second == 1 {
                let (program, handle, seen) = start(&dir, now);
                let until = (second + crash_at).min(21);
                for second in second..until {
                    feed(&handle, second);
                    program.tick();
                }
                now = program.now().as_millis();
                // As a crash would.
                program.ssc.stop(false).unwrap();
                all.0.extend(seen.0.take());
                all.1.extend(seen.1.take());
                all.2
                    .extend(seen.2.take().into_iter().map(|(time, mut sums)| {
                        sums.sort_unstable();
                        (time, sums)
                    }));
                times += 1;
            }
        }
        assert_eq!(times, 20_u64.div_ceil(crash_at));
        for (_, sums) in &mut whole.2 {
            sums.sort_unstable();
        }
        assert_eq!(all.0.into_iter().collect::<Vec<_>>(), whole.0);
        assert_eq!(all.1.into_iter().collect::<Vec<_>>(), whole.1);
        assert_eq!(all.2.into_iter().collect::<Vec<_>>(), whole.2);
    }
}

/// A batch of which one output failed runs again after a restart, with all its outputs
/// (F-8, R-9), and those behind it.
#[test]
fn r_9_a_batch_that_failed_runs_again() {
    let start = |dir: &Path, millis, hold: &str, fails: bool| {
        let program = recover(dir, millis, |builder| {
            let builder = builder.workers(2).set("receiver_write_ahead_log", "true");
            builder.set("failed_batch_hold", hold)
        });
        let (given, handle) = mpsc::channel();
        let numbers = program.ssc.receiver_stream(Given(given)).unwrap();
        let numbers = numbers.checkpoint(SECOND).unwrap();
        let seen = watch(&numbers);
        numbers.foreach_rdd(move |rdd, _| {
            let fails = fails && rdd.collect()?.contains(&2);
            match fails {
                true => Err(millstream::Error::other(std::io::Error::other(
                    "the sink is full",
                ))),
                false => Ok(()),
            }
        });
        program.start();
        (program, handle.recv().unwrap(), seen)
    };
    for graceful in [false, true] {
        let dir = Scratch::new(&format!("log-failed-{graceful}"));
        let (program, handle, seen) = start(&dir, 0, "10m", true);
        for number in 1..=4 {
            handle.store_many(vec![number]).unwrap();
            program.tick();
        }
        let batches: Vec<_> = (1..=4).map(|n| (1000 * n as i64, vec![n])).collect();
        assert_eq!(seen.take(), batches);
        let error = program.ssc.await_termination().unwrap_err().to_string();
        assert!(error.contains("the sink is full"), "{error}");
        program.ssc.stop(graceful).unwrap();

        let (program, _handle, seen) = start(&dir, 4000, "10m", false);
        program.ssc.await_batch(at(4000));
        assert_eq!(seen.take(), batches[1..]);
        program.ssc.stop(true).unwrap();
        let (program, _handle, seen) = start(&dir, 4000, "10m", false);
        program.tick();
        assert_eq!(seen.take(), [(5000, vec![])]);
        program.ssc.stop(true).unwrap();
    }
    // If it goes on for long, it is over.
    let dir = Scratch::new("log-failed-for-long");
    let (program, handle, _seen) = start(&dir, 0, "3s", true);
    for number in 1..=6 {
        handle.store_many(vec![number]).unwrap();
        program.tick();
    }
    program.ssc.stop(true).unwrap();
    let (program, _handle, seen) = start(&dir, 6000, "3s", false);
    program.tick();
    assert_eq!(seen.take(), [(7000, vec![])]);
    program.ssc.stop(true).unwrap();
}

/// The log has what the kept checkpoints need, and no more (R-7, G-17).
#[test]
fn r_7_a_log_does_not_grow() {
    let dir = Scratch::new("log-size");
    let run = Run::start(&dir, 0, SECOND);
    let segments = || fs::read_dir(dir.join("wal")).unwrap().count();
    let mut most = 0;
    for minute in 0..40 {
        for second in 0..60 {
            run.handle.store_many(vec![minute, second]).unwrap();
            run.program.tick();
        }
        most = most.max(segments());
    }
    // A segment for each minute. The checkpoints that are kept need some, as the disk
    // may be slow; the lock is a file, too.
    assert!(most <= 12, "{most}");
    assert_eq!(run.counts().values().sum::<u64>(), 2 * 40 * 60);
    run.crash();
}

/// What the log has of a batch is read when the batch runs. If it is not there any more
/// the batch fails, and the file and the place are named; or, if the program says so, it
/// is left out, and listeners are told how much that was. All others are what they were
/// (F-15).
#[test]
fn f_15_a_block_that_is_lost_before_its_batch_runs_is_named_or_counted() {
    for skips in ["false", "true"] {
        let dir = Scratch::new(&format!("log-lost-{skips}"));
        let run = Run::start(&dir, 0, NEVER);
        for number in 1..=4 {
            // A number that nothing else in the file is.
            let marked = 0x1234_5678_9abc_def0 + number;
            run.handle.store_many(vec![marked, number]).unwrap();
            run.program.tick();
        }
        let mut expected = run.batches.take();
        run.crash();

        let segments = fs::read_dir(dir.join("wal")).unwrap();
        let segments = segments.map(|entry| entry.unwrap().path());
        let segments: Vec<_> = segments
            .filter(|path| path.extension().is_some_and(|end| end == "wal"))
            .collect();
        // The clock was set back, so what comes again takes its time.
        let run = Run::start_with(&dir, 500, NEVER, |builder| {
            builder.set("write_ahead_log_skip_damage", skips)
        });
        run.program.tick();
        // As postcard writes it: seven bits at a time.
        let mut marked = 0x1234_5678_9abc_def2_u64;
        let mut bytes = Vec::new();
        while marked > 0 {
            bytes.push(marked as u8 | 0x80);
            marked >>= 7;
        }
        bytes.last_mut().unwrap().bitand_assign(0x7f);
        let found = segments.iter().find_map(|path| {
            let mut file = fs::read(path).unwrap();
            let at = file.windows(bytes.len()).position(|some| some == bytes)?;
            file[at] ^= 1;
            fs::write(path, file).unwrap();
            Some(path)
        });
        let path = found.unwrap();
        for _ in 0..4 {
            run.program.tick();
        }
        let (_, lost) = std::mem::take(&mut expected[1]);
        assert_eq!(lost.concat().len(), 2);
        let completed = run.told.completed(2000);
        let counts = (completed.num_records(), completed.inputs[0].dropped_records);
        if skips == "true" {
            expected[1] = (2000, vec![vec![]]);
            assert_eq!(counts, (0, 2));
            assert!(completed.error().is_none());
        } else {
            expected.remove(1);
            assert_eq!(counts, (2, 0));
            let error = completed.error().unwrap().to_string();
            for part in ["partition 0 (attempt 4 of 4) failed", "at byte", "checksum"] {
                assert!(error.contains(part), "{part}: {error}");
            }
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
        expected.push((5000, vec![]));
        assert_eq!(run.batches.take(), expected);
        // What may be left out has to be read to be counted.
        let size = |millis| match (millis, skips) {
            (2000, "true") | (5000, _) => 0,
            _ => 2,
        };
        let sizes = [1000, 2000, 3000, 4000, 5000].map(|millis| (millis, size(millis)));
        assert_eq!(run.sizes.take(), sizes);
        run.program.ssc.stop(false).unwrap();
    }
}
