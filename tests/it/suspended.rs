//! A process that is stopped for a while by a signal, and goes on (F-17).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::fs;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::thread::Builder;

use millstream::prelude::*;
use millstream::receiver::{Receiver, ReceiverHandle};

const CHILD: &str = "suspended::the_process_that_is_suspended";

/// Stores numbers from 0 on until it is stopped; then tells how many those were.
struct Numbers(mpsc::Sender<u64>);

impl Receiver<u64> for Numbers {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> millstream::Result<()> {
        let told = self.0.clone();
        Builder::new().spawn(move || {
            let mut stored = 0;
            while handle.store(stored).is_ok() {
                stored += 1;
            }
            told.send(stored).map_err(millstream::Error::other)
        })?;
        Ok(())
    }

    fn on_stop(&mut self) {}
}

fn say(what: &str) {
    // Nobody may be listening any more.
    let _ = std::io::stderr().write_all(format!("{what}\n").as_bytes());
}

/// Not a test of its own: says what is in its batches, until its input ends.
#[test]
fn the_process_that_is_suspended() {
    if std::env::var_os("SUSPENDED_CHILD").is_none() {
        return;
    }
    let ssc = StreamingContext::builder()
        .batch_interval(Duration::from_millis(1))
        .workers(2)
        .set("receiver_max_rate", "20000")
        .set("backpressure_enabled", "true")
        // However long it stands still, no batch is passed over.
        .set("max_queued_batches", "1000000")
        .ignore_environment()
        .build()
        .unwrap();
    let (told, stored) = mpsc::channel();
    let numbers = ssc.receiver_stream(Numbers(told)).unwrap();
    numbers.foreach_rdd(|rdd, time| {
        let numbers = rdd.collect()?;
        assert!(numbers.windows(2).all(|two| two[0] + 1 == two[1]));
        let first = numbers.first().copied().unwrap_or_default();
        say(&format!(
            "batch {} {first} {}",
            time.as_millis(),
            numbers.len()
        ));
        Ok(())
    });
    ssc.start().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    ssc.stop(true).unwrap();
    ssc.await_termination().unwrap();
    say(&format!("stored {}", stored.recv().unwrap()));
}

/// A process, and what it has said.
struct Process {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
    last_time: Option<i64>,
    /// Numbers that were in batches.
    processed: u64,
    stored: Option<u64>,
}

impl Process {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([CHILD, "--exact", "--nocapture", "--test-threads=1"])
            .env("SUSPENDED_CHILD", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        Self {
            child,
            said,
            last_time: None,
            processed: 0,
            stored: None,
        }
    }

    /// Hears of the next batch: it is that of the next time, and has what comes next.
    /// False at the end.
    fn hear(&mut self) -> bool {
        let Some(line) = self.said.next() else {
            return false;
        };
        let line = line.unwrap();
        let words: Vec<_> = line.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().unwrap();
        match words[..] {
            ["stored", stored] => self.stored = Some(number(stored)),
            ["batch", time, first, len] => {
                let time = time.parse().unwrap();
                assert!(self.last_time.is_none_or(|last| last + 1 == time), "{line}");
                self.last_time = Some(time);
                let len = number(len);
                assert!(len == 0 || number(first) == self.processed, "{line}");
                self.processed += len;
            }
            _ => panic!("the process says: {line}"),
        }
        true
    }

    fn hear_batches(&mut self, batches: usize) {
        for _ in 0..batches {
            assert!(self.hear(), "it goes on");
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Whether all of it stands still.
    fn is_stopped(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, behind_name) = stat.rsplit_once(')').unwrap();
        behind_name.trim_start().starts_with('T')
    }

    /// Ends it: all that was stored was in a batch.
    fn end(mut self) {
        drop(self.child.stdin.take());
        while self.hear() {}
        assert!(self.child.wait().unwrap().success());
        assert_eq!(self.stored, Some(self.processed));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Batches come one for each time of the grid, and each record once, also of the time in
/// which the process stood still, which another one takes for some batches.
#[test]
fn f_17_a_suspended_process_goes_on_where_it_was() {
    let mut suspended = Process::start();
    suspended.hear_batches(20);
    for batches in [1, 1_500, 50] {
        suspended.signal("STOP");
        while !suspended.is_stopped() {
            std::thread::yield_now();
        }
        let mut other = Process::start();
        other.hear_batches(batches);
        other.end();
        assert!(suspended.is_stopped());
        suspended.signal("CONT");
        suspended.hear_batches(batches + 20);
    }
    let before = suspended.processed;
    suspended.hear_batches(100);
    assert!(suspended.processed > before, "its receiver goes on");
    suspended.end();
}
