//! What a log does when nothing goes wrong.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::disk::{Content, SharedBytes};
use crate::time::Clock;

#[test]
fn what_was_appended_is_read_in_order() {
    let disk = SimDisk::new();
    let log = open(&disk);
    assert_eq!(log.end(), 0);
    assert_eq!(log.append(b"a".to_vec()).unwrap(), 0);
    assert_eq!(append(&log, &["b", "", "c"]).unwrap(), 1..4);
    assert_eq!(append(&log, &[]).unwrap(), 4..4);
    // Small ones around one that ends a run.
    let large = "x".repeat(200_000);
    assert_eq!(append(&log, &["d", &large, "e"]).unwrap(), 4..7);
    assert_eq!(bodies(&log, 0), ["a", "b", "", "c", "d", &large, "e"]);
    assert_eq!(bodies(&log, 5), [&large, "e"]);
    assert!(bodies(&log, 7).is_empty());
    let stats = log.stats();
    assert_eq!((stats.records, stats.groups, stats.segments), (7, 3, 1));
    assert_eq!(stats.bytes, size(&disk, 0) as u64);
    assert_eq!(stats.bytes, 40 + 7 * 24 + 200_005);
}

#[test]
fn a_restart_goes_on_in_a_new_segment() {
    let disk = SimDisk::new();
    let log = open(&disk);
    append(&log, &["a"]).unwrap();
    append(&log, &["b"]).unwrap();
    assert_eq!(files(&disk), ["segment-00000000000000000000.wal"]);
    let before = size(&disk, 0);
    drop(log);
    for _ in 0..3 {
        // All is covered, so there is nothing to do before the next record.
        let log = open_with(&disk, 2, WalOptions::new()).unwrap();
        assert_eq!((log.end(), files(&disk).len()), (2, 1));
    }
    // The last group may be in the memory of the system only.
    let log = open(&disk);
    assert_eq!(append(&log, &["c"]).unwrap(), 2..3);
    assert_eq!(bodies(&log, 0), ["a", "b", "c"]);
    let of_b_and_c = 40 + 2 * 25;
    assert_eq!((size(&disk, 0), size(&disk, 1)), (before, of_b_and_c));
}

#[test]
fn no_number_is_given_that_a_checkpoint_covers() {
    let disk = SimDisk::new();
    let log = open(&disk);
    append(&log, &["a", "b"]).unwrap();
    drop(log);
    // As if the log were older than the checkpoint, or lost.
    let log = open_with(&disk, 10, WalOptions::new()).unwrap();
    assert!(bodies(&log, 10).is_empty());
    assert_eq!(append(&log, &["c"]).unwrap(), 10..11);
    assert_eq!(bodies(&log, 10), ["c"]);
    drop(log);
    let log = open_with(&disk, 10, WalOptions::new()).unwrap();
    assert_eq!(bodies(&log, 10), ["c"]);
    let error = records(&log, 0).unwrap_err();
    assert!(error.to_string().contains("record 2 is missing"), "{error}");
}

#[test]
fn a_segment_ends_by_its_size_and_by_its_age() {
    let disk = SimDisk::new();
    let clock = ManualClock::new(0);
    let options = WalOptions::new()
        .segment_bytes(100)
        .roll_interval(Duration::from_secs(1));
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let log = WriteAheadLog::open(Arc::new(disk.clone()), DIR, 0, options, shared).unwrap();
    append(&log, &["a", "b"]).unwrap();
    assert_eq!((files(&disk).len(), size(&disk, 0)), (1, 90));
    append(&log, &["c"]).unwrap();
    assert_eq!((files(&disk).len(), size(&disk, 0)), (2, 90));
    // Larger than a segment, it has one of its own.
    append(&log, &["d", "e", "f", "g"]).unwrap();
    assert_eq!((files(&disk).len(), size(&disk, 2)), (3, 140));
    append(&log, &["h"]).unwrap();
    assert_eq!(files(&disk).len(), 4);
    clock.advance(Duration::from_millis(999));
    append(&log, &["i"]).unwrap();
    assert_eq!(files(&disk).len(), 4);
    drop(log);
    let log = open_with(&disk, 0, WalOptions::new()).unwrap();
    assert_eq!(bodies(&log, 0).concat(), "abcdefghi");
}

#[test]
fn a_segment_ends_by_its_age() {
    let disk = SimDisk::new();
    let clock = ManualClock::new(0);
    let options = WalOptions::new().roll_interval(Duration::from_secs(1));
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let log = WriteAheadLog::open(Arc::new(disk.clone()), DIR, 0, options, shared).unwrap();
    let mut counts = Vec::new();
    for body in ["a", "b", "c", "d"] {
        append(&log, &[body]).unwrap();
        counts.push(files(&disk).len());
        clock.advance(Duration::from_millis(500));
    }
    assert_eq!(counts, [1, 1, 2, 2]);
}

