//! The rate limit of a receiver.
//!
//! Two ends, as of a ring: the [`RateLimiter`] is the receiver's own and hands out
//! permits, one per record; the [`RateLimit`] is what others set, see and close.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sync::engine::{Mutex, MutexGuard, lock};
use crate::time::{Clock, Duration, Wake};

/// The rate that stands for no limit.
const UNLIMITED: u64 = u64::MAX;

/// How many records per second a receiver may store.
#[derive(Debug)]
pub(crate) struct RateLimit {
    /// No rate is above it.
    max: u64,
    /// Only the number itself matters, so all of it is relaxed; a limiter that is
    /// about to wait looks again with the lock in hand.
    rate: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    closed: bool,
    /// Ends the wait for a permit.
    wake: Wake,
}

impl RateLimit {
    /// A limit that starts at `initial`, and never exceeds `max`; none is no limit.
    pub(crate) fn new(initial: Option<u64>, max: Option<u64>) -> Arc<Self> {
        let max = max.unwrap_or(UNLIMITED);
        Arc::new(Self {
            max,
            rate: AtomicU64::new(initial.unwrap_or(UNLIMITED).clamp(1, max)),
            waiting: Mutex::default(),
        })
    }

    /// The present limit, if there is one.
    pub(crate) fn rate(&self) -> Option<u64> {
        Some(self.load()).filter(|&rate| rate != UNLIMITED)
    }

    fn load(&self) -> u64 {
        self.rate.load(Ordering::Relaxed)
    }

    /// Sets the limit to `rate` rounded up, so never to nothing, or to the greatest
    /// that is allowed. It holds at once, also for who waits for a permit.
    pub(crate) fn set(&self, rate: f64) {
        // A conversion of what is too large gives the largest number.
        let rate = (rate.ceil() as u64).clamp(1, self.max);
        if self.rate.swap(rate, Ordering::Relaxed) != rate {
            std::mem::take(&mut self.lock().wake).wake();
        }
    }

    /// As [`set`](Self::set), if that is lower than what holds now.
    pub(crate) fn lower(&self, rate: f64) {
        if rate < self.load() as f64 {
            self.set(rate);
        }
    }

    /// Ends all waiting for permits, now and later.
    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.wake.wake();
    }

    /// Waits until the deadline, or until the rate is not `rate` any more; says
    /// whether to go on.
    fn wait(&self, rate: u64, clock: &dyn Clock, deadline_nanos: i64) -> bool {
        let wake = {
            let waiting = self.lock();
            if waiting.closed || self.load() != rate {
                return !waiting.closed;
            }
            waiting.wake.clone()
        };
        // The state tells why it ended.
        let _ = clock.wait_until(deadline_nanos, &wake);
        !self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }
}

/// Permits, a given number per second, one by one as time goes on; few are saved up
/// while nobody asks.
///
/// Whole numbers only: time earns `rate` units per nanosecond, and a permit
/// costs 10^9 of them, so no rate is rounded.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    limit: Arc<RateLimit>,
    clock: Arc<dyn Clock>,
    /// For how long permits are saved up, in nanoseconds.
    saved: u128,
    /// What is earned with since `counted`.
    rate: u64,
    permits: u64,
    /// Units of the next permit.
    units: u64,
    /// When the permits were last counted, in nanoseconds.
    counted: Option<i64>,
}

const PERMIT: u128 = 1_000_000_000;

/// Permits are saved up for a tenth of a batch interval: what saves up more, as Spark
/// does, lets a batch have twice what the rate says. But not for less than this, or
/// a thread that is woken late would lose some.
const LEAST_SAVED: Duration = Duration::from_millis(10);

/// No ten seconds have more than a twentieth above the rate.
const MOST_SAVED: Duration = Duration::from_millis(500);

/// Who waits gets what comes in this time at once: to wake a thread takes as long.
const GRAIN_NANOS: u128 = 100_000;

impl RateLimiter {
    pub(crate) fn new(
        limit: Arc<RateLimit>,
        clock: Arc<dyn Clock>,
        batch_interval: Duration,
    ) -> Self {
        let saved = (batch_interval / 10).clamp(LEAST_SAVED, MOST_SAVED);
        Self {
            rate: limit.load(),
            limit,
            clock,
            saved: saved.as_nanos(),
            permits: 0,
            units: 0,
            counted: None,
        }
    }

