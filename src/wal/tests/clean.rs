//! Clean-up, and the bound on what is on disk.

use std::thread;

use super::*;
use crate::disk::sim::Fault;

/// Segments of three short records.
fn options() -> WalOptions {
    WalOptions::new().segment_bytes(115)
}

/// A log with the records `a` to `j` in four segments.
fn ten() -> (SimDisk, WriteAheadLog) {
    let disk = SimDisk::new();
    let log = open_with(&disk, 0, options()).unwrap();
    for body in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        append(&log, &[body]).unwrap();
    }
    assert_eq!(files(&disk).len(), 4);
    (disk, log)
}

#[test]
fn whole_segments_go_and_only_what_is_superseded() {
    let (disk, log) = ten();
    for (superseded, left) in [(0, 4), (2, 4), (3, 3), (5, 3), (8, 2), (9, 1), (10, 1)] {
        log.remove_below(superseded).unwrap();
        assert_eq!(files(&disk).len(), left, "{superseded}");
        assert_eq!(log.stats().segments, left);
        let all = "abcdefghij";
        assert_eq!(
            bodies(&log, superseded).concat(),
            all[superseded as usize..]
        );
    }
    // What is gone can not be read.
    let error = records(&log, 8).unwrap_err();
    assert_eq!(
        error.to_string(),
        "corrupt data: record 8 is not in the write-ahead log any more, which begins with 9"
    );
    // The newest one says where the numbers go on.
    log.remove_below(1000).unwrap();
    assert_eq!(files(&disk).len(), 1);
    drop(log);
    assert_eq!(open_with(&disk, 0, options()).unwrap().end(), 10);
}

/// Somebody else may have the directory by then.
#[test]
fn a_closed_log_removes_nothing() {
    let (disk, log) = ten();
    log.close();
    log.remove_below(10).unwrap();
    assert_eq!(files(&disk).len(), 4);
}

#[test]
fn clean_up_that_fails_is_done_later() {
    let (disk, log) = ten();
    // The second removal.
    disk.fail(disk.calls() + 1.., Fault::Io);
    let error = log.remove_below(9).unwrap_err();
    assert_eq!(
        error.to_string(),
        "input/output error: the write-ahead log cannot remove \
         /log/segment-00000000000000000001.wal: simulated input/output error"
    );
    disk.mend();
    assert_eq!(files(&disk).len(), 3);
    log.remove_below(9).unwrap();
    assert_eq!(files(&disk).len(), 1);
    assert_eq!(bodies(&log, 9), ["j"]);
}

#[test]
fn segments_of_many_starts_go_with_the_next_clean_up() {
    let disk = SimDisk::new();
    for start in 0..5 {
        let log = open_with(&disk, start, options()).unwrap();
        append(&log, &["a"]).unwrap();
    }
    assert_eq!(files(&disk).len(), 5);
    let log = open_with(&disk, 4, options()).unwrap();
    log.remove_below(4).unwrap();
    assert_eq!(files(&disk).len(), 1);
    assert_eq!(bodies(&log, 4), ["a"]);
}

///
#[test]
fn disk_use_stays_bounded_over_ten_thousand_rounds() {
    let disk = SimDisk::new();
    let mut log = open_with(&disk, 0, WalOptions::new().segment_bytes(1000)).unwrap();
    let mut most = 0;
    for round in 0..10_000_u64 {
        append(&log, &["of this round", "and this"]).unwrap();
        most = most.max(disk.used_bytes());
        // Three rounds back, as a checkpoint would.
        let superseded = (2 * round).saturating_sub(6);
        log.remove_below(superseded).unwrap();
        if round % 1000 == 999 {
            drop(log);
            log = open_with(&disk, superseded, WalOptions::new().segment_bytes(1000)).unwrap();
        }
    }
    assert_eq!(log.end(), 20_000);
    assert!(most <= 2 * 1000, "{most} bytes");
}

/// O-10: who appends waits for clean-up, and is let go when the log is closed.
#[test]
fn a_full_log_waits_for_clean_up() {
    let disk = SimDisk::new();
    let log = open_with(&disk, 0, options().max_bytes(240)).unwrap();
    for body in ["a", "b", "c", "d"] {
        append(&log, &[body]).unwrap();
    }
    assert_eq!((log.stats().bytes, log.stats().waits), (115 + 65, 0));
    append(&log, &["e"]).unwrap();
    append(&log, &["f"]).unwrap();
    thread::scope(|scope| {
        let appended = scope.spawn(|| append(&log, &["g"]).unwrap());
        while log.stats().waits == 0 {
            thread::yield_now();
        }
        // That frees nothing.
        log.remove_below(2).unwrap();
        assert_eq!(log.end(), 6);
        log.remove_below(3).unwrap();
        assert_eq!(appended.join().unwrap(), 6..7);
        append(&log, &["h"]).unwrap();
        append(&log, &["i"]).unwrap();
        let refused = scope.spawn(|| append(&log, &["j"]).unwrap_err());
        while log.stats().waits == 1 {
            thread::yield_now();
        }
        log.close();
        assert_eq!(
            refused.join().unwrap().to_string(),
            "illegal state: the write-ahead log is closed"
        );
    });
    assert_eq!(bodies(&log, 3).concat(), "defghi");
    assert!(log.stats().bytes <= 240);
}

/// What alone is larger than the bound passes when nothing else is there that could go.
#[test]
fn a_group_larger_than_the_bound_passes_alone() {
    let disk = SimDisk::new();
    let log = open_with(&disk, 0, options().max_bytes(230)).unwrap();
    let large = "x".repeat(1000);
    append(&log, &[&large]).unwrap();
    append(&log, &["a"]).unwrap();
    log.remove_below(1).unwrap();
    assert_eq!(bodies(&log, 1), ["a"]);
}
