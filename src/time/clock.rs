//! Reading the time and waiting for it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::duration::whole_nanos;
use crate::sync::engine::{Condvar, Mutex, lock};
use crate::sync::unpoisoned;

/// Where the engine gets the time from.
///
/// A clock never goes back. All threads of a context share one clock.
pub trait Clock: Send + Sync + Debug {
    /// Nanoseconds since the Unix epoch.
    fn now_nanos(&self) -> i64;

    /// Whole milliseconds since the Unix epoch.
    fn now_millis(&self) -> i64 {
        self.now_nanos().div_euclid(1_000_000)
    }

    /// Returns when the clock shows `deadline_nanos` or later, or when `wake` is woken, whichever
    /// is first.
    ///
    /// If both hold already, the answer is [`WaitResult::Woken`], so that a timer which lags behind
    /// can be stopped.
    fn wait_until(&self, deadline_nanos: i64, wake: &Wake) -> WaitResult;
}

/// Why [`Clock::wait_until`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a woken wait has not reached its time"]
pub enum WaitResult {
    /// The clock reached the deadline.
    Reached,
    /// The [`Wake`] was woken.
    Woken,
}

/// A flag that ends waiting for good: every present and future wait on it returns at once when it
/// is woken.
///
/// It is a handle: its clones are the same flag.
///
/// # Examples
///
/// ```
/// use millstream::time::{Clock, SystemClock, WaitResult, Wake};
///
/// let wake = Wake::new();
/// std::thread::scope(|scope| {
///     let waiter = scope.spawn(|| SystemClock::new().wait_until(i64::MAX, &wake));
///     wake.wake();
///     assert_eq!(waiter.join().unwrap(), WaitResult::Woken);
/// });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<WakeState>);

#[derive(Debug, Default)]
struct WakeState {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake {
    /// A flag that is not woken.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends all waits on this flag, now and later.
    pub fn wake(&self) {
        *lock(&self.0.woken) = true;
        self.0.changed.notify_all();
    }

    /// Whether [`wake`](Self::wake) was called.
    #[must_use]
    pub fn is_woken(&self) -> bool {
        *lock(&self.0.woken)
    }

    /// Sleeps until the flag is woken, for `limit` at most and possibly for less; returns whether
    /// it is woken.
    ///
    /// This is what a [`Clock`] waits with: it looks at its time again after each call.
    #[must_use]
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        let woken = lock(&self.0.woken);
        if *woken {
            return true;
        }
        let (woken, _) = unpoisoned(self.0.changed.wait_timeout(woken, limit));
        *woken
    }

    /// Sleeps until the flag is woken or `reached` holds. Who makes it hold must
    /// [`nudge`](Self::nudge) afterwards.
    pub(super) fn wait_for(&self, reached: impl Fn() -> bool) -> WaitResult {
        let mut woken = lock(&self.0.woken);
        loop {
            if *woken {
                return WaitResult::Woken;
            }
            if reached() {
                return WaitResult::Reached;
            }
            woken = unpoisoned(self.0.changed.wait(woken));
        }
    }

    /// Makes waiting threads look again.
    pub(super) fn nudge(&self) {
        // A waiter holds the lock from its look to its sleep: with the lock in hand, it cannot be
        // in between and miss this.
        drop(lock(&self.0.woken));
        self.0.changed.notify_all();
    }
}

/// The time of the machine: the wall clock as it was at creation, moved on by the monotonic clock.
///
/// The wall clock is read once. Stepping it later, by hand or by a time service, does not move the
/// batch grid: batch times never go back, never jump and never repeat, and batches come one
/// interval apart. The price is that batch times differ from a stepped wall clock by the step, and
/// by the time a machine was suspended, until the program is started anew. Copies show the same
/// time; two clocks created apart may not.
///
/// # Examples
///
/// ```
/// use millstream::time::{Clock, SystemClock, WaitResult, Wake};
///
/// let clock = SystemClock::new();
/// let deadline = clock.now_nanos() + 1_000_000;
/// assert_eq!(clock.wait_until(deadline, &Wake::new()), WaitResult::Reached);
/// assert!(clock.now_nanos() >= deadline);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    wall_nanos: i64,
    started: Instant,
}

impl SystemClock {
    /// A clock that starts from the wall clock's present time.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the Clock that all others ask"
    )]
    #[must_use]
    pub fn new() -> Self {
        let wall_nanos = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => whole_nanos(after),
            Err(before) => -whole_nanos(before.duration()),
        };
        Self {
            wall_nanos,
            started: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now_nanos(&self) -> i64 {
        self.wall_nanos
            .saturating_add(whole_nanos(self.started.elapsed()))
    }

    fn wait_until(&self, deadline_nanos: i64, wake: &Wake) -> WaitResult {
        let mut woken = wake.is_woken();
        loop {
            if woken {
                return WaitResult::Woken;
            }
            let now = self.now_nanos();
            if now >= deadline_nanos {
                return WaitResult::Reached;
            }
            woken = wake.wait_timeout(Duration::from_nanos(deadline_nanos.abs_diff(now)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn millis_round_down_before_the_epoch_too() {
        #[derive(Debug)]
        struct Fixed(i64);
        impl Clock for Fixed {
            fn now_nanos(&self) -> i64 {
                self.0
            }
            fn wait_until(&self, _: i64, _: &Wake) -> WaitResult {
                WaitResult::Reached
            }
        }
        let clocks: [(Box<dyn Clock>, i64); 3] = [
            (Box::new(Fixed(1_999_999)), 1),
            (Box::new(Fixed(-1)), -1),
            (Box::new(Fixed(0)), 0),
        ];
        for (clock, millis) in clocks {
            assert_eq!(clock.now_millis(), millis);
        }
    }

    #[test]
    fn the_wall_clock_counts_once_and_the_monotonic_clock_from_then_on() {
        let clock = SystemClock::new();
        let early = SystemClock {
            wall_nanos: -5,
            ..clock
        };
        let (before, shown, after) = (clock.now_nanos(), early.now_nanos(), clock.now_nanos());
        let shift = clock.wall_nanos + 5;
        assert!(before - shift <= shown && shown <= after - shift);
        assert!(
            clock.wall_nanos > 1_700_000_000_000_000_000,
            "later than the year 2023"
        );
        assert_eq!(
            SystemClock {
                wall_nanos: i64::MAX,
                ..clock
            }
            .now_nanos(),
            i64::MAX
        );
    }

    #[test]
    fn system_clock_waits_for_time_or_wake() {
        let clock = SystemClock::new();
        let wake = Wake::new();
        assert_eq!(clock.wait_until(i64::MIN, &wake), WaitResult::Reached);
        let deadline = clock.now_nanos() + 2_000_000;
        assert_eq!(clock.wait_until(deadline, &wake), WaitResult::Reached);
        assert!(clock.now_nanos() >= deadline);
        assert!(!wake.is_woken());
        thread::scope(|scope| {
            let waiter = scope.spawn(|| clock.wait_until(i64::MAX, &wake));
            wake.clone().wake();
            assert_eq!(waiter.join().unwrap(), WaitResult::Woken);
        });
        assert!(wake.is_woken());
        assert!(wake.wait_timeout(Duration::MAX));
        assert_eq!(clock.wait_until(i64::MIN, &wake), WaitResult::Woken);
    }
}
