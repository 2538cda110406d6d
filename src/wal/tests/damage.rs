//! Logs that were cut off or changed on disk.

use super::*;

/// Two segments: the records `a` and `b`, each a group of its own, and `c`, `d` with
/// `e`, `f`.
fn written() -> SimDisk {
    let disk = SimDisk::new();
    let log = open_with(&disk, 0, WalOptions::new().segment_bytes(90)).unwrap();
    append(&log, &["a"]).unwrap();
    append(&log, &["b"]).unwrap();
    drop(log);
    // All of it in one segment.
    let log = open_with(&disk, 2, WalOptions::new()).unwrap();
    append(&log, &["c"]).unwrap();
    append(&log, &["d", "e"]).unwrap();
    append(&log, &["f"]).unwrap();
    assert_eq!((size(&disk, 0), size(&disk, 1)), (90, 140));
    disk
}

fn damaged(number: u64, change: impl FnOnce(&mut Vec<u8>)) -> SimDisk {
    let disk = written();
    disk.damage(&path(number), change).unwrap();
    disk
}

fn skipping() -> WalOptions {
    WalOptions::new().on_corruption(OnCorruption::Skip)
}

/// The records of a log, with the policy to skip, and how many were skipped.
fn skipped(disk: &SimDisk) -> (String, u64) {
    let log = open_with(disk, 0, skipping()).unwrap();
    let mut reader = log.read(0).unwrap();
    let mut text = String::new();
    while let Some((sequence, body)) = reader.next_record().unwrap() {
        assert_eq!(body[0] - b'a', sequence as u8);
        text.push(char::from(body[0]));
    }
    (text, reader.skipped())
}

/// What a log says that fails at damage, when it is opened or read.
fn failure(disk: &SimDisk) -> Option<String> {
    let log = open_with(disk, 0, WalOptions::new());
    let error = log.and_then(|log| records(&log, 0)).err()?;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    Some(error.to_string())
}

/// F-14.
#[test]
fn a_tail_that_is_torn_at_any_byte_leaves_all_complete_records() {
    for len in 0..=140 {
        let disk = damaged(1, |bytes| bytes.truncate(len));
        let complete = len.saturating_sub(40) / 25;
        let expected = &["a", "b", "c", "d", "e", "f"][..2 + complete];
        let log = open(&disk);
        assert_eq!(bodies(&log, 0), expected, "cut at {len}");
        let torn = if len < 40 { 0 } else { (len - 40) % 25 };
        assert_eq!(log.stats().torn_bytes, torn as u64);
        // And it goes on behind them.
        let next = expected.len() as u64;
        assert_eq!(append(&log, &["next"]).unwrap(), next..next + 1);
        drop(log);
        let log = open(&disk);
        assert_eq!(bodies(&log, 0), [expected, &["next"]].concat());
        assert_eq!(log.stats().torn_bytes, 0);
    }
}

#[test]
fn every_flipped_bit_is_found() {
    for (number, len) in [(0, 90), (1, 140)] {
        for bit in 0..len * 8 {
            let (at, mask) = (bit / 8, 1 << (bit % 8));
            let disk = damaged(number, |bytes| bytes[at] ^= mask);
            let found = failure(&disk);
            if at < 40 {
                let found = found.unwrap();
                assert!(found.contains(&format!("{number}.wal: ")), "{found}");
                continue;
            }
            let record = 2 * number as usize + (at - 40) / 25;
            let mut left = "abcdef".to_owned();
            left.remove(record);
            if record == 5 {
                // It may not have been acknowledged.
                assert_eq!(found, None);
                assert_eq!(skipped(&disk), (left, 0));
            } else {
                let found = found.unwrap();
                let place = format!(
                    "corrupt data: the write-ahead log is damaged: record {record} is missing, at \
                     byte {} of /log/segment-0000000000000000000{number}.wal: ",
                    at - (at - 40) % 25
                );
                assert!(found.starts_with(&place), "{found}\n{place}");
                assert_eq!(skipped(&disk), (left, 1), "bit {bit} of segment {number}");
            }
        }
    }
}

