//! A program with a reliable receiver that is killed, and goes on (F-1, G-4).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use millstream::prelude::*;
use millstream::receiver::{Receiver, ReceiverHandle};
use millstream::time::ManualClock;

use crate::helpers::*;

const CHILD: &str = "write_ahead_log_killed::the_process_that_is_killed";

/// Numbers of a block, at the most.
const BLOCK: u64 = 5;

/// A source that numbers what it sends, and sends again what was not acknowledged.
struct Source(PathBuf);

impl Receiver<u64> for Source {
    fn on_start(&mut self, handle: ReceiverHandle<u64>) -> millstream::Result<()> {
        let path = self.0.clone();
        let read = fs::read_to_string(&path);
        let mut next = read.map_or(0, |acknowledged| acknowledged.parse().unwrap());
        std::thread::Builder::new().spawn(move || {
            loop {
                let block: Vec<u64> = (next..=next + next % BLOCK).collect();
                let end = next + block.len() as u64;
                if handle.store_many(block).is_err() {
                    break;
                }
                next = end;
                fs::write(path.with_extension("new"), next.to_string()).unwrap();
                fs::rename(path.with_extension("new"), &path).unwrap();
                say(&format!("acknowledged {next}"));
            }
        })?;
        Ok(())
    }

    fn on_stop(&mut self) {}
}

fn say(what: &str) {
    // Nobody may be listening any more.
    let _ = std::io::stderr().write_all(format!("{what}\n").as_bytes());
}

/// Not a test of its own: counts what comes, and says so, until it is killed.
#[test]
fn the_process_that_is_killed() {
    let Ok(order) = std::env::var("LOG_CHILD") else {
        return;
    };
    let (start, dir) = order.split_once(' ').unwrap();
    let (start, dir) = (start.parse().unwrap(), Path::new(dir));
    let clock = ManualClock::new(start);
    let ssc = StreamingContext::get_or_create(dir.join("checkpoints"), || {
        StreamingContext::builder()
            .batch_interval(SECOND)
            .workers(2)
            .clock(clock.clone())
            .set("receiver_write_ahead_log", "true")
            .set("checkpoint_interval", "3s")
            .ignore_environment()
            .build()
    })
    .unwrap();
    let numbers = ssc.receiver_stream(Source(dir.join("acknowledged")));
    numbers
        .unwrap()
        .checkpoint(SECOND)
        .unwrap()
        .map(|number| (number, 1))
        .update_state_by_key(|new: &[u64], old: Option<&u64>| {
            Some(old.unwrap_or(&0) + new.iter().sum::<u64>())
        })
        .checkpoint(SECOND)
        .unwrap()
        .foreach_rdd(move |rdd, time| {
            let counts = rdd.collect()?;
            let most = counts.iter().map(|(number, _)| number + 1).max();
            // All numbers up to the largest one.
            assert_eq!(counts.len() as u64, most.unwrap_or(0));
            let twice: u64 = counts.iter().map(|(_, count)| count - 1).sum();
            say(&format!(
                "batch {} {} {twice}",
                time.as_millis(),
                counts.len()
            ));
            Ok(())
        });
    let program = Program { ssc, clock };
    program.ssc.start().unwrap();
    loop {
        program.tick();
        program
            .ssc
            .await_termination_or_timeout(Duration::ZERO)
            .unwrap();
    }
}

/// What is known of the program.
struct Life {
    dir: Scratch,
    /// The time of the last batch.
    last: i64,
    acknowledged: u64,
    kills: u64,
}

impl Life {
    fn new(name: &str) -> Self {
        Self {
            dir: Scratch::new(name),
            last: 0,
            acknowledged: 0,
            kills: 0,
        }
    }

    /// Starts the program, and listens to it until it ends. It is killed after so many
    /// lines, if it does not end before.
    fn live(&mut self, kill_point: &str, lines: usize) {
        // Behind all that it may have cut.
        let start = self.last + 10_000;
        let mut child = self.start(start, kill_point);
        let before = self.acknowledged;
        let said = BufReader::new(child.stderr.take().unwrap());
        for (at, line) in said.lines().map_while(Result::ok).enumerate() {
            if at == lines {
                child.kill().unwrap();
            }
            let words: Vec<_> = line.split(' ').collect();
            let number = |at: usize| words[at].parse::<u64>().unwrap();
            match words[0] {
                "acknowledged" => self.acknowledged = number(1),
                "batch" => {
                    let (time, count, twice) = (number(1) as i64, number(2), number(3));
                    self.last = self.last.max(time);
                    assert!(time <= start || count >= before, "{line}, not {before}");
                    // A block that was logged and not acknowledged comes again.
                    assert!(twice <= self.kills * BLOCK, "{line} after {}", self.kills);
                }
                _ => panic!("the process says: {line}"),
            }
        }
        assert!(!child.wait().unwrap().success(), "it was killed");
        self.kills += 1;
    }

    fn start(&self, start: i64, kill_point: &str) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args([CHILD, "--exact", "--nocapture", "--test-threads=1"])
            .env("LOG_CHILD", format!("{start} {}", self.dir.display()))
            .env("KILL_POINT", kill_point)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

#[test]
fn f_1_g_4_a_process_killed_at_any_moment_loses_nothing_acknowledged() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|text: String| text.parse().unwrap())
    };
    let trials = number("CRASH_TRIALS").unwrap_or(8);
    let mut seed: u64 = number("CRASH_SEED").unwrap_or(7);
    let mut life = Life::new("log-killed");
    for _ in 0..trials {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        life.live("", 1 + (seed >> 33) as usize % 120);
    }
    assert!(life.acknowledged > 0);
}

#[cfg(feature = "fault-inject")]
#[test]
fn f_1_g_4_a_process_killed_at_each_kill_point_loses_nothing_acknowledged() {
    // Those of the log itself are tested where it is.
    let points = millstream::fault::KILL_POINTS.iter();
    for point in points.filter(|point| point.starts_with("receiver.")) {
        let mut life = Life::new(point);
        for times in [1, 2, 9, 1] {
            life.live(&format!("{point}:{times}"), usize::MAX);
        }
        life.live("", 60);
    }
}
