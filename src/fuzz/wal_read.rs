//! The write-ahead log over files that were damaged, or made up.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::take;
use crate::codec::frame::Salt;
use crate::disk::Disk;
use crate::disk::sim::SimDisk;
use crate::error::{ErrorKind, Result};
use crate::time::ManualClock;
use crate::wal::{OnCorruption, WalOptions, WriteAheadLog};

const DIR: &str = "/log";

/// Bytes of the header of a segment, and where in it the id is.
const HEADER: usize = 40;
const ID: std::ops::Range<usize> = 20..28;

type Records = Vec<(u64, Vec<u8>)>;

/// Opens and reads a log in both modes, and appends to it. What is read was written, or
/// else, where records were made up with good checksums, has numbers that ascend.
pub fn wal_read(mut input: &[u8]) {
    let [shape] = take(&mut input);
    if shape % 2 == 0 {
        damaged(input);
    } else {
        made_up(input);
    }
}

/// Up to three edits of the files of a log.
fn damaged(mut input: &[u8]) {
    let disk = SimDisk::new();
    let edits: [[u8; 4]; 3] = [take(&mut input), take(&mut input), take(&mut input)];
    let written = write(&disk, input);
    let segments = segments(&disk);
    for [segment, kind, at, byte] in edits {
        let path = &segments[usize::from(segment) % segments.len()];
        let change = |bytes: &mut Vec<u8>| {
            let at = usize::from(at) % bytes.len().max(1);
            match kind % 4 {
                0 => {}
                1 => bytes.truncate(at),
                2 => bytes.insert(at, byte),
                _ => bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|old| *old = byte),
            }
        };
        disk.damage(path, change).expect("the segment is there");
    }
    let original = |(sequence, body): &(u64, Vec<u8>)| {
        let at = usize::try_from(*sequence).expect("few were written");
        assert_eq!(written.get(at), Some(body), "record {sequence}");
    };
    // The torn tail may be cut off by whoever opens it first.
    match open(&disk, OnCorruption::Fail).and_then(|log| records(&log)) {
        Ok((read, skipped)) => {
            read.iter().for_each(original);
            assert!(read.iter().zip(0..).all(|(record, at)| record.0 == at));
            assert_eq!(skipped, 0);
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
    }
    if let Some((read, skipped)) = skip(&disk) {
        read.iter().for_each(original);
        assert!(read.len() as u64 + skipped <= written.len() as u64);
    }
    append(&disk);
}

/// One segment with a good header, and records of whatever stands in them, with good
/// checksums.
fn made_up(mut input: &[u8]) {
    let disk = SimDisk::new();
    write(&disk, &[]);
    let segments = segments(&disk);
    let fill = |bytes: &mut Vec<u8>| {
        bytes.truncate(HEADER);
        let salt = Salt::new(&bytes[ID]);
        while let [len, rest @ ..] = input {
            let (payload, rest) = rest.split_at(rest.len().min(usize::from(*len)));
            input = rest;
            bytes.extend(salt.header(&[payload]));
            bytes.extend(payload);
        }
    };
    disk.damage(&segments[0], fill)
        .expect("the segment is there");
    if let Ok(log) = open(&disk, OnCorruption::Fail) {
        // It may find the damage when it reads.
        let _ = records(&log);
    }
    skip(&disk);
    append(&disk);
}

/// What is read in the mode that skips damage; none if there is a file that is no segment.
fn skip(disk: &SimDisk) -> Option<(Records, u64)> {
    let log = open(disk, OnCorruption::Skip).ok()?;
    let (read, skipped) = records(&log).expect("damage is skipped");
    assert!(read.is_sorted_by(|a, b| a.0 < b.0), "{read:?}");
    assert!(read.last().is_none_or(|last| last.0 < log.end()));
    Some((read, skipped))
}

/// A record that is appended is there when the log is opened again.
fn append(disk: &SimDisk) {
    let Ok(log) = open(disk, OnCorruption::Skip) else {
        return;
    };
    // It refuses when there is no number left.
    let Ok(sequence) = log.append(b"new".to_vec()) else {
        return;
    };
    drop(log);
    let (read, _) = skip(disk).expect("it could be opened before");
    assert_eq!(read.last(), Some(&(sequence, b"new".to_vec())));
}

/// Writes the lines of the input as records of small segments.
fn write(disk: &SimDisk, input: &[u8]) -> Vec<Vec<u8>> {
    let bodies: Vec<_> = input
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    let log = open(disk, OnCorruption::Fail).expect("there is nothing yet");
    for body in &bodies {
        log.append(body.clone()).expect("the disk is whole");
    }
    bodies
}

fn open(disk: &SimDisk, on_corruption: OnCorruption) -> Result<WriteAheadLog> {
    let options = WalOptions::new()
        .segment_bytes(200)
        .on_corruption(on_corruption);
    let clock = Arc::new(ManualClock::new(0));
    WriteAheadLog::open(Arc::new(disk.clone()), DIR, 0, options, clock)
}

fn records(log: &WriteAheadLog) -> Result<(Records, u64)> {
    let mut reader = log.read(0)?;
    let mut records = Vec::new();
    while let Some((sequence, body)) = reader.next_record()? {
        records.push((sequence, body.to_vec()));
    }
    Ok((records, reader.skipped()))
}

fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    let entries = disk.list(Path::new(DIR)).expect("the log is there");
    let mut names: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry.file_name())
        .collect();
    names.sort_unstable();
    let segments = names.iter().filter(|name| name.ends_with(".wal"));
    segments.map(|name| Path::new(DIR).join(name)).collect()
}
