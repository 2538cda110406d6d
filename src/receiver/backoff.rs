//! The pause before a receiver starts again.

use crate::hash::random;
use crate::time::Duration;

/// What the pause grows from when none is configured: a source that fails at once
/// must not keep a core busy.
const LEAST_STEP: Duration = Duration::from_millis(10);

/// Pauses that grow while a receiver starts and ends without any data.
///
/// The first one is as configured. The ones after it double, up to a limit, and
/// each lies anywhere in the upper half of its step: receivers that lost the same
/// server do not all come back at the same moment.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    limit: Duration,
    /// Runs without data, one after the other.
    fruitless: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, limit: Duration) -> Self {
        Self {
            first,
            limit: limit.max(first),
            fruitless: 0,
        }
    }

    /// The pause after a run, which lasted for so long and gave data or not. A
    /// run as long as the longest pause was no failure to start, data or not.
    pub(super) fn pause(&mut self, gave_data: bool, lasted: Duration) -> Duration {
        self.pause_by(gave_data || lasted >= self.limit, random())
    }

    fn pause_by(&mut self, fruitful: bool, random: u64) -> Duration {
        if fruitful {
            self.fruitless = 0;
            return self.first;
        }
        self.fruitless = self.fruitless.saturating_add(1);
        if self.fruitless == 1 {
            return self.first;
        }
        let doublings = 1_u32.checked_shl(self.fruitless - 1).unwrap_or(u32::MAX);
        let step = self.first.max(LEAST_STEP).saturating_mul(doublings);
        let half = step.min(self.limit) / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        half + Duration::from_nanos(random % nanos.saturating_add(1).max(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_the_limit_and_begin_anew_with_data() {
        let mut backoff = Backoff::new(2 * SECOND, 60 * SECOND);
        for _ in 0..3 {
            // From the lower end of each step to the upper one.
            let lower: Vec<_> = (0..8).map(|_| backoff.pause_by(false, 0)).collect();
            assert_eq!(lower, [2, 2, 4, 8, 16, 30, 30, 30].map(|n| n * SECOND));
            assert_eq!(backoff.pause_by(true, 0), 2 * SECOND);
            let upper = |backoff: &mut Backoff| {
                let half = [1, 2, 4, 8, 16, 30, 30, 30][backoff.fruitless as usize];
                backoff.pause_by(false, half * 1_000_000_000)
            };
            let upper: Vec<_> = (0..8).map(|_| upper(&mut backoff)).collect();
            assert_eq!(upper, [2, 4, 8, 16, 32, 60, 60, 60].map(|n| n * SECOND));
            assert_eq!(backoff.pause(true, Duration::ZERO), 2 * SECOND);
        }
        backoff.pause_by(false, 0);
        assert_eq!(backoff.pause(false, 60 * SECOND), 2 * SECOND, "a long run");
        assert_eq!(backoff.fruitless, 0);
    }

    #[test]
    fn no_first_pause_is_no_endless_loop() {
        let mut backoff = Backoff::new(Duration::ZERO, 60 * SECOND);
        let pauses: Vec<_> = (0..4).map(|_| backoff.pause_by(false, 0)).collect();
        assert_eq!(pauses, [0, 10, 20, 40].map(Duration::from_millis));
    }

    #[test]
    fn a_limit_below_the_first_pause_leaves_the_pause_as_it_is() {
        let mut backoff = Backoff::new(5 * SECOND, SECOND);
        assert_eq!(backoff.pause_by(false, 0), 5 * SECOND);
        let later = backoff.pause_by(false, u64::MAX);
        assert!((2 * SECOND..=5 * SECOND).contains(&later));
    }

    proptest! {
        #[test]
        fn no_pause_leaves_its_bounds(
            first in 0_u64..10_000,
            limit in 0_u64..100_000,
            runs in proptest::collection::vec((any::<bool>(), any::<u64>()), 0..100),
        ) {
            let (first, limit) = (Duration::from_millis(first), Duration::from_millis(limit));
            let mut backoff = Backoff::new(first, limit);
            for (data, random) in runs {
                let pause = backoff.pause_by(data, random);
                prop_assert!(pause <= limit.max(first));
                prop_assert!(!data || pause == first);
            }
        }
    }
}
