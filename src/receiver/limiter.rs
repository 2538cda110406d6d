//! The rate limit of a receiver (S-8).

use super::Session;
use crate::time::{Clock, WaitResult, Wake};

/// Permits, a given number per second; up to a second's worth is saved up while
/// nobody asks.
///
/// Whole numbers only: time earns `rate` units per nanosecond, and a permit
/// costs 10^9 of them, so no rate is rounded.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    rate: u64,
    /// Units earned and not spent.
    units: u128,
    /// When the units were last counted, in nanoseconds.
    counted: Option<i64>,
}

const PERMIT: u128 = 1_000_000_000;

impl RateLimiter {
    pub(crate) fn new(rate: u64) -> Self {
        Self {
            rate: rate.max(1),
            units: 0,
            counted: None,
        }
    }

    /// Takes up to `wanted` permits; waits for the first. None if the session is
    /// shut down.
    pub(crate) fn take(&mut self, wanted: usize, session: &Session) -> Option<usize> {
        self.take_at(wanted, session.clock(), session.shutdown_wake())
    }

    fn take_at(&mut self, wanted: usize, clock: &dyn Clock, wake: &Wake) -> Option<usize> {
        loop {
            let now = clock.now_nanos();
            let elapsed = now.saturating_sub(self.counted.unwrap_or(now)).max(0);
            self.counted = Some(now);
            let second = u128::from(self.rate) * PERMIT;
            let earned = elapsed.unsigned_abs() as u128 * u128::from(self.rate);
            self.units = (self.units + earned).min(second);
            let permits = (self.units / PERMIT).min(wanted as u128);
            if permits > 0 {
                self.units -= permits * PERMIT;
                return Some(permits as usize);
            }
            let missing = (PERMIT - self.units).div_ceil(u128::from(self.rate));
            let deadline = now.saturating_add(i64::try_from(missing).unwrap_or(i64::MAX));
            if clock.wait_until(deadline, wake) == WaitResult::Woken {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Duration, ManualClock};

    fn granted(limiter: &mut RateLimiter, wanted: usize, clock: &ManualClock) -> Option<usize> {
        // A woken limiter answers none where it would wait.
        let wake = Wake::new();
        wake.wake();
        limiter.take_at(wanted, clock, &wake)
    }

    #[test]
    fn any_rate_is_exact_over_ten_seconds() {
        for rate in [1, 3, 999, 1_001, 1_000_000] {
            let clock = ManualClock::new(0);
            let mut limiter = RateLimiter::new(rate);
            let mut total = 0;
            assert_eq!(
                granted(&mut limiter, 1, &clock),
                None,
                "nothing is saved up at first"
            );
            for _ in 0..10_000 {
                clock.advance(Duration::from_millis(1));
                total += granted(&mut limiter, usize::MAX, &clock).unwrap_or(0);
            }
            assert_eq!(total as u64, 10 * rate, "at {rate} records/s");
        }
    }

    #[test]
    fn at_most_a_second_is_saved_up() {
        let clock = ManualClock::new(0);
        let mut limiter = RateLimiter::new(100);
        assert_eq!(granted(&mut limiter, 1, &clock), None);
        clock.advance(Duration::from_secs(60));
        assert_eq!(granted(&mut limiter, 1_000, &clock), Some(100));
        assert_eq!(granted(&mut limiter, 1, &clock), None);
    }

    #[test]
    fn no_more_is_granted_than_wanted() {
        let clock = ManualClock::new(0);
        let mut limiter = RateLimiter::new(100);
        assert_eq!(granted(&mut limiter, 1, &clock), None);
        clock.advance(Duration::from_secs(1));
        assert_eq!(granted(&mut limiter, 30, &clock), Some(30));
        assert_eq!(granted(&mut limiter, 100, &clock), Some(70));
    }
}
