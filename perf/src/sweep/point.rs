//! One combination of settings: a fresh process for each thing that is measured.

use std::sync::Arc;
use std::time::Duration;

use crate::Result;
use crate::lab::Lab;
use crate::process::Process;
use crate::protocol::{Done, Words};
use crate::sender::{Pace, Sender, Sent};
use crate::sweep::rule::Health;

/// Settings, as the environment has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The batch interval in milliseconds.
    pub interval_ms: u64,
    /// Threads that process.
    pub workers: usize,
    /// Bytes of a block.
    pub block_bytes: usize,
    /// Whether threads are bound to cores.
    pub pin: bool,
}

/// What a rate of lines came to.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Lines in a second.
    pub rate: usize,
    /// How the program did.
    pub health: Health,
    /// Whether it kept up.
    pub stable: bool,
    /// Latencies in microseconds: p50, p99, p99.9.
    pub latency_us: [f64; 3],
}

impl Point {
    /// The batch interval.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }

    /// What it is but for the interval.
    #[must_use]
    pub fn settings(&self) -> String {
        format!(
            "{} worker{}, {} KiB blocks{}",
            self.workers,
            if self.workers == 1 { "" } else { "s" },
            self.block_bytes >> 10,
            if self.pin { ", pinned" } else { "" }
        )
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            (
                "MILLSTREAM_BATCH_INTERVAL",
                format!("{}ms", self.interval_ms),
            ),
            ("MILLSTREAM_WORKERS", self.workers.to_string()),
            ("MILLSTREAM_BLOCK_BYTES", self.block_bytes.to_string()),
            ("MILLSTREAM_PIN", self.pin.to_string()),
        ]
    }

    /// Lines in a second that are processed when the source never waits.
    ///
    /// # Errors
    /// If the engine fails, or loses a line.
    pub fn capacity(&self, lab: &Lab, text: &Arc<Vec<u8>>, repeat: usize) -> Result<f64> {
        let pace = Pace::FlatOut { repeat };
        let (done, _) = self.run(lab, text, pace)?;
        let lines = pace.lines(count_lines(text)).0;
        Ok(lines as f64 / done.time.as_secs_f64())
    }

    /// Offers lines at a rate for some time.
    ///
    /// # Errors
    /// If the engine fails, or loses a line.
    pub fn probe(
        &self,
        lab: &Lab,
        text: &Arc<Vec<u8>>,
        rate: usize,
        time: Duration,
    ) -> Result<Probe> {
        let (done, sent) = self.run(lab, text, Pace::Rate { rate, time })?;
        let health = Health::of(&done.facts, &sent)?;
        Ok(Probe {
            rate,
            stable: health.is_stable(self.interval()),
            health,
            latency_us: [
                done.facts.number("p50_us")?,
                done.facts.number("p99_us")?,
                done.facts.number("p999_us")?,
            ],
        })
    }

    fn run(&self, lab: &Lab, text: &Arc<Vec<u8>>, pace: Pace) -> Result<(Done, Sent)> {
        let mut command = lab.millstream(&self.environment());
        let mut engine = Process::start("millstream", &mut command, lab.data.folder())?;
        engine.prepare(
            &Words::default()
                .with("program", "live")
                .with("work", "words")
                .with("marks", true),
        )?;
        let (lines, marks) = pace.lines(count_lines(text));
        let words = (lines - marks) * crate::generate::WORDS_PER_LINE as u64 + marks;
        let sender = Sender::start(text, pace)?;
        let order = Words::default()
            .with("port", sender.port)
            .with("records", words);
        let done = engine.run(&order)?;
        let sent = sender.finish()?;
        if done.digest.count != words {
            let error = format!("{} words came out of {words}", done.digest.count);
            return Err(error.into());
        }
        Ok((done, sent))
    }
}

fn count_lines(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}
