//! A program goes on from what released versions have written (F-13).
//!
//! `tests/fixtures/released/` has a directory for each: checkpoints, the log of batches and
//! that of receivers. What cannot be read any more, or is something else now, is found here.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc;

use millstream::StateSpec;
use millstream::listener::CheckpointInfo;
use millstream::prelude::*;
use millstream::receiver::ReceiverHandle;
use millstream::shared::{DoubleAccumulator, LongAccumulator};

use crate::checkpoints::Taken;
use crate::helpers::*;
use crate::once::recovered::Numbers;
use crate::write_ahead_log::Given;

/// The files that are watched, by a name that is the same in each process: where it is is
/// in what is saved.
const FILES: &str = "/proc/self/cwd/files";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/released")
}

/// A program that keeps something of each kind.
struct Run {
    program: Program,
    taken: mpsc::Receiver<CheckpointInfo>,
    handle: ReceiverHandle<u64>,
    /// How many numbers the source with positions has.
    there: Arc<AtomicU64>,
    lines: Seen<Vec<(Str, u64)>>,
    sums: Seen<Vec<(u64, u64)>>,
    largest: Seen<Vec<(u64, u64)>>,
    totals: Seen<Vec<(u64, u64)>>,
    records: LongAccumulator,
    halves: DoubleAccumulator,
}

impl Run {
    fn start(millis: i64) -> Self {
        let program = recover("checkpoints".as_ref(), millis, |builder| {
            let builder = builder.workers(1).default_parallelism(2);
            let builder = builder.set("receiver_write_ahead_log", "true");
            builder.set("checkpoint_interval", "2s")
        });
        let ssc = &program.ssc;
        let (told, taken) = mpsc::channel();
        ssc.add_listener(Taken(told));
        let records = ssc.long_accumulator("records");
        let halves = ssc.double_accumulator("halves");

        let lines = ssc.text_file_stream(FILES).unwrap().uid("files").unwrap();
        let lines =
            lines
                .map(|line| (line, 1))
                .update_state_by_key(|new: &[u64], old: Option<&u64>| {
                    Some(old.unwrap_or(&0) + new.iter().sum::<u64>())
                });
        let lines = lines.uid("lines").unwrap().checkpoint(SECOND).unwrap();

        let there = Arc::new(AtomicU64::new(2 * millis as u64 / 1000));
        let numbers = Numbers {
            there: Arc::clone(&there),
            next: 0,
        };
        let numbers = ssc.input_stream(numbers).unwrap();
        let pairs = numbers.uid("numbers").unwrap().map(|n| (n % 3, n));
        let (length, slide) = (3 * SECOND, SECOND);
        let sums =
            pairs.reduce_by_key_and_window_inverse(|a, b| a + b, |a, b| a - b, length, slide);
        let sums = sums.unwrap().uid("sums").unwrap();
        let sums = sums.checkpoint(SECOND).unwrap();
        let largest = pairs.reduce_by_key_and_window(u64::max, length, slide);
        let largest = largest.unwrap().uid("largest").unwrap();
        let largest = largest.checkpoint(SECOND).unwrap();

        let (given, handle) = mpsc::channel();
        let received = ssc.receiver_stream(Given(given)).unwrap();
        let received = received.uid("received").unwrap();
        let received = received.checkpoint(SECOND).unwrap();
        let (adds, halved) = (records.clone(), halves.clone());
        let keyed = received.map(move |n| {
            adds.add(1);
            halved.add(0.5);
            (n % 2, n)
        });
        let totals = keyed.map_with_state(
            StateSpec::function(|key: u64, n: Option<u64>, state: &mut State<'_, u64>| {
                let total = state.get_option().copied().unwrap_or_default();
                if let Some(n) = n {
                    state.update(total + n);
                }
                key
            })
            .timeout(6 * SECOND),
        );
        let _ = totals.uid("totals").unwrap();
        let totals = totals.checkpoint(SECOND).unwrap();

        let lines = watch(&lines);
        let sums = watch(&sums);
        let largest = watch(&largest);
        let totals = watch(&totals.state_snapshots());
        program.start();
        Self {
            handle: handle.recv().unwrap(),
            there,
            program,
            taken,
            lines,
            sums,
            largest,
            totals,
            records,
            halves,
        }
    }

    /// A batch with two more numbers, and the checkpoint behind it if one is due there.
    fn tick(&self, has_checkpoint: bool) {
        self.there.fetch_add(2, SeqCst);
        self.program.tick();
        if has_checkpoint {
            let taken = self.taken.recv().unwrap();
            assert!(taken.error.is_none(), "{taken:?}");
            assert_eq!(taken.batch_time, self.program.now());
        }
    }

    fn store(&self, numbers: impl Into<Vec<u64>>) {
        self.handle.store_many(numbers.into()).unwrap();
    }
}

