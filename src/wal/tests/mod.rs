//! Tests of the log, on a simulated disk.

mod clean;
mod crash;
mod damage;
mod faults;
mod group;
mod hooked;
#[cfg(unix)]
mod kill;
mod log;
mod model;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::disk::sim::SimDisk;
use crate::disk::{Disk, Entry};
use crate::error::{ErrorKind, Result};
use crate::time::{Duration, ManualClock};

const DIR: &str = "/log";

/// A log with the default settings.
fn open(disk: &SimDisk) -> WriteAheadLog {
    open_with(disk, 0, WalOptions::new()).unwrap()
}

fn open_with(disk: &SimDisk, superseded: u64, options: WalOptions) -> Result<WriteAheadLog> {
    let clock = Arc::new(ManualClock::new(0));
    WriteAheadLog::open(Arc::new(disk.clone()), DIR, superseded, options, clock)
}

/// All records from a number on.
fn records(log: &WriteAheadLog, from: u64) -> Result<Vec<(u64, Vec<u8>)>> {
    let mut reader = log.read(from)?;
    let mut records = Vec::new();
    while let Some((sequence, body)) = reader.next_record()? {
        records.push((sequence, body.to_vec()));
    }
    Ok(records)
}

/// The bodies of all records, which are numbered without gaps from `from` on.
fn bodies(log: &WriteAheadLog, from: u64) -> Vec<String> {
    let records = records(log, from).unwrap();
    let text = |(at, (sequence, body)): (usize, (u64, Vec<u8>))| {
        assert_eq!(sequence, from + at as u64);
        String::from_utf8(body).unwrap()
    };
    records.into_iter().enumerate().map(text).collect()
}

fn append(log: &WriteAheadLog, bodies: &[&str]) -> Result<std::ops::Range<u64>> {
    log.append_all(bodies.iter().map(|body| body.as_bytes().to_vec()).collect())
}

/// The files of the log, by name.
fn files(disk: &SimDisk) -> Vec<String> {
    let entries = disk.list(Path::new(DIR)).unwrap();
    let names = entries.iter().filter_map(Entry::file_name);
    names.map(String::from).collect()
}

fn path(number: u64) -> PathBuf {
    segment::Segment::path(Path::new(DIR), number)
}

fn size(disk: &SimDisk, number: u64) -> usize {
    disk.open(&path(number)).unwrap().size().unwrap() as usize
}