    /// Takes up to `wanted` permits, of which there is at least one; waits for the
    /// first. None if it had to wait and the limit is closed.
    pub(crate) fn take(&mut self, wanted: usize) -> Option<usize> {
        loop {
            let rate = self.limit.load();
            if rate == UNLIMITED {
                // Nothing of this time is saved up for a limit that comes later.
                (self.permits, self.units, self.counted) = (0, 0, None);
                return Some(wanted);
            }
            // The clock is read only if what was counted before is not enough.
            if rate != self.rate || self.permits < wanted as u64 {
                self.count(rate);
            }
            let granted = self.permits.min(wanted as u64);
            if granted > 0 {
                self.permits -= granted;
                return Some(granted as usize);
            }
            let deadline = self.ready(wanted);
            if !self.limit.wait(rate, &*self.clock, deadline) {
                return None;
            }
        }
    }

    /// Counts what was earned so far, which was at the old rate, and goes on at a
    /// new one.
    fn count(&mut self, rate: u64) {
        let now = self.clock.now_nanos();
        let before = self.counted.replace(now).unwrap_or(now);
        let elapsed = u128::from(now.saturating_sub(before).max(0).unsigned_abs());
        let earned = u128::from(self.units) + elapsed * u128::from(self.rate);
        self.rate = rate;
        let permits = u128::from(self.permits) + earned / PERMIT;
        // Two, as a thread that is woken late for one has begun to earn the next.
        let most = (u128::from(rate) * self.saved / PERMIT).max(2);
        if permits < most {
            self.units = (earned % PERMIT) as u64;
            self.permits = permits as u64;
        } else {
            self.units = 0;
            self.permits = most as u64;
        }
    }