#[test]
fn what_cannot_be_is_refused() {
    let disk = SimDisk::new();
    let refused = |options| open_with(&disk, 0, options).unwrap_err().to_string();
    assert_eq!(
        refused(WalOptions::new().segment_bytes(100).max_bytes(199)),
        "invalid argument: the settings of a write-ahead log: max_bytes = 199 is less than two \
         segments of segment_bytes = 100"
    );
    assert_eq!(
        refused(WalOptions::new().max_record_bytes(0)),
        "invalid argument: the settings of a write-ahead log: max_record_bytes = 0 is not from 1 \
         to 1073741808"
    );
    assert!(refused(WalOptions::new().max_record_bytes(1 << 30)).contains("1073741824"));
    let log = open_with(&disk, 0, WalOptions::new().max_record_bytes(3)).unwrap();
    append(&log, &["abc"]).unwrap();
    let error = append(&log, &["d", "efgh"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid argument: a record of 4 bytes is longer than max_record_bytes = 3 of the \
         write-ahead log"
    );
    let second = open_with(&disk, 0, WalOptions::new()).unwrap_err();
    assert_eq!(
        second.to_string(),
        "input/output error: the write-ahead log cannot use /log: the directory is in use by \
         this process"
    );
    log.close();
    assert_eq!(
        append(&log, &["i"]).unwrap_err().kind(),
        ErrorKind::IllegalState
    );
    assert_eq!(bodies(&log, 0), ["abc"]);
    // A record that is too long for this setting, but was not for the one before.
    drop(log);
    let log = open_with(&disk, 0, WalOptions::new().max_record_bytes(1)).unwrap();
    assert_eq!(bodies(&log, 0), ["abc"]);
}

#[test]
fn other_files_are_left_alone() {
    let disk = SimDisk::new();
    disk.create_dir(Path::new(DIR)).unwrap();
    let names = [
        "/log/segment-1.wal",
        "/log/segment-0000000000000000000x.wal",
        "/log/notes",
    ];
    for name in names {
        disk.create(Path::new(name)).unwrap();
    }
    let directory = path(7);
    disk.create_dir(&directory).unwrap();
    let log = open(&disk);
    append(&log, &["a"]).unwrap();
    assert_eq!(bodies(&log, 0), ["a"]);
    assert_eq!(files(&disk).len(), names.len() + 1);
}

#[test]
fn the_bytes_of_a_segment_are_for_ever() {
    let disk = SimDisk::new();
    let log = open(&disk);
    append(&log, &["mill"]).unwrap();
    append(&log, &["stream", "!"]).unwrap();
    let mut bytes = Vec::new();
    let mut file = disk.open(&path(0)).unwrap();
    std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
    let id = &bytes[20..28];
    let crc = |parts: &[&[u8]]| crc32fast::hash(&parts.concat()).to_le_bytes();
    let mut expected = Vec::new();
    expected.extend_from_slice(b"MSTRMWAL\x01\0\0\0");
    expected.extend_from_slice(&[0; 8]);
    expected.extend_from_slice(id);
    expected.extend_from_slice(&[0; 8]);
    let header = crc(&[&expected]);
    expected.extend_from_slice(&header);
    let mut record = |length: u8, payload: &[u8]| {
        let length = [length, 0, 0, 0];
        expected.extend_from_slice(&length);
        expected.extend_from_slice(&crc(&[id, &length, payload]));
        expected.extend_from_slice(payload);
    };
    record(20, b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0mill");
    record(22, b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0stream");
    record(17, b"\x02\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0!");
    assert_eq!(bytes, expected);
}

#[test]
fn ids_are_random() {
    let mut ids = BTreeSet::new();
    for _ in 0..8 {
        let disk = SimDisk::new();
        append(&open(&disk), &["a"]).unwrap();
        let mut header = [0; 40];
        let mut file = disk.open(&path(0)).unwrap();
        std::io::Read::read_exact(&mut file, &mut header).unwrap();
        ids.insert(header[20..28].to_vec());
    }
    assert_eq!(ids.len(), 8);
}

/// What stands in two places is one body, and its bytes are where they were.
#[test]
fn what_is_shared_is_written_behind_what_is_not() {
    let disk = SimDisk::new();
    let log = open(&disk);
    let shared: SharedBytes = Arc::new(b"shared".to_vec());
    let bodies = vec![
        Content::new(b"own, ".to_vec(), Arc::clone(&shared)),
        Content::new(Vec::new(), Arc::clone(&shared)),
        b"own".to_vec().into(),
        Content::new(b"none".to_vec(), Arc::new(Vec::new())),
    ];
    assert_eq!(log.append_contents(bodies).unwrap(), 0..4);
    let expected = ["own, shared", "shared", "own", "none"];
    assert_eq!(super::bodies(&log, 0), expected);
    assert_eq!(size(&disk, 0), 40 + 4 * 24 + 11 + 6 + 3 + 4);
    // Nobody holds them any more.
    assert_eq!(Arc::strong_count(&shared), 1);
    drop(log);
    assert_eq!(super::bodies(&open(&disk), 0), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// However many bodies of whatever length there are: more than one run has, or fewer.
    #[test]
    fn bodies_of_any_length_come_back(lengths in vec((0_usize..40, 0_usize..40), 0..400), large in 0_usize..400) {
        let disk = SimDisk::new();
        let log = open(&disk);
        let body = |(at, &(own, shared)): (usize, &(usize, usize))| {
            let shared = if at == large { 300_000 } else { shared };
            (vec![at as u8; own], vec![!(at as u8); shared])
        };
        let bodies: Vec<_> = lengths.iter().enumerate().map(body).collect();
        let contents = bodies.iter().cloned().map(|(own, shared)| {
            Content::new(own, Arc::new(shared))
        });
        log.append_contents(contents.collect()).unwrap();
        let expected = bodies.into_iter().enumerate();
        let expected: Vec<_> = expected.map(|(at, (own, shared))| (at as u64, [own, shared].concat())).collect();
        prop_assert!(records(&log, 0).unwrap() == expected);
    }
}
