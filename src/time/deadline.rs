//! The end of a stretch of real time.

use std::time::Duration;

use super::clock::{Clock, SystemClock};
use super::duration::whole_nanos;

/// A moment of real time, whatever clock the batches go by: a stop waits by it, and must not hang
/// because a [`ManualClock`](super::ManualClock) stands still.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    clock: SystemClock,
    nanos: i64,
}

impl Deadline {
    /// So long from now.
    pub(crate) fn after(limit: Duration) -> Self {
        let clock = SystemClock::new();
        let nanos = clock.now_nanos().saturating_add(whole_nanos(limit));
        Self { clock, nanos }
    }

    /// How long it is until then; zero from then on.
    pub(crate) fn rest(&self) -> Duration {
        let rest = self.nanos.saturating_sub(self.clock.now_nanos());
        Duration::from_nanos(rest.max(0).unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_runs_out_and_stays_at_nothing() {
        let hour = Duration::from_secs(3600);
        let deadline = Deadline::after(hour);
        let (first, second) = (deadline.rest(), deadline.rest());
        assert!(second <= first && first <= hour);
        assert!(second > Duration::ZERO);
        assert_eq!(Deadline::after(Duration::ZERO).rest(), Duration::ZERO);
        assert!(Deadline::after(Duration::MAX).rest() > hour);
    }
}
