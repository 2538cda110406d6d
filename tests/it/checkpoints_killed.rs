//! A program with checkpoints that is killed, and goes on (F-1, G-10).

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use millstream::dstream::{InputBatch, InputSource};
use millstream::listener::{CheckpointInfo, StreamingListener};
use millstream::prelude::*;
use millstream::time::ManualClock;

use crate::helpers::*;

const CHILD: &str = "checkpoints_killed::the_process_that_is_killed";

/// Numbers without end, some more in each batch.
struct Numbers(Arc<AtomicU64>);

impl InputSource<u64> for Numbers {
    fn compute(
        &mut self,
        time: BatchTime,
        batch: &mut InputBatch<'_>,
    ) -> millstream::Result<Option<Rdd<u64>>> {
        let first = self.0.load(SeqCst);
        let next = first + (time.as_millis() / 1000) as u64 % 7;
        self.0.store(next, SeqCst);
        Ok(Some(batch.parallelize(first..next, 2)))
    }

    fn position(&mut self) -> millstream::Result<Vec<u8>> {
        Ok(self.0.load(SeqCst).to_le_bytes().to_vec())
    }

    fn resume(&mut self, position: &[u8]) -> millstream::Result<()> {
        let next = u64::from_le_bytes(position.try_into().unwrap());
        self.0.store(next, SeqCst);
        Ok(())
    }
}

fn say(what: &str) {
    // Nobody may be listening any more.
    let _ = std::io::stderr().write_all(format!("{what}\n").as_bytes());
}

struct Say;

impl StreamingListener for Say {
    fn on_checkpoint(&self, checkpoint: &CheckpointInfo) {
        assert!(checkpoint.error.is_none(), "{checkpoint:?}");
        say(&format!("saved {}", checkpoint.batch_time.as_millis()));
    }
}

/// Not a test of its own: counts and adds up numbers, and says so, until it is killed.
#[test]
fn the_process_that_is_killed() {
    let Ok(dir) = std::env::var("CHECKPOINTS_CHILD") else {
        return;
    };
    let clock = ManualClock::new(0);
    let ssc = StreamingContext::get_or_create(&dir, || {
        StreamingContext::builder()
            .batch_interval(SECOND)
            .workers(2)
            .clock(clock.clone())
            .ignore_environment()
            .build()
    })
    .unwrap();
    let from = ssc.recovered_time().map_or(0, BatchTime::as_millis);
    clock.set(at(from));
    say(&format!("from {from}"));
    ssc.add_listener(Say);
    let next = Arc::<AtomicU64>::default();
    let numbers = ssc.input_stream(Numbers(Arc::clone(&next))).unwrap();
    numbers
        .map(|number| (number % 5, number))
        .update_state_by_key(|new: &[u64], old: Option<&(u64, u64)>| {
            let (count, sum) = old.copied().unwrap_or_default();
            Some((count + new.len() as u64, sum + new.iter().sum::<u64>()))
        })
        .checkpoint(SECOND)
        .unwrap()
        .foreach_rdd(move |rdd, _| {
            let (mut count, mut sum) = (0, 0);
            for (_, (n, s)) in rdd.collect()? {
                (count, sum) = (count + n, sum + s);
            }
            // Each number that the source gave, once.
            let next = next.load(SeqCst);
            assert_eq!(count, next);
            assert_eq!(sum, next * next.saturating_sub(1) / 2);
            say("batch");
            Ok(())
        });
    let program = Program { ssc, clock };
    program.start();
    loop {
        program.tick();
        program
            .ssc
            .await_termination_or_timeout(Duration::ZERO)
            .unwrap();
    }
}

fn start(dir: &Path, kill_point: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([CHILD, "--exact", "--nocapture", "--test-threads=1"])
        .env("CHECKPOINTS_CHILD", dir)
        .env("KILL_POINT", kill_point)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Listens to the process until it ends, and kills it after so many lines. It has to
/// go on at `saved` or later; gives the last checkpoint that it told of.
fn listen(mut child: Child, lines: usize, saved: i64) -> i64 {
    let mut newest = saved;
    let said = BufReader::new(child.stderr.take().unwrap());
    for (number, line) in said.lines().map_while(Result::ok).enumerate() {
        if number == lines {
            child.kill().unwrap();
        }
        let number = |text: &str| text.parse::<i64>().unwrap();
        match line.split_once(' ') {
            Some(("from", from)) => assert!(number(from) >= saved, "{line}, not {saved}"),
            Some(("saved", time)) => newest = number(time),
            None if line == "batch" => {}
            _ => panic!("the process says: {line}"),
        }
    }
    assert!(!child.wait().unwrap().success(), "it was killed");
    newest
}

#[test]
fn f_1_a_process_killed_at_any_moment_goes_on_where_it_was() {
    let trials = variable("CRASH_TRIALS").unwrap_or(8);
    let mut seed = variable("CRASH_SEED").unwrap_or(7);
    let dir = Scratch::new("checkpoints-killed");
    let mut saved = 0;
    for _ in 0..trials {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let lines = 1 + (seed >> 33) as usize % 80;
        saved = listen(start(&dir, ""), lines, saved);
    }
    assert!(saved > 0);
    let batches = saved / 1000;
    println!("crashed: {trials} kills, {batches} batches: 0 lost, 0 phantoms, 0 twice");
}

#[cfg(feature = "fault-inject")]
#[test]
fn f_1_a_process_killed_at_each_kill_point_goes_on_where_it_was() {
    let points = millstream::fault::KILL_POINTS.iter();
    for point in points.filter(|point| point.starts_with("checkpoint.")) {
        let dir = Scratch::new(point);
        // The first one, and one of those that remove older ones.
        let mut saved = 0;
        for times in [1, 2, 15, 1] {
            saved = listen(start(&dir, &format!("{point}:{times}")), usize::MAX, saved);
        }
    }
}
