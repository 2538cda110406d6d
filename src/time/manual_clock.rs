//! A clock that a test moves.

use std::sync::Arc;
use std::time::Duration;

use super::batch_time::BatchTime;
use super::clock::{Clock, WaitResult, Wake};
use super::duration::whole_nanos;
use crate::sync::engine::{Condvar, Mutex, MutexGuard, lock};
use crate::sync::unpoisoned;

/// A clock that stands still until it is told the time. Its clones are the same clock.
///
/// Waiting threads sleep without looking at any other clock, and are woken when the time they wait
/// for is set.
///
/// # Examples
///
/// ```
/// use millstream::time::{Clock, Duration, ManualClock, WaitResult, Wake};
///
/// let clock = ManualClock::new(1_000);
/// std::thread::scope(|scope| {
///     let waiter = scope.spawn(|| clock.wait_until(3_000_000_000, &Wake::new()));
///     clock.await_waiters(1);
///     clock.advance(Duration::from_secs(2));
///     assert_eq!(waiter.join().unwrap(), WaitResult::Reached);
/// });
/// assert_eq!(clock.now_millis(), 3_000);
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Shared>);

// Locks: a waiter looks at the state while it holds the lock of its Wake; `move_to` therefore lets
// go of the state before it touches a Wake.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug)]
struct State {
    now_nanos: i64,
    next_waiter: u64,
    waiters: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    deadline_nanos: i64,
    wake: Wake,
}

impl ManualClock {
    /// A clock that shows this many milliseconds since the epoch.
    #[must_use]
    pub fn new(start_millis: i64) -> Self {
        let state = State {
            now_nanos: nanos(start_millis),
            next_waiter: 0,
            waiters: Vec::new(),
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            arrived: Condvar::new(),
        }))
    }

    /// Moves the time on.
    pub fn advance(&self, by: Duration) {
        let state = self.lock();
        let to = state.now_nanos.saturating_add(whole_nanos(by));
        Self::move_to(state, to);
    }

    /// Moves the time on to `to`.
    ///
    /// # Panics
    ///
    /// If `to` is earlier than the time the clock shows: a clock never goes back.
    pub fn set(&self, to: BatchTime) {
        let state = self.lock();
        let to_nanos = nanos(to.as_millis());
        let now_nanos = state.now_nanos;
        assert!(
            to_nanos >= now_nanos,
            "a clock at {now_nanos} ns cannot go back to {to}"
        );
        Self::move_to(state, to_nanos);
    }

    /// Blocks until at least `count` threads wait for a time that the clock has not reached.
    ///
    /// A waiter whose time has come does not count, even before it runs on; so after
    /// [`advance`](Self::advance), this call returns when the woken threads are done and wait
    /// again.
    pub fn await_waiters(&self, count: usize) {
        let state = self.lock();
        let enough = self
            .0
            .arrived
            .wait_while(state, |state| state.waiters.len() < count);
        drop(unpoisoned(enough));
    }

    fn move_to(mut state: MutexGuard<'_, State>, to_nanos: i64) {
        state.now_nanos = to_nanos;
        let reached: Vec<Waiter> = state
            .waiters
            .extract_if(.., |waiter| waiter.deadline_nanos <= to_nanos)
            .collect();
        drop(state);
        for waiter in reached {
            waiter.wake.nudge();
        }
    }

    // A refused `set` panics with the lock in hand, before it has changed anything: the state stays
    // good.
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

fn nanos(millis: i64) -> i64 {
    millis.saturating_mul(1_000_000)
}

impl Clock for ManualClock {
    fn now_nanos(&self) -> i64 {
        self.lock().now_nanos
    }

