//! Operations of the disk that fail.

use super::hooked::HookedDisk;
use super::model::Model;
use super::*;
use crate::disk::sim::random::Random;
use crate::disk::sim::{Fault, Survives};

const FAULTS: [Fault; 3] = [Fault::Io, Fault::Full, Fault::Short];

fn options() -> WalOptions {
    WalOptions::new().segment_bytes(200)
}

/// What a program does in the tests below. Gives how many of its steps failed, or
/// none if the log could not be opened.
fn work(disk: &SimDisk, model: &mut Model) -> Option<usize> {
    let log = model.recover(disk, &options(), true).ok()?;
    Some(model.work(disk, &log, &mut Random::new(7), 25))
}

/// After whatever has happened: restarted, also after a crash of the machine, and gone
/// on with.
fn check(disk: &SimDisk, model: &Model, what: &str) {
    for survives in [Survives::Written, Survives::Durable] {
        let mut model = model.clone();
        let disk = model.crash(disk, disk.operations(), survives);
        let log = model.recover(&disk, &options(), true).unwrap();
        assert!(model.append(&disk, &log, 1, 1).is_ok(), "{what}");
    }
}

/// F-9: one operation fails, each of them in turn.
#[test]
fn any_operation_may_fail_once() {
    let calls = {
        let (disk, mut model) = (SimDisk::new(), Model::default());
        assert_eq!(work(&disk, &mut model), Some(0));
        assert!(files(&disk).len() > 2);
        disk.calls()
    };
    for fault in FAULTS {
        for call in 0..calls {
            let what = format!("{fault:?} at {call}");
            let (disk, mut model) = (SimDisk::new(), Model::default());
            disk.fail(call..=call, fault);
            let failed = work(&disk, &mut model);
            disk.mend();
            // What is appended goes to a new segment. Clean-up is left for later.
            assert!(matches!(failed, None | Some(0..=1)), "{what}: {failed:?}");
            check(&disk, &model, &what);
        }
    }
}

/// F-9: from one operation on nothing works any more, until the disk is mended.
#[test]
fn the_disk_may_fail_for_a_while() {
    for fault in FAULTS {
        for call in 0..150 {
            let what = format!("{fault:?} from {call} on");
            let (disk, mut model) = (SimDisk::new(), Model::default());
            disk.fail(call.., fault);
            let log = model.recover(&disk, &options(), true);
            let files_before = if let Ok(log) = &log {
                let mut chance = Random::new(7);
                model.work(&disk, log, &mut chance, 40);
                let files = files_of(&disk);
                // Whatever is tried, there is no new file for each attempt.
                for _ in 0..10 {
                    model.append(&disk, log, 1, 1).unwrap_err();
                }
                assert_eq!(files_of(&disk), files, "{what}");
                files
            } else {
                files_of(&disk)
            };
            disk.mend();
            if let Ok(log) = log {
                let range = model.append(&disk, &log, 2, 5);
                assert!(range.is_ok(), "{what}: {range:?}");
                assert!(files_of(&disk) <= files_before + 1, "{what}");
            }
            check(&disk, &model, &what);
        }
    }
}

/// Also while nothing can be listed.
fn files_of(disk: &SimDisk) -> usize {
    let mended = disk.crash(disk.operations(), Survives::Written);
    let entries = mended.list(Path::new(DIR));
    entries.map_or(0, |entries| entries.len())
}

/// A sync that failed is not tried again: what it should have made durable is written
/// to another segment, and only then acknowledged.
#[test]
fn a_failed_sync_is_final_for_its_segment() {
    let disk = SimDisk::new();
    let log = open(&disk);
    append(&log, &["a"]).unwrap();
    // Behind the append.
    let sync = disk.calls() + 1;
    disk.fail(sync..=sync, Fault::Io);
    assert_eq!(append(&log, &["b", "c"]).unwrap(), 1..3);
    let stats = log.stats();
    assert_eq!((stats.failures, stats.segments, stats.groups), (1, 2, 2));
    assert_eq!(size(&disk, 1), 40 + 2 * 25);
    assert_eq!(append(&log, &["d"]).unwrap(), 3..4);
    assert_eq!(files(&disk).len(), 2);
    assert_eq!(bodies(&log, 0).concat(), "abcd");
    drop(log);
    let crashed = disk.crash(disk.operations(), Survives::Durable);
    assert_eq!(bodies(&open(&crashed), 0).concat(), "abcd");
}