#[test]
fn a_segment_that_ends_too_early_is_damage() {
    for len in 0..90 {
        let disk = damaged(0, |bytes| bytes.truncate(len));
        assert!(failure(&disk).is_some(), "cut at {len}");
        let (left, count) = match len {
            0..65 => ("cdef", 2),
            _ => ("acdef", 1),
        };
        assert_eq!(skipped(&disk), (left.to_owned(), count), "cut at {len}");
    }
    let disk = damaged(0, |bytes| bytes.truncate(65));
    assert_eq!(
        failure(&disk).unwrap(),
        "corrupt data: the write-ahead log is damaged: record 1 is missing, at byte 65 of \
         /log/segment-00000000000000000000.wal: corrupt data: the file ends here"
    );
}

#[test]
fn a_segment_that_is_gone_is_damage() {
    let disk = written();
    let log = open_with(&disk, 0, WalOptions::new().segment_bytes(90)).unwrap();
    append(&log, &["g", "h"]).unwrap();
    append(&log, &["i"]).unwrap();
    drop(log);
    let files = files(&disk);
    assert_eq!(files.len(), 5, "{files:?}");
    disk.remove(&path(1)).unwrap();
    let error = failure(&disk).unwrap();
    assert!(
        error.contains("record 2 is missing, at byte 90 of "),
        "{error}"
    );
    assert_eq!(skipped(&disk), ("abfghi".to_owned(), 3));
    disk.remove(&path(0)).unwrap();
    assert_eq!(
        failure(&disk).unwrap(),
        "corrupt data: record 0 is not in the write-ahead log any more, which begins with 5"
    );
    assert_eq!(skipped(&disk), ("fghi".to_owned(), 5));
}

/// The newest segment may have no record yet; what is before it was acknowledged.
#[test]
fn a_segment_before_an_unused_one_has_to_reach_it() {
    let unused = |disk: &SimDisk| {
        let log = open_with(disk, 6, WalOptions::new()).unwrap();
        // Behind the header, its sync and that of the directory.
        disk.fail(disk.calls() + 4.., crate::disk::sim::Fault::Io);
        append(&log, &["g"]).unwrap_err();
        disk.mend();
        assert_eq!(size(disk, 2), 40);
    };
    let disk = written();
    unused(&disk);
    assert_eq!(bodies(&open(&disk), 0).concat(), "abcdef");
    for cut in [1, 25, 26, 90, 100] {
        let disk = written();
        unused(&disk);
        disk.damage(&path(1), |bytes| bytes.truncate(140 - cut))
            .unwrap();
        let left = 6 - cut.div_ceil(25);
        let error = failure(&disk).unwrap();
        let expected = format!(
            "record {left} is missing, at byte {} of",
            40 + 25 * (left - 2)
        );
        assert!(error.contains(&expected), "{error}\n{expected}");
        assert_eq!(
            skipped(&disk),
            ("abcdef"[..left].to_owned(), 6 - left as u64)
        );
    }
}

#[test]
fn what_is_superseded_may_be_damaged() {
    let disk = damaged(0, |bytes| bytes[41] ^= 1);
    let log = open(&disk);
    assert!(records(&log, 0).is_err());
    assert_eq!(bodies(&log, 1).concat(), "bcdef");
}

#[test]
fn a_file_that_was_copied_or_is_another_one_is_none() {
    let disk = written();
    disk.rename(&path(0), &path(3)).unwrap();
    let error = failure(&disk).unwrap();
    assert!(
        error.contains("it has another name than when it was written"),
        "{error}"
    );

    // The records of one segment are none in another one.
    let other = written();
    let mut records = Vec::new();
    other
        .damage(&path(1), |bytes| records.clone_from(bytes))
        .unwrap();
    let disk = damaged(1, |bytes| bytes[40..].clone_from_slice(&records[40..]));
    assert_eq!(bodies(&open(&disk), 0).concat(), "ab");

    let disk = damaged(1, |bytes| bytes[..8].clone_from_slice(b"ELFELFEL"));
    let error = failure(&disk).unwrap();
    assert!(
        error.ends_with("it is no segment of a write-ahead log"),
        "{error}"
    );

    let disk = damaged(1, |bytes| {
        bytes[8] = 2;
        let crc = crc32fast::hash(&bytes[..36]).to_le_bytes();
        bytes[36..40].clone_from_slice(&crc);
    });
    let error = failure(&disk).unwrap();
    assert!(
        error.contains("it was written by another version"),
        "{error}"
    );
}