/// A file that came so many seconds behind the first one.
fn file(second: u64) {
    let path = Path::new(FILES).join(format!("{second}"));
    let text = format!("all\nfrom {second}\nand all\nall\n");
    put(path, 1000 * second + 500, text);
}

/// What two processes leave behind.
fn write() {
    let run = Run::start(0);
    assert_eq!(run.taken.recv().unwrap().batch_time, at(0));
    file(0);
    run.store([1, 2]);
    run.tick(false);
    run.store([3]);
    run.store([4, 5, 6]);
    run.tick(true);
    file(2);
    run.tick(false);
    run.program.ssc.stop(false).unwrap();
    drop(run);
    // The log has a second segment from here on.
    let run = Run::start(3000);
    run.store([7]);
    run.tick(true);
    run.store([8, 9]);
    file(4);
    run.tick(false);
    // In no batch.
    run.store([10, 11]);
    run.program.ssc.stop(false).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() == "LOCK" {
            continue;
        }
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => fs::write(to, fs::read(entry.path()).unwrap()).unwrap(),
        }
    }
}

/// The batch behind the last checkpoint comes again as it was, and then one with what was
/// in none.
fn go_on() {
    let run = Run::start(5000);
    run.program.ssc.await_batch(at(5000));
    file(5);
    run.tick(true);
    let sorted = |seen: Seen<Vec<(u64, u64)>>| {
        let mut batches = seen.take();
        batches.iter_mut().for_each(|(_, batch)| batch.sort());
        batches
    };
    let mut lines = run.lines.take();
    lines.iter_mut().for_each(|(_, batch)| batch.sort());
    let line = |text: &str, count| (Str::from(text), count);
    let three = |count| [line("all", 2 * count), line("and all", count)];
    let from = |second: u64| line(&format!("from {second}"), 1);
    assert_eq!(
        lines,
        [
            (5000, [&three(3)[..], &[from(0), from(2), from(4)]].concat()),
            (
                6000,
                [&three(4)[..], &[from(0), from(2), from(4), from(5)]].concat()
            ),
        ]
    );
    // Of 4..10, and of 6..12.
    assert_eq!(
        sorted(run.sums),
        [
            (5000, vec![(0, 6 + 9), (1, 4 + 7), (2, 5 + 8)]),
            (6000, vec![(0, 6 + 9), (1, 7 + 10), (2, 8 + 11)])
        ]
    );
    assert_eq!(
        sorted(run.largest),
        [
            (5000, vec![(0, 9), (1, 7), (2, 8)]),
            (6000, vec![(0, 9), (1, 10), (2, 11)])
        ]
    );
    assert_eq!(
        sorted(run.totals),
        [
            (5000, vec![(0, 2 + 4 + 6 + 8), (1, 1 + 3 + 5 + 7 + 9)]),
            (
                6000,
                vec![(0, 2 + 4 + 6 + 8 + 10), (1, 1 + 3 + 5 + 7 + 9 + 11)]
            ),
        ]
    );
    assert_eq!((run.records.value(), run.halves.value()), (11, 5.5));
    run.program.ssc.stop(true).unwrap();
}

/// In a directory of its own.
fn inside(dir: &Path, body: impl FnOnce()) {
    fs::create_dir(dir.join("files")).unwrap();
    std::env::set_current_dir(dir).unwrap();
    body();
}

/// With `RECORD_RELEASED` that of this version is written anew before.
#[test]
fn f_13_a_program_goes_on_from_what_released_versions_wrote() {
    in_own_process(
        "released::f_13_a_program_goes_on_from_what_released_versions_wrote",
        || {
            if std::env::var_os("RECORD_RELEASED").is_some() {
                let dir = Scratch::new("released-record");
                inside(&dir, write);
                let of_this = fixtures().join(env!("CARGO_PKG_VERSION"));
                if of_this.exists() {
                    fs::remove_dir_all(&of_this).unwrap();
                }
                copy(&dir.join("checkpoints"), &of_this);
            }
            let mut versions = 0;
            for version in fs::read_dir(fixtures()).unwrap() {
                let version = version.unwrap().path();
                if !version.is_dir() {
                    continue;
                }
                println!("version {}", version.display());
                let dir = Scratch::new("released");
                copy(&version, &dir.join("checkpoints"));
                inside(&dir, || {
                    [0, 2, 4].into_iter().for_each(file);
                    go_on();
                });
                versions += 1;
            }
            assert!(versions > 0);
        },
    );
}
