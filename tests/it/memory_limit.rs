//! Recovery under a limit of memory (G-19, F-28).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use millstream::receiver::{Receiver, ReceiverHandle};
use millstream::{State, StateSpec};

use crate::helpers::*;

const CHILD: &str = "memory_limit::the_process_under_a_limit";

/// What is kept: so many keys, each with so many bytes.
const KEYS: u64 = 200_000;
const VALUE: usize = 100;

/// Batches that come again, with so many records of so many bytes each.
const BATCHES: u64 = 150;
const RECORDS: u64 = 250;
const LONG: usize = 4000;

/// Bytes of the state in memory: keys, counts, strings and what an allocation takes.
const STATE: u64 = KEYS * (8 + 8 + 24 + VALUE as u64 + 16);
/// A process with the engine's threads, and what is at work at a time.
const BASE: u64 = 48 << 20;

/// A key with a new value, or only asked for.
type Change = (u64, Option<String>);

/// A receiver that hands out what it stores with.
struct Given(mpsc::Sender<ReceiverHandle<Change>>);

impl Receiver<Change> for Given {
    fn on_start(&mut self, handle: ReceiverHandle<Change>) -> millstream::Result<()> {
        self.0.send(handle).map_err(millstream::Error::other)
    }

    fn on_stop(&mut self) {}
}

fn say(what: &str) {
    // Nobody may be listening any more.
    let _ = std::io::stderr().write_all(format!("{what}\n").as_bytes());
}

/// The program: how often each key was given a value, and how long that is.
fn program(dir: &Path, millis: i64, interval: &str) -> (Program, ReceiverHandle<Change>) {
    let program = recover(dir, millis, |builder| {
        builder
            .workers(2)
            .set("receiver_write_ahead_log", "true")
            .set("write_ahead_log_sync", "false")
            .set("checkpoint_interval", interval)
    });
    let (given, handle) = mpsc::channel();
    let changes = program.ssc.receiver_stream(Given(given)).unwrap();
    let changes = changes.checkpoint(SECOND).unwrap();
    let asked = changes.map_with_state(StateSpec::function_with_time(
        |_, _, change: Option<Option<String>>, state: &mut State<'_, (u64, String)>| {
            let (count, value) = state.get_option().cloned().unwrap_or_default();
            match change.flatten() {
                Some(new) => {
                    state.update((count + 1, new));
                    None
                }
                None => Some((count, value.len() as u64)),
            }
        },
    ));
    let asked = asked.checkpoint(SECOND).unwrap();
    asked.foreach_rdd(|rdd, time| {
        let (mut keys, mut counts, mut bytes) = (0, 0, 0);
        for (count, len) in rdd.collect()? {
            (keys, counts, bytes) = (keys + 1, counts + count, bytes + len);
        }
        say(&format!(
            "batch {} {keys} {counts} {bytes}",
            time.as_millis()
        ));
        Ok(())
    });
    program.start();
    (program, handle.recv().unwrap())
}

/// Not a test of its own: what it does, where, and from which time on is in a variable.
#[test]
fn the_process_under_a_limit() {
    let Ok(order) = std::env::var("MEMORY_CHILD") else {
        return;
    };
    let order: Vec<_> = order.splitn(3, ' ').collect();
    let [what, millis, dir] = order[..] else {
        panic!("{order:?}");
    };
    let millis = millis.parse().unwrap();
    let interval = if what == "fill" { "1s" } else { "1000000s" };
    let (program, handle) = program(dir.as_ref(), millis, interval);
    match what {
        "fill" => {
            let keys: Vec<_> = (0..KEYS).collect();
            for keys in keys.chunks(10_000) {
                let value = || Some("v".repeat(VALUE));
                let changes: Vec<_> = keys.iter().map(|&key| (key, value())).collect();
                handle.store_many(changes).unwrap();
            }
            program.tick();
            program.stop();
        }
        "log" => {
            for batch in 0..BATCHES {
                // Always the same few keys.
                let value = || Some("w".repeat(LONG));
                let changes: Vec<_> = (0..RECORDS).map(|key| (key, value())).collect();
                for changes in changes.chunks(50) {
                    handle.store_many(changes.to_vec()).unwrap();
                }
                program.tick();
                assert_eq!(
                    program.now().as_millis(),
                    millis + 1000 * (batch as i64 + 1)
                );
            }
            program.ssc.stop(false).unwrap();
        }
        _ => {
            program.ssc.await_batch(at(millis));
            say("recovered");
            let keys: Vec<_> = (0..KEYS).collect();
            for keys in keys.chunks(10_000) {
                let changes: Vec<_> = keys.iter().map(|&key| (key, None)).collect();
                handle.store_many(changes).unwrap();
            }
            program.tick();
            program.ssc.stop(false).unwrap();
        }
    }
}

/// The same test in a process of its own that may have so many bytes of data.
fn start(what: &str, millis: i64, dir: &Path, limit: u64) -> Child {
    Command::new("sh")
        .args(["-c", r#"ulimit -d "$0" && exec "$@""#])
        .arg((limit >> 10).to_string())
        .arg(std::env::current_exe().unwrap())
        .args([CHILD, "--exact", "--nocapture", "--test-threads=1"])
        .env("MEMORY_CHILD", format!("{what} {millis} {}", dir.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What it says until it ends; it is killed after so many lines.
fn listen(mut child: Child, lines: usize) -> Vec<String> {
    let mut all = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        all.push(line.unwrap());
        if all.len() == lines {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(status.success(), all.len() < lines, "{status}: {all:?}");
    all
}

/// Recovery takes three times what is kept, however long the log is, and ends and is
/// exact, also if it was killed before.
#[test]
fn g_19_recovery_takes_memory_for_what_is_kept_and_not_for_the_log() {
    let dir = Scratch::new("memory-limit");
    let limit = BASE + 3 * STATE;
    assert!(BATCHES * RECORDS * LONG as u64 > limit, "the log is larger");
    let begun = listen(start("fill", 0, &dir, 1 << 40), usize::MAX);
    assert_eq!(begun, ["batch 1000 0 0 0"]);
    let logged = listen(start("log", 1000, &dir, 1 << 40), usize::MAX);
    assert_eq!(logged.len() as u64, BATCHES);
    let end = 1000 + 1000 * BATCHES as i64;
    for lines in [1, 20, 100] {
        listen(start("recover", end, &dir, limit), lines);
    }
    let mut said = listen(start("recover", end, &dir, limit), usize::MAX);
    let counts = KEYS + BATCHES * RECORDS;
    let bytes = (KEYS - RECORDS) * VALUE as u64 + RECORDS * LONG as u64;
    let last = format!("batch {} {KEYS} {counts} {bytes}", end + 1000);
    assert_eq!(said.pop(), Some(last));
    assert_eq!(said.pop(), Some("recovered".to_owned()));
    assert_eq!(said, logged, "each batch once, in order");
}
