//! Real time spent.

use std::time::{Duration, Instant};

/// Real time spent, to decide whether to wake the workers; no result depends
/// on it.
#[derive(Debug)]
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "measures the machine, not stream time"
    )]
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
