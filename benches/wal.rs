//! The write-ahead log against a bare loop of append and fdatasync.
//!
//! `cargo bench --bench wal -- [--rounds N] [--records N] [--bytes N] [--writers N] [DIR]`
//!
//! Each round appends `records` (512) records of `bytes` (4096) to new files in `DIR`
//! (the system's directory for temporary files): by one writer, by `writers` (8) at the
//! same time, and in mode `os`. The bare loops append and sync the same bytes, one record
//! or as many as there are writers at a time; in mode `os` they only append. What the log
//! holds in the end is read back and compared.

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use common::{args, rounds, timed};
use millstream::disk::LocalDisk;
use millstream::prelude::*;
use millstream::time::SystemClock;
use millstream::wal::{SyncMode, WalOptions, WriteAheadLog};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is written.
#[derive(Clone, Copy)]
struct Load {
    records: usize,
    bytes: usize,
}

impl Load {
    fn body(self, number: usize) -> Vec<u8> {
        vec![number as u8; self.bytes]
    }
}

/// A directory for one run, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new(parent: &Path) -> Self {
        let dir = parent.join(format!("millstream-wal-bench-{}", std::process::id()));
        fs::create_dir(&dir).expect("the directory can be made");
        Self(dir)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Appends the records to a file, `group` at a time, and syncs it each time.
fn bare(parent: &Path, load: Load, group: usize, sync: bool) -> Duration {
    let dir = Directory::new(parent);
    let mut file = File::create_new(dir.0.join("file")).expect("the file can be made");
    let bytes = load.body(1).repeat(group);
    let append = || {
        for _ in 0..load.records / group {
            file.write_all(&bytes).expect("the file can be written");
            if sync {
                file.sync_data().expect("the file can be synced");
            }
        }
    };
    timed(append).0
}

fn log(parent: &Path, load: Load, writers: usize, sync: SyncMode) -> Duration {
    let dir = Directory::new(parent);
    let (disk, clock) = (Arc::new(LocalDisk), Arc::new(SystemClock::new()));
    let options = WalOptions::new().sync(sync);
    let log = WriteAheadLog::open(disk, dir.0.join("log"), 0, options, clock);
    let log = log.expect("the log can be opened");
    // The segment is made with the first record.
    log.append(load.body(0)).expect("the log can be written");
    let each = load.records / writers;
    let write = || {
        for number in 0..each {
            log.append(load.body(number))
                .expect("the log can be written");
        }
    };
    let (time, ()) = timed(|| {
        thread::scope(|scope| {
            for _ in 0..writers {
                scope.spawn(write);
            }
        });
    });
    let mut reader = log.read(1).expect("the log can be read");
    let (mut count, mut sum) = (0, 0);
    while let Some((_, body)) = reader.next_record().expect("it is whole") {
        assert_eq!(body.len(), load.bytes);
        count += 1;
        sum += usize::from(body[0]);
    }
    let expected: usize = (0..each).map(|number| number % 256).sum();
    assert_eq!((count, sum), (each * writers, expected * writers));
    time
}

fn main() {
    let (mut count, mut records, mut bytes, mut writers) = (15, 512, 4096, 8);
    let (words, test) = args::read(&mut [
        ("--rounds", &mut count),
        ("--records", &mut records),
        ("--bytes", &mut bytes),
        ("--writers", &mut writers),
    ]);
    let parent = words.first().map_or_else(std::env::temp_dir, PathBuf::from);
    if test {
        (count, records) = (1, 2 * writers);
    }
    let load = Load { records, bytes };
    let (parent, always, os) = (&*parent, SyncMode::Always, SyncMode::Os);
    let times = rounds::interleave(
        count,
        &mut [
            &mut || bare(parent, load, 1, true),
            &mut || log(parent, load, 1, always),
            &mut || bare(parent, load, writers, true),
            &mut || log(parent, load, writers, always),
            &mut || bare(parent, load, 1, false),
            &mut || log(parent, load, 1, os),
        ],
    );
    rounds::report_time("bare append and sync", &times[0], records);
    rounds::report_time("log, one writer", &times[1], records);
    rounds::report_time("log, many writers", &times[3], records);
    rounds::report_time("append alone", &times[4], records);
    rounds::report_time("log, mode os", &times[5], records);
    rounds::report(
        "one writer, against one record at a time",
        &times[1],
        &times[0],
    );
    rounds::report(
        "many writers, against as many at a time",
        &times[3],
        &times[2],
    );
    rounds::report(
        "many writers, against one record at a time",
        &times[3],
        &times[0],
    );
    rounds::report("mode os, against append alone", &times[5], &times[4]);
}