#[test]
fn a_second_failure_in_a_row_is_an_error_that_names_the_file() {
    let disk = SimDisk::new();
    let log = open(&disk);
    append(&log, &["a"]).unwrap();
    let sync = disk.calls() + 1;
    disk.fail(sync.., Fault::Io);
    let error = append(&log, &["b"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "input/output error: the write-ahead log cannot make \
         /log/segment-00000000000000000001.wal: simulated input/output error"
    );
    assert_eq!((log.end(), log.stats().failures), (1, 2));
    disk.mend();
    disk.fail(disk.calls().., Fault::Full);
    assert!(append(&log, &["c"]).is_err());
    // There is room again.
    disk.mend();
    assert_eq!(append(&log, &["d"]).unwrap(), 1..2);
    assert_eq!(bodies(&log, 0).concat(), "ad");
}

/// A segment whose sync failed was removed, but not yet durably, when the process
/// crashed. The next one found the log without it; no crash of the machine may bring it
/// back after that.
#[test]
fn what_one_start_did_not_find_does_not_come_back() {
    let disk = SimDisk::new();
    let log = open_with(&disk, 0, WalOptions::new().segment_bytes(90)).unwrap();
    append(&log, &["a", "b"]).unwrap();
    // The sync of the group in the second segment, and all that comes then but the
    // removal of that.
    let sync = disk.calls() + 5;
    disk.fail(sync..=sync, Fault::Io);
    disk.fail(sync + 2.., Fault::Io);
    append(&log, &["c"]).unwrap_err();
    disk.mend();
    drop(log);
    assert_eq!(files(&disk).len(), 1);
    let restarted = disk.crash(disk.operations(), Survives::Written);
    let log = open_with(&restarted, 2, WalOptions::new()).unwrap();
    assert_eq!(log.end(), 2);
    for seed in 0..50 {
        let crashed = restarted.crash(restarted.operations(), Survives::Some(seed));
        assert_eq!(bodies(&open(&crashed), 0).concat(), "ab", "seed {seed}");
    }
}

/// What a start finds, the next ones find, wherever the process before it crashed and whatever
/// a crash of the machine leaves: also where a segment was just begun in place of one whose
/// sync had failed.
#[test]
fn what_one_start_found_the_next_ones_find() {
    let disk = SimDisk::new();
    let log = open(&disk);
    append(&log, &["a"]).unwrap();
    // Behind the append.
    let sync = disk.calls() + 1;
    disk.fail(sync..=sync, Fault::Io);
    append(&log, &["b"]).unwrap();
    append(&log, &["c"]).unwrap();
    drop(log);
    let mut different = Vec::new();
    for operations in 0..=disk.operations() {
        let restarted = disk.crash(operations, Survives::Written);
        let found = bodies(&open(&restarted), 0).concat();
        for seed in 0..20 {
            let crashed = restarted.crash(restarted.operations(), Survives::Some(seed));
            let what = format!("{operations} operations, seed {seed}");
            assert_eq!(bodies(&open(&crashed), 0).concat(), found, "{what}");
        }
        different.push(found);
    }
    different.dedup();
    // The second one is written twice, and counts first where it was not durable.
    assert_eq!(different, ["", "a", "ab", "a", "ab", "abc"]);
}

#[test]
fn a_disk_that_panics_is_an_error() {
    let disk = HookedDisk {
        create: Arc::new(|| panic!("expected")),
        ..HookedDisk::default()
    };
    let clock = Arc::new(ManualClock::new(0));
    let log = WriteAheadLog::open(Arc::new(disk), DIR, 0, WalOptions::new(), clock).unwrap();
    for _ in 0..2 {
        assert_eq!(
            append(&log, &["a"]).unwrap_err().to_string(),
            "panic: the disk of the write-ahead log panicked: expected"
        );
    }
}

/// F-9: the disk is told to begin now and then; if it cannot, that is as a sync that failed.
#[test]
fn a_sync_that_cannot_begin_ends_the_segment() {
    let begun = Arc::new(std::sync::Mutex::new(0));
    let count = Arc::clone(&begun);
    let disk = HookedDisk {
        begin: Arc::new(move || {
            let mut count = count.lock().unwrap();
            *count += 1;
            match *count {
                2 => Err(std::io::ErrorKind::StorageFull.into()),
                _ => Ok(()),
            }
        }),
        ..HookedDisk::default()
    };
    let options = WalOptions::new().sync(SyncMode::Os);
    let clock = Arc::new(ManualClock::new(0));
    let log = WriteAheadLog::open(Arc::new(disk), DIR, 0, options, clock).unwrap();
    let body = |number: u8| vec![number; 3 << 20];
    for number in 0..5 {
        log.append(body(number)).unwrap();
    }
    // Behind 9 MiB, and behind 18, with record 5: that goes to a new segment.
    assert_eq!(*begun.lock().unwrap(), 1);
    log.append(body(5)).unwrap();
    assert_eq!(*begun.lock().unwrap(), 2);
    let stats = log.stats();
    assert_eq!((stats.segments, stats.failures), (2, 1));
    let expected: Vec<_> = (0..6).map(|number| (number.into(), body(number))).collect();
    assert!(records(&log, 0).unwrap() == expected);
}
