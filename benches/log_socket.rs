//! What the write-ahead log costs a word count from a socket.
//!
//! `cargo bench --bench log_socket -- [--rounds N] [--mb N] [--interval-ms N] [DIR]`
//!
//! A sender gives `mb` (200) MB of text as fast as it is taken, and its words are counted
//! in batches of `interval-ms` (100): without a log, with one that is not synced, and with
//! one that is, in `DIR` (the system's directory for temporary files). The time is that
//! until the last word was counted. Beside them, in the same directory, a bare loop that
//! appends the same bytes to a file, in as many writes as there are batches, and one that
//! syncs each of them.

#![expect(
    clippy::disallowed_methods,
    reason = "the sender is a thread of its own"
)]
#![expect(clippy::unwrap_used, reason = "a measurement that fails may panic")]

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use common::generate::{WORDS_PER_LINE, text};
use common::{args, rounds, timed};
use millstream::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Lines in one portion of the sender.
const LINES: usize = 100_000;

#[derive(Clone, Copy)]
struct Load<'a> {
    parent: &'a Path,
    portion: &'a [u8],
    portions: usize,
    interval_ms: usize,
}

impl Load<'_> {
    /// Sends everything to the first client, and then closes.
    fn sender(self) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let portion = self.portion.to_vec();
        let thread = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            for _ in 0..self.portions {
                client.write_all(&portion).unwrap();
            }
        });
        (address, thread)
    }

    fn words(self) -> u64 {
        (self.portions * LINES * WORDS_PER_LINE) as u64
    }

    /// A new directory.
    fn dir(self) -> PathBuf {
        let name = format!("millstream-log-socket-{}", std::process::id());
        let dir = self.parent.join(name);
        let _ = fs::remove_dir_all(&dir);
        dir
    }
}

/// Whether there is a log, and whether that is synced.
#[derive(Clone, Copy, PartialEq)]
enum Log {
    None,
    Os,
    Synced,
}

/// From the start until the last word was counted.
fn run(load: Load<'_>, log: Log) -> Duration {
    let ssc = StreamingContext::builder()
        .batch_interval(Duration::from_millis(load.interval_ms as u64))
        .ignore_environment()
        .set("receiver_restart_delay", "1h")
        .set("receiver_write_ahead_log", (log != Log::None).to_string())
        .set("write_ahead_log_sync", (log == Log::Synced).to_string())
        .build()
        .unwrap();
    let dir = load.dir();
    if log != Log::None {
        ssc.checkpoint(&dir).unwrap();
    }
    let (address, sender) = load.sender();
    let (tell, told) = mpsc::channel();
    let lines = ssc.socket_text_stream(address.to_string()).unwrap();
    let words = lines.flat_map(|line| line.split(' ')).map(|word| (word, 1));
    words
        .reduce_by_key(|a, b| a + b)
        .foreach_rdd(move |counts, _| {
            let counts = counts.map(|(_, count): (Str, u64)| count);
            // The main thread may be gone already.
            let _ = tell.send(counts.reduce(|a, b| a + b)?.unwrap_or(0));
            Ok(())
        });
    let (time, counted) = timed(|| {
        ssc.start().unwrap();
        let mut counted = 0;
        while counted < load.words() {
            counted += told.recv().unwrap();
        }
        counted
    });
    assert_eq!(counted, load.words());
    sender.join().unwrap();
    ssc.stop(true).unwrap();
    let _ = fs::remove_dir_all(&dir);
    time
}

/// Appends the same bytes, a portion at a time.
fn bare(load: Load<'_>, sync: bool) -> Duration {
    let dir = load.dir();
    fs::create_dir(&dir).unwrap();
    let (time, ()) = timed(|| {
        let mut file = File::create(dir.join("bytes")).unwrap();
        for _ in 0..load.portions {
            file.write_all(load.portion).unwrap();
            if sync {
                file.sync_data().unwrap();
            }
        }
    });
    let _ = fs::remove_dir_all(&dir);
    time
}

fn main() {
    let (mut count, mut mb, mut interval_ms) = (7, 200, 100);
    let (words, test) = args::read(&mut [
        ("--rounds", &mut count),
        ("--mb", &mut mb),
        ("--interval-ms", &mut interval_ms),
    ]);
    let parent = words.first().map_or_else(std::env::temp_dir, PathBuf::from);
    if test {
        (count, mb) = (1, 10);
    }
    let portion = text(LINES);
    let load = Load {
        parent: &parent,
        portion: &portion,
        portions: (mb * 1_000_000).div_ceil(portion.len()),
        interval_ms,
    };
    let times = rounds::interleave(
        count,
        &mut [
            &mut || run(load, Log::None),
            &mut || run(load, Log::Os),
            &mut || run(load, Log::Synced),
            &mut || bare(load, false),
            &mut || bare(load, true),
        ],
    );
    for (name, times) in [
        ("without a log", &times[0]),
        ("a log that is not synced", &times[1]),
        ("a log that is synced", &times[2]),
        ("bare append", &times[3]),
        ("bare append and sync", &times[4]),
    ] {
        rounds::report_speed(name, times, load.portions * LINES);
    }
    rounds::report("not synced, against no log", &times[1], &times[0]);
    rounds::report("synced, against no log", &times[2], &times[0]);
    rounds::report("synced, against bare append and sync", &times[2], &times[4]);
}