    /// When it is worth looking again, having none.
    fn ready(&self, wanted: usize) -> i64 {
        let rate = u128::from(self.rate);
        let permits = (rate * GRAIN_NANOS / PERMIT).clamp(1, wanted as u128);
        let missing = permits * PERMIT - u128::from(self.units);
        let nanos = i64::try_from(missing.div_ceil(rate)).unwrap_or(i64::MAX);
        self.counted.unwrap_or_default().saturating_add(nanos)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::time::{ManualClock, WaitResult};

    const SECOND: Duration = Duration::from_secs(1);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A limiter for batches of this interval.
    fn limiter(rate: u64, interval: Duration) -> (RateLimiter, ManualClock) {
        let clock = ManualClock::new(0);
        let limit = RateLimit::new(Some(rate), None);
        let limiter = RateLimiter::new(limit, Arc::new(clock.clone()), interval);
        (limiter, clock)
    }

    /// What it grants without waiting.
    fn granted(limiter: &mut RateLimiter, wanted: usize) -> Option<usize> {
        limiter.limit.lock().closed = true;
        limiter.take(wanted)
    }

    #[test]
    fn r_15_any_rate_is_exact_over_ten_seconds() {
        for interval in [ms(1), SECOND] {
            for rate in [1, 3, 999, 1_001, 1_000_000] {
                let (mut limiter, clock) = limiter(rate, interval);
                let mut total = 0;
                let first = granted(&mut limiter, 1);
                assert_eq!(first, None, "nothing is saved up at first");
                for _ in 0..10_000 {
                    clock.advance(ms(1));
                    total += granted(&mut limiter, usize::MAX).unwrap_or(0);
                }
                assert_eq!(total as u64, 10 * rate, "at {rate} records/s");
            }
        }
    }

    /// One record at a time, by a thread that waits for each permit and is woken
    /// late.
    #[test]
    fn r_15_late_wakings_cost_nothing() {
        for rate in [1, 999, 1_001] {
            let (mut limiter, clock) = limiter(rate, ms(1));
            let limit = Arc::clone(&limiter.limit);
            let storing = thread::scope(|scope| {
                let storing = scope.spawn(|| {
                    let mut total = 0;
                    while limiter.take(1).is_some() {
                        total += 1;
                    }
                    total
                });
                for _ in 0..1_500 {
                    clock.await_waiters(1);
                    clock.advance(ms(7));
                }
                clock.await_waiters(1);
                limit.close();
                storing.join().unwrap()
            });
            assert_eq!(storing, 10_500 * rate / 1_000, "at {rate} records/s");
        }
    }

    #[test]
    fn o_6_at_most_a_tenth_of_a_batch_interval_is_saved_up() {
        for (interval, permits) in [
            (60 * SECOND, 5_000),
            (SECOND, 1_000),
            (ms(500), 500),
            (ms(1), 100),
        ] {
            let (mut limiter, clock) = limiter(10_000, interval);
            assert_eq!(granted(&mut limiter, 1), None);
            clock.advance(60 * SECOND);
            assert_eq!(granted(&mut limiter, 1_000_000), Some(permits));
            assert_eq!(granted(&mut limiter, 1), None);
        }
    }

    /// A gap of ten seconds gives no more than any other pause, and the rate is as before.
    #[test]
    fn f_17_what_a_suspended_process_did_not_take_is_not_made_up_for() {
        for (interval, saved) in [(SECOND, 100), (ms(1), 10)] {
            let (mut limiter, clock) = limiter(1_000, interval);
            let mut granted_in = |millis| {
                clock.advance(ms(millis));
                granted(&mut limiter, usize::MAX)
            };
            assert_eq!(granted_in(0), None);
            assert_eq!(granted_in(5), Some(5));
            assert_eq!(granted_in(10_000), Some(saved));
            assert_eq!(granted_in(0), None);
            assert_eq!(granted_in(5), Some(5));
        }
    }

    #[test]
    fn no_more_is_granted_than_wanted() {
        let (mut limiter, clock) = limiter(1_000, SECOND);
        assert_eq!(granted(&mut limiter, 1), None);
        clock.advance(SECOND);
        assert_eq!(granted(&mut limiter, 30), Some(30));
        assert_eq!(granted(&mut limiter, 100), Some(70));
    }

    #[test]
    fn a_new_rate_holds_from_then_on() {
        let (mut limiter, clock) = limiter(1_000, SECOND);
        assert_eq!(granted(&mut limiter, 1), None);
        clock.advance(ms(500));
        limiter.limit.set(10.0);
        // What was saved up above what the new rate would save is gone.
        assert_eq!(granted(&mut limiter, 1_000), Some(2));
        clock.advance(ms(500));
        limiter.limit.set(1e9);
        assert_eq!(granted(&mut limiter, 1_000), Some(5));
        clock.advance(ms(1));
        assert_eq!(granted(&mut limiter, usize::MAX), Some(1_000_000));
    }

    /// A clock that is at once where anybody waits for; except the first time, when
    /// the rate is changed half-way.
    #[derive(Debug)]
    struct Leaping {
        limit: Arc<RateLimit>,
        now: Mutex<i64>,
        waited_for: Mutex<Vec<i64>>,
    }

    impl Clock for Leaping {
        fn now_nanos(&self) -> i64 {
            *self.now.lock().unwrap()
        }

        fn wait_until(&self, deadline_nanos: i64, wake: &Wake) -> WaitResult {
            self.waited_for.lock().unwrap().push(deadline_nanos);
            if self.limit.load() == 1 {
                *self.now.lock().unwrap() = deadline_nanos / 2;
                self.limit.set(1_000.0);
                assert!(wake.is_woken());
                return WaitResult::Woken;
            }
            *self.now.lock().unwrap() = deadline_nanos;
            WaitResult::Reached
        }
    }

    #[test]
    fn who_waits_hears_of_a_new_rate() {
        let limit = RateLimit::new(Some(1), None);
        let clock = Arc::new(Leaping {
            limit: Arc::clone(&limit),
            now: Mutex::default(),
            waited_for: Mutex::default(),
        });
        let mut limiter = RateLimiter::new(limit, Arc::<Leaping>::clone(&clock), SECOND);
        assert_eq!(limiter.take(2), Some(1));
        assert_eq!(limiter.take(1), Some(1));
        // Half a permit came in half a second, the other half in half a millisecond.
        let waited_for = clock.waited_for.lock().unwrap().clone();
        assert_eq!(waited_for, [1_000_000_000, 500_500_000, 501_500_000]);
    }

    #[test]
    fn without_a_limit_nothing_waits_and_nothing_is_saved_up() {
        let clock = ManualClock::new(0);
        let limit = RateLimit::new(None, None);
        assert_eq!(limit.rate(), None);
        let mut limiter = RateLimiter::new(Arc::clone(&limit), Arc::new(clock.clone()), SECOND);
        assert_eq!(limiter.take(usize::MAX), Some(usize::MAX));
        clock.advance(SECOND);
        limit.set(100.0);
        assert_eq!(granted(&mut limiter, 1), None);
        clock.advance(ms(10));
        assert_eq!(granted(&mut limiter, 5), Some(1));
    }

    #[test]
    fn a_rate_is_rounded_up_and_never_above_the_greatest() {
        let limit = RateLimit::new(Some(2_000), Some(1_000));
        assert_eq!(limit.rate(), Some(1_000));
        for (rate, rounded) in [
            (0.001, 1),
            (1.0, 1),
            (99.5, 100),
            (1e6, 1_000),
            (f64::MAX, 1_000),
        ] {
            limit.set(rate);
            assert_eq!(limit.rate(), Some(rounded), "{rate}");
        }
        let limit = RateLimit::new(None, None);
        limit.set(1e18);
        assert_eq!(limit.rate(), Some(1_000_000_000_000_000_000));
    }
}