#[test]
fn segments_out_of_order_are_damage() {
    let disk = written();
    let mut bytes = Vec::new();
    disk.damage(&path(1), |of_one| bytes.clone_from(of_one))
        .unwrap();
    bytes[12] = 2;
    bytes[28] = 1;
    let crc = crc32fast::hash(&bytes[..36]).to_le_bytes();
    bytes[36..40].clone_from_slice(&crc);
    disk.create(&path(2)).unwrap().append(&bytes).unwrap();
    let error = failure(&disk).unwrap();
    assert!(
        error.ends_with("it begins before the segment that it follows"),
        "{error}"
    );
}

/// Damage is skipped byte by byte, over any distance, and costs no memory.
#[test]
fn the_next_good_record_is_found_far_behind() {
    let disk = SimDisk::new();
    let log = open(&disk);
    let large = "x".repeat(300_000);
    append(&log, &["a"]).unwrap();
    append(&log, &[&large]).unwrap();
    append(&log, &["b"]).unwrap();
    drop(log);
    // A length that is far beyond the end, and one that is false but fits.
    for length in [0xffff_fff0_u32, 200_000] {
        disk.damage(&path(0), |bytes| {
            bytes[65..69].clone_from_slice(&length.to_le_bytes());
        })
        .unwrap();
        let error = failure(&disk).unwrap();
        assert!(
            error.contains("record 1 is missing, at byte 65 of "),
            "{error}"
        );
        let log = open_with(&disk, 0, skipping()).unwrap();
        let mut reader = log.read(0).unwrap();
        assert_eq!(reader.next_record().unwrap(), Some((0, &b"a"[..])));
        assert_eq!(reader.next_record().unwrap(), Some((2, &b"b"[..])));
        assert_eq!(reader.next_record().unwrap(), None);
        assert_eq!(reader.skipped(), 1);
    }
}

/// What is damaged in the last segment is found at once, and not when it is read.
#[test]
fn damage_of_what_was_durable_is_an_error_of_the_start() {
    let disk = damaged(1, |bytes| bytes[60] ^= 1);
    let error = open_with(&disk, 0, WalOptions::new()).unwrap_err();
    let what = "record 2 is missing, at byte 40 of /log/segment-00000000000000000001.wal";
    assert!(error.to_string().contains(what), "{error}");
    assert_eq!(skipped(&disk), ("abdef".to_owned(), 1));
}

#[test]
fn whole_records_in_another_order_are_damage() {
    let disk = damaged(1, |bytes| bytes[40..90].rotate_left(25));
    let error = failure(&disk).unwrap();
    assert!(
        error.contains("record 3 is missing, at byte 90 of"),
        "{error}"
    );
    assert_eq!(skipped(&disk), ("abcf".to_owned(), 2));
}

/// A segment that does not count is removed, and a torn end is cut off also where nothing of
/// it is needed.
#[test]
fn a_new_segment_takes_the_place_of_what_was_torn() {
    let name = |number| format!("segment-{number:020}.wal");
    let disk = damaged(1, |bytes| bytes.truncate(50));
    drop(open(&disk));
    assert_eq!(files(&disk), [0, 2].map(name));
    let disk = damaged(1, |bytes| bytes.push(1));
    let log = open_with(&disk, 6, WalOptions::new()).unwrap();
    assert_eq!(files(&disk), [0, 1, 2].map(name));
    assert_eq!(append(&log, &["g"]).unwrap(), 6..7);
    assert_eq!(bodies(&log, 6), ["g"]);
}
