//! A real process that is killed, on the real file system.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio, id};

use super::*;
use crate::disk::LocalDisk;
use crate::disk::sim::random::Random;

const CHILD: &str = "wal::tests::kill::the_process_that_is_killed";

fn open_local(dir: &Path, superseded: u64) -> Result<WriteAheadLog> {
    let options = WalOptions::new().segment_bytes(400);
    let clock = Arc::new(ManualClock::new(0));
    WriteAheadLog::open(Arc::new(LocalDisk), dir, superseded, options, clock)
}

/// Not a test of its own: appends, and says so, until it is killed or has done enough.
#[test]
fn the_process_that_is_killed() {
    let Ok(order) = std::env::var("WAL_CHILD") else {
        return;
    };
    let mut order = order.splitn(3, ' ');
    let mut word = || order.next().unwrap();
    let steps: usize = word().parse().unwrap();
    let mut superseded: u64 = word().parse().unwrap();
    let dir = word();
    let say = |what: String| std::io::stderr().write_all(what.as_bytes()).unwrap();
    let log = open_local(Path::new(dir), superseded).unwrap();
    let mut chance = Random::new(log.end() ^ u64::from(id()));
    say("open\n".to_owned());
    for step in 0..steps {
        if step % 8 == 7 {
            superseded += chance.below((log.end() - superseded) as usize) as u64;
            say(format!("superseded {superseded}\n"));
            log.remove_below(superseded).unwrap();
        }
        let first = log.end();
        let bodies: Vec<_> = (first..=first + chance.below(3) as u64)
            .map(|sequence| format!("{sequence} of {} {step}", id()))
            .collect();
        for (sequence, body) in (first..).zip(&bodies) {
            say(format!("try {sequence} {body}\n"));
        }
        let range = log
            .append_all(bodies.into_iter().map(String::into_bytes).collect())
            .unwrap();
        say(format!("done {}\n", range.end));
    }
}

/// The directory, and what is known of the log in it.
struct Life {
    dir: PathBuf,
    attempts: BTreeMap<u64, Vec<String>>,
    done: u64,
    superseded: u64,
}

impl Life {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("millstream-wal-{name}-{}", id()));
        Self {
            dir,
            attempts: BTreeMap::new(),
            done: 0,
            superseded: 0,
        }
    }

    fn start(&self, steps: usize, kill_point: &str) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args([CHILD, "--exact", "--nocapture", "--test-threads=1"])
            .env(
                "WAL_CHILD",
                format!("{steps} {} {}", self.superseded, self.dir.display()),
            )
            .env("KILL_POINT", kill_point)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Listens to the process until it has ended, and kills it after so many lines.
    /// Says whether it was killed.
    fn listen(&mut self, mut child: Child, lines: usize) -> bool {
        let said = BufReader::new(child.stderr.take().unwrap());
        for (at, line) in said.lines().enumerate() {
            if at == lines {
                child.kill().unwrap();
            }
            let line = line.unwrap();
            let mut words = line.splitn(3, ' ');
            let (what, mut rest) = (words.next().unwrap(), words);
            let mut number = || rest.next().unwrap().parse().unwrap();
            match what {
                "try" => {
                    let sequence = number();
                    let body = rest.next().unwrap().to_owned();
                    self.attempts.entry(sequence).or_default().push(body);
                }
                "done" => self.done = number(),
                "superseded" => self.superseded = number(),
                _ => {}
            }
        }
        !child.wait().unwrap().success()
    }

    /// What the next process finds.
    fn check(&self) {
        let log = open_local(&self.dir, self.superseded).unwrap();
        assert!(log.end() >= self.done, "{} of {}", log.end(), self.done);
        for (sequence, body) in records(&log, self.superseded).unwrap() {
            let body = String::from_utf8(body).unwrap();
            assert!(self.attempts[&sequence].contains(&body), "{body}");
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// F-1.
#[test]
fn a_process_killed_at_any_moment_loses_nothing_acknowledged() {
    let trials = std::env::var("CRASH_TRIALS").ok();
    let trials = trials.map_or(10, |trials| trials.parse().unwrap());
    let mut chance = Random::new(crate::hash::random());
    let mut life = Life::new("kill");
    for _ in 0..trials {
        let child = life.start(usize::MAX, "");
        assert!(life.listen(child, chance.below(200)));
        life.check();
    }
}

#[cfg(feature = "fault-inject")]
#[test]
fn a_process_killed_at_each_kill_point_loses_nothing_acknowledged() {
    /// So many pass all of them several times.
    const STEPS: usize = 60;
    let points = crate::fault::KILL_POINTS
        .iter()
        .filter(|point| point.starts_with("wal."));
    for point in points {
        let mut life = Life::new(point);
        // So that there is something to find.
        let child = life.start(STEPS, "");
        assert!(!life.listen(child, usize::MAX));
        for times in 1..=3 {
            // A log is rewritten once when it is opened.
            let times = if point.contains("rewrite") { 1 } else { times };
            let child = life.start(STEPS, &format!("{point}:{times}"));
            assert!(life.listen(child, usize::MAX), "{point} is never reached");
            life.check();
        }
    }
}
