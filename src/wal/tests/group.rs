//! Many writers at the same time.

use std::sync::{Condvar, Mutex};
use std::thread;

use super::hooked::HookedDisk;
use super::*;

/// Where syncs wait until they are let through.
#[derive(Debug, Default)]
struct Gate {
    /// Syncs that may pass.
    open: Mutex<usize>,
    changed: Condvar,
}

impl Gate {
    fn let_through(&self, syncs: usize) {
        *self.open.lock().unwrap() += syncs;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let open = self.open.lock().unwrap();
        let mut open = self.changed.wait_while(open, |open| *open == 0).unwrap();
        *open -= 1;
    }
}

/// Those who come while a sync is going on share the next one.
#[test]
fn many_writers_share_one_sync() {
    let gate = Arc::new(Gate::default());
    let passing = Arc::clone(&gate);
    let disk = HookedDisk {
        sync: Arc::new(move || passing.pass()),
        ..HookedDisk::default()
    };
    let clock = Arc::new(ManualClock::new(0));
    let log = WriteAheadLog::open(Arc::new(disk), DIR, 0, WalOptions::new(), clock).unwrap();
    thread::scope(|scope| {
        let append = |body: &str| {
            let (body, log) = (body.as_bytes().to_vec(), &log);
            scope.spawn(move || (log.append(body.clone()).unwrap(), body))
        };
        let first = append("first");
        while log.is_idle() {
            thread::yield_now();
        }
        let others: Vec<_> = (0..8).map(|i| append(&i.to_string())).collect();
        while log.waiting() < 8 {
            thread::yield_now();
        }
        // The header of the segment, the first record, and all of the others.
        gate.let_through(3);
        assert_eq!(first.join().unwrap(), (0, b"first".to_vec()));
        let mut others: Vec<_> = others.into_iter().map(|o| o.join().unwrap()).collect();
        others.sort();
        assert_eq!(records(&log, 1).unwrap(), others);
    });
    let stats = log.stats();
    assert_eq!((stats.records, stats.groups), (9, 2));
}

/// G-16: each of many writers is told once, of what is in the log, under failures.
#[test]
fn each_writer_is_told_what_became_of_its_own() {
    const WRITERS: u64 = 6;
    const EACH: u64 = 200;
    for sync in [SyncMode::Always, SyncMode::Os] {
        let disk = SimDisk::new();
        let options = WalOptions::new().sync(sync).segment_bytes(2000);
        let log = open_with(&disk, 0, options).unwrap();
        for call in [50, 51, 90, 200, 201, 202, 203, 333, 500] {
            disk.fail(call..=call, crate::disk::sim::Fault::Io);
        }
        let mut told: Vec<(u64, Vec<u8>)> = thread::scope(|scope| {
            let write = |writer: u64| {
                let log = &log;
                move || {
                    let mut told = Vec::new();
                    for i in 0..EACH {
                        let bodies: Vec<_> = (0..1 + i % 3)
                            .map(|part| format!("{writer} {i} {part}").into_bytes())
                            .collect();
                        if let Ok(range) = log.append_all(bodies.clone()) {
                            told.extend(range.zip(bodies));
                        }
                    }
                    told
                }
            };
            let writers: Vec<_> = (0..WRITERS).map(|w| scope.spawn(write(w))).collect();
            writers
                .into_iter()
                .flat_map(|writer| writer.join().unwrap())
                .collect()
        });
        told.sort();
        // Large groups leave some of the failures over.
        disk.mend();
        assert_eq!(records(&log, 0).unwrap(), told);
        drop(log);
        let survives = match sync {
            SyncMode::Always => crate::disk::sim::Survives::Durable,
            SyncMode::Os => crate::disk::sim::Survives::Written,
        };
        let crashed = disk.crash(disk.operations(), survives);
        assert_eq!(records(&open(&crashed), 0).unwrap(), told);
    }
}