    fn wait_until(&self, deadline_nanos: i64, wake: &Wake) -> WaitResult {
        let mut state = self.lock();
        let number = state.next_waiter;
        state.next_waiter += 1;
        if state.now_nanos < deadline_nanos {
            state.waiters.push(Waiter {
                number,
                deadline_nanos,
                wake: wake.clone(),
            });
            self.0.arrived.notify_all();
        }
        drop(state);
        let result = wake.wait_for(|| self.now_nanos() >= deadline_nanos);
        self.lock().waiters.retain(|waiter| waiter.number != number);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{self, AssertUnwindSafe};
    use std::thread;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn shows_what_it_is_told() {
        let clock = ManualClock::new(1_000);
        let same = clock.clone();
        clock.advance(Duration::from_nanos(1_500_001));
        assert_eq!(same.now_nanos(), 1_001_500_001);
        assert_eq!(same.now_millis(), 1_001);
        same.set(BatchTime::from_millis(5_000));
        same.set(BatchTime::from_millis(5_000));
        assert_eq!(clock.now_nanos(), 5 * SECOND);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now_nanos(), i64::MAX);
        assert_eq!(ManualClock::new(i64::MIN).now_nanos(), i64::MIN);
    }

    #[test]
    fn does_not_go_back_and_survives_the_attempt() {
        let clock = ManualClock::new(2);
        let back = panic::catch_unwind(AssertUnwindSafe(|| clock.set(BatchTime::from_millis(1))));
        let text = *back.unwrap_err().downcast::<String>().unwrap();
        assert_eq!(text, "a clock at 2000000 ns cannot go back to 1 ms");
        clock.set(BatchTime::from_millis(3));
        assert_eq!(clock.now_millis(), 3);
    }

    #[test]
    fn a_past_deadline_or_a_woken_flag_does_not_wait() {
        let clock = ManualClock::new(1_000);
        let wake = Wake::new();
        assert_eq!(clock.wait_until(SECOND, &wake), WaitResult::Reached);
        wake.wake();
        assert_eq!(clock.wait_until(SECOND, &wake), WaitResult::Woken);
        assert_eq!(clock.wait_until(2 * SECOND, &wake), WaitResult::Woken);
        clock.await_waiters(0);
    }

    #[test]
    fn each_waiter_returns_when_its_time_comes() {
        let clock = ManualClock::new(0);
        let wake = Wake::new();
        thread::scope(|scope| {
            let first = scope.spawn(|| clock.wait_until(SECOND, &wake));
            let second = scope.spawn(|| clock.wait_until(2 * SECOND, &wake));
            clock.await_waiters(2);
            clock.advance(Duration::from_secs(1));
            assert_eq!(first.join().unwrap(), WaitResult::Reached);
            clock.await_waiters(1);
            assert!(!second.is_finished());
            clock.set(BatchTime::from_millis(2_000));
            assert_eq!(second.join().unwrap(), WaitResult::Reached);
        });
        assert!(clock.lock().waiters.is_empty());
    }

    #[test]
    fn waking_ends_the_wait_at_the_time_it_was() {
        let clock = ManualClock::new(0);
        let (wake, other) = (Wake::new(), Wake::new());
        thread::scope(|scope| {
            let stopped = scope.spawn(|| clock.wait_until(SECOND, &wake));
            let going_on = scope.spawn(|| clock.wait_until(SECOND, &other));
            clock.await_waiters(2);
            wake.wake();
            assert_eq!(stopped.join().unwrap(), WaitResult::Woken);
            assert_eq!(clock.now_nanos(), 0);
            clock.advance(Duration::from_secs(1));
            assert_eq!(going_on.join().unwrap(), WaitResult::Reached);
        });
    }

    /// A timer thread and the test take turns: no tick is lost and none comes early.
    #[test]
    fn a_timer_sees_every_step() {
        let clock = ManualClock::new(0);
        let wake = Wake::new();
        thread::scope(|scope| {
            let timer = scope.spawn(|| {
                let mut seen = Vec::new();
                let mut next = SECOND;
                while clock.wait_until(next, &wake) == WaitResult::Reached {
                    seen.push(clock.now_nanos() / SECOND);
                    next += SECOND;
                }
                seen
            });
            for _ in 0..1_000 {
                clock.await_waiters(1);
                clock.advance(Duration::from_secs(1));
            }
            clock.await_waiters(1);
            wake.wake();
            assert_eq!(timer.join().unwrap(), (1..=1_000).collect::<Vec<_>>());
        });
    }
}
