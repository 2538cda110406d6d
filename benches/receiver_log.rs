//! What the write-ahead log costs receivers.
//!
//! `cargo bench --bench receiver_log -- [--rounds N] [--blocks N] [--records N]
//! [--writers N] [--interval-ms N] [DIR]`
//!
//! A reliable receiver stores `blocks` (2000) blocks of `records` (1000) 64-bit numbers
//! from `writers` (4) threads, and they are added up in batches of `interval-ms` (10).
//! That is timed until the last one was added: without a log, with one that is not
//! synced, and with one that is, in `DIR` (the system's directory for temporary files).
//! The same numbers stored one by one are logged when they were cut.

#![expect(clippy::unwrap_used, reason = "a measurement that fails may panic")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use common::{args, rounds, timed};
use millstream::prelude::*;
use millstream::receiver::{Receiver, ReceiverHandle};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Clone, Copy)]
struct Load {
    blocks: usize,
    records: usize,
    writers: usize,
    interval_ms: usize,
}

/// Hands out what it stores with.
struct Given(mpsc::Sender<ReceiverHandle<u64>>);

impl Receiver<u64> for Given {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> millstream::Result<()> {
        self.0.send(handle).map_err(millstream::Error::other)
    }

    fn on_stop(&mut self) {}
}

/// Whether there is a log, and whether that is synced.
#[derive(Clone, Copy, PartialEq)]
enum Log {
    None,
    Os,
    Synced,
}

fn context(load: Load, log: Log, dir: &Path) -> StreamingContext {
    let builder = StreamingContext::builder()
        .batch_interval(Duration::from_millis(load.interval_ms as u64))
        .ignore_environment()
        .set("receiver_write_ahead_log", (log != Log::None).to_string())
        .set("write_ahead_log_sync", (log == Log::Synced).to_string());
    let ssc = builder.build().unwrap();
    if log != Log::None {
        ssc.checkpoint(dir).unwrap();
    }
    ssc
}

/// From the first record that is stored until the last one was added.
fn run(parent: &Path, load: Load, log: Log, one_by_one: bool) -> Duration {
    let dir = parent.join(format!("millstream-receiver-log-{}", std::process::id()));
    let ssc = context(load, log, &dir);
    let (given, handle) = mpsc::channel();
    let numbers = ssc.receiver_stream(Given(given)).unwrap();
    let numbers = numbers.checkpoint(Duration::from_secs(1)).unwrap();
    let (tell, told) = mpsc::channel();
    let added = Arc::new(Mutex::new((0, 0_u64)));
    numbers.foreach_rdd(move |rdd, _| {
        let (count, sum) = rdd.aggregate(
            (0, 0),
            |sum, number| *sum = (sum.0 + 1, sum.1 + number),
            |sum, other| *sum = (sum.0 + other.0, sum.1 + other.1),
        )?;
        let mut added = added.lock().unwrap();
        *added = (added.0 + count, added.1 + sum);
        let _ = tell.send(*added);
        Ok(())
    });
    ssc.start().unwrap();
    let handle = handle.recv().unwrap();
    let each = load.blocks / load.writers;
    let total = each * load.writers * load.records;
    let store = || {
        for _ in 0..each {
            let numbers = 0..load.records as u64;
            if one_by_one {
                numbers.for_each(|number| handle.store(number).unwrap());
            } else {
                handle.store_many(numbers.collect()).unwrap();
            }
        }
    };
    let (time, sum) = timed(|| {
        thread::scope(|scope| {
            for _ in 0..load.writers {
                scope.spawn(store);
            }
        });
        let mut all = told.iter().skip_while(|(count, _)| *count < total);
        all.next().unwrap().1
    });
    let of_block = (load.records * (load.records - 1) / 2) as u64;
    assert_eq!(sum, (each * load.writers) as u64 * of_block);
    ssc.stop(true).unwrap();
    let _ = std::fs::remove_dir_all(&dir);
    time
}

fn main() {
    let (mut count, mut blocks, mut records) = (9, 2000, 1000);
    let (mut writers, mut interval_ms) = (4, 10);
    let (words, test) = args::read(&mut [
        ("--rounds", &mut count),
        ("--blocks", &mut blocks),
        ("--records", &mut records),
        ("--writers", &mut writers),
        ("--interval-ms", &mut interval_ms),
    ]);
    let parent = words.first().map_or_else(std::env::temp_dir, PathBuf::from);
    if test {
        (count, blocks) = (1, 2 * writers);
    }
    let load = Load {
        blocks,
        records,
        writers,
        interval_ms,
    };
    let parent = &*parent;
    let times = rounds::interleave(
        count,
        &mut [
            &mut || run(parent, load, Log::None, false),
            &mut || run(parent, load, Log::Os, false),
            &mut || run(parent, load, Log::Synced, false),
            &mut || run(parent, load, Log::None, true),
            &mut || run(parent, load, Log::Synced, true),
        ],
    );
    // Of a block.
    let all = blocks / writers * writers;
    for (name, times) in [
        ("blocks, without a log", &times[0]),
        ("blocks, a log that is not synced", &times[1]),
        ("blocks, a log that is synced", &times[2]),
        ("one by one, without a log", &times[3]),
        ("one by one, a log that is synced", &times[4]),
    ] {
        rounds::report_time(name, times, all);
    }
    rounds::report("blocks, not synced, against no log", &times[1], &times[0]);
    rounds::report("blocks, synced, against no log", &times[2], &times[0]);
    rounds::report("one by one, against no log", &times[4], &times[3]);
}
