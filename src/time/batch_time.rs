//! The time label of a batch.

use std::fmt;
use std::ops::{Add, RangeInclusive, Sub};
use std::time::Duration;

use super::duration::whole_millis;

/// The time of a batch, in whole milliseconds since the Unix epoch: the end of the interval whose
/// data it holds.
///
/// Arithmetic drops the part of a millisecond that a duration may have and stops at the smallest
/// and largest value instead of wrapping; the grid methods panic on a step below 1 ms. Neither
/// happens with intervals that passed
/// [`check_interval`](crate::time::check_interval) and times before the year 292 million.
///
/// # Examples
///
/// ```
/// use millstream::time::{BatchTime, Duration};
///
/// let slide = Duration::from_secs(2);
/// let time = BatchTime::from_millis(7_300);
/// assert_eq!(time.floor(slide), BatchTime::from_millis(6_000));
/// assert_eq!(time + slide, BatchTime::from_millis(9_300));
/// assert_eq!(time.to_string(), "7300 ms");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchTime(i64);

impl BatchTime {
    /// The time this many milliseconds after the epoch, or before it if negative.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The latest multiple of `step` since the epoch that is not after this time.
    ///
    /// # Panics
    ///
    /// If `step` is less than 1 ms.
    #[must_use]
    pub fn floor(self, step: Duration) -> Self {
        self.floor_from(Self(0), step)
    }

    /// The latest point `zero + n * step`, for any whole `n`, that is not after this time.
    ///
    /// # Panics
    ///
    /// If `step` is less than 1 ms.
    ///
    /// ```
    /// use millstream::time::{BatchTime, Duration};
    ///
    /// let zero = BatchTime::from_millis(500);
    /// let step = Duration::from_secs(1);
    /// assert_eq!(BatchTime::from_millis(2_499).floor_from(zero, step).as_millis(), 1_500);
    /// assert_eq!(BatchTime::from_millis(499).floor_from(zero, step).as_millis(), -500);
    /// ```
    #[must_use]
    pub fn floor_from(self, zero: Self, step: Duration) -> Self {
        Self(clamp(i128::from(self.0) - self.past_grid(zero, step)))
    }

    /// Whether this time is `zero + n * step` for some whole `n`.
    ///
    /// # Panics
    ///
    /// If `step` is less than 1 ms.
    ///
    /// ```
    /// use millstream::time::{BatchTime, Duration};
    ///
    /// let zero = BatchTime::from_millis(500);
    /// assert!(BatchTime::from_millis(3_500).is_on_grid(zero, Duration::from_secs(3)));
    /// assert!(!BatchTime::from_millis(3_000).is_on_grid(zero, Duration::from_secs(3)));
    /// ```
    #[must_use]
    pub fn is_on_grid(self, zero: Self, step: Duration) -> bool {
        self.past_grid(zero, step) == 0
    }

    /// Milliseconds since the last grid point. Wide, since two times can be further apart than an
    /// `i64` reaches.
    fn past_grid(self, zero: Self, step: Duration) -> i128 {
        (i128::from(self.0) - i128::from(zero.0)).rem_euclid(i128::from(step_millis(step)))
    }

    /// This time and every `step` after it, before `end`.
    ///
    /// # Panics
    ///
    /// If `step` is less than 1 ms.
    ///
    /// ```
    /// use millstream::time::{BatchTime, Duration};
    ///
    /// let end = BatchTime::from_millis(5);
    /// let times = BatchTime::from_millis(1).until(end, Duration::from_millis(2));
    /// assert_eq!(times.map(BatchTime::as_millis).collect::<Vec<_>>(), [1, 3]);
    /// ```
    #[must_use]
    pub fn until(
        self,
        end: Self,
        step: Duration,
    ) -> impl DoubleEndedIterator<Item = Self> + Clone + fmt::Debug + use<> {
        self.times((self < end).then(|| end.0.abs_diff(self.0) - 1), step)
    }

    /// This time and every `step` after it, up to and including `last`.
    ///
    /// # Panics
    ///
    /// If `step` is less than 1 ms.
    ///
    /// ```
    /// use millstream::time::{BatchTime, Duration};
    ///
    /// let last = BatchTime::from_millis(5);
    /// let times = BatchTime::from_millis(1).through(last, Duration::from_millis(2));
    /// assert_eq!(times.rev().map(BatchTime::as_millis).collect::<Vec<_>>(), [5, 3, 1]);
    /// ```
    #[must_use]
    pub fn through(
        self,
        last: Self,
        step: Duration,
    ) -> impl DoubleEndedIterator<Item = Self> + Clone + fmt::Debug + use<> {
        self.times((self <= last).then(|| last.0.abs_diff(self.0)), step)
    }

    /// The grid points from here to at most `span` milliseconds later.
    fn times(
        self,
        span: Option<u64>,
        step: Duration,
    ) -> impl DoubleEndedIterator<Item = Self> + Clone + fmt::Debug + use<> {
        let step = step_millis(step).unsigned_abs();
        let counts = match span {
            Some(span) => 0..=span / step,
            None => RangeInclusive::new(1, 0),
        };
        counts.map(move |n| Self(self.0.saturating_add_unsigned(n * step)))
    }
}

fn step_millis(step: Duration) -> i64 {
    let millis = whole_millis(step);
    assert!(millis > 0, "a time step must be at least 1 ms");
    millis
}

fn clamp(millis: i128) -> i64 {
    i64::try_from(millis).unwrap_or(if millis < 0 { i64::MIN } else { i64::MAX })
}

impl fmt::Display for BatchTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

impl Add<Duration> for BatchTime {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(later)))
    }
}

impl Sub<Duration> for BatchTime {
    type Output = Self;

    fn sub(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(whole_millis(earlier)))
    }
}

/// How long `self` is after the other time; zero if it is not after it.
impl Sub for BatchTime {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        match self <= earlier {
            true => Duration::ZERO,
            false => Duration::from_millis(self.0.abs_diff(earlier.0)),
        }
    }
}

/// The time of the first batch of a context that starts at `now_ms`: the next multiple of the batch
/// interval since the epoch, strictly after now.
///
/// So batches sit on the same grid whatever the moment of the start. The zero time of the context
/// is one interval earlier.
///
/// # Panics
///
/// If `interval` is less than 1 ms.
///
/// ```
/// use millstream::time::{Duration, first_batch_time};
///
/// let interval = Duration::from_secs(2);
/// assert_eq!(first_batch_time(3_999, interval).as_millis(), 4_000);
/// assert_eq!(first_batch_time(4_000, interval).as_millis(), 6_000);
/// ```
#[must_use]
pub fn first_batch_time(now_ms: i64, interval: Duration) -> BatchTime {
    BatchTime(now_ms).floor(interval) + interval
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: [i64; 0] = [];
    const MIN: BatchTime = BatchTime(i64::MIN);
    const MAX: BatchTime = BatchTime(i64::MAX);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn millis(times: impl Iterator<Item = BatchTime>) -> Vec<i64> {
        times.map(BatchTime::as_millis).collect()
    }

    #[test]
    fn shows_its_unit() {
        assert_eq!(
            BatchTime::from_millis(1_700_000_000_000).to_string(),
            "1700000000000 ms"
        );
        assert_eq!(BatchTime::from_millis(-1).to_string(), "-1 ms");
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        assert_eq!(BatchTime(5) + ms(3), BatchTime(8));
        assert_eq!(BatchTime(5) - ms(8), BatchTime(-3));
        assert_eq!(BatchTime(5) - BatchTime(-3), ms(8));
        assert_eq!(BatchTime(5) - BatchTime(5), ms(0));
        assert_eq!(BatchTime(-3) - BatchTime(5), ms(0));
        assert_eq!(BatchTime(5) + Duration::from_micros(1_999), BatchTime(6));
        assert_eq!(BatchTime(5) + Duration::MAX, MAX);
        assert_eq!(BatchTime(-5) - Duration::MAX, MIN);
        assert_eq!(MAX - MIN, ms(u64::MAX));
    }

    #[test]
    fn floor_goes_down_on_both_sides_of_zero() {
        let floor = |t| BatchTime(t).floor(ms(10)).as_millis();
        assert_eq!(
            [-11, -10, -1, 0, 9, 10].map(floor),
            [-20, -10, -10, 0, 0, 10]
        );
        let floor = |t| BatchTime(t).floor_from(BatchTime(3), ms(10)).as_millis();
        assert_eq!([-8, -7, 2, 3, 12, 13].map(floor), [-17, -7, -7, 3, 3, 13]);
        assert_eq!(MIN.floor(ms(10)), MIN);
        assert_eq!(MAX.floor_from(MIN, ms(1)), MAX);
    }

    #[test]
    fn ranges_hold_the_grid_points() {
        let from = BatchTime(-2);
        assert_eq!(millis(from.until(BatchTime(4), ms(2))), [-2, 0, 2]);
        assert_eq!(millis(from.until(BatchTime(5), ms(2))), [-2, 0, 2, 4]);
        assert_eq!(millis(from.through(BatchTime(4), ms(2))), [-2, 0, 2, 4]);
        assert_eq!(
            millis(from.through(BatchTime(5), ms(2)).rev()),
            [4, 2, 0, -2]
        );
        assert_eq!(millis(from.through(from, ms(2))), [-2]);
        assert_eq!(millis(from.until(from, ms(2))), NONE);
        assert_eq!(millis(from.until(BatchTime(-9), ms(2))), NONE);
        assert_eq!(millis(from.through(BatchTime(-3), ms(2))), NONE);
        assert_eq!(MIN.through(MAX, ms(1)).next_back(), Some(MAX));
        assert_eq!(
            millis(MIN.through(MAX, ms(i64::MAX as u64))),
            [i64::MIN, -1, i64::MAX - 1]
        );
    }

    #[test]
    #[should_panic(expected = "a time step must be at least 1 ms")]
    fn a_step_below_a_millisecond_is_refused() {
        let _ = BatchTime(5).floor(Duration::from_micros(999));
    }

    #[test]
    fn the_first_batch_is_strictly_later_than_now() {
        let first = |now| first_batch_time(now, ms(1_000)).as_millis();
        assert_eq!(
            [-1_000, -1, 0, 1, 999, 1_000].map(first),
            [0, 0, 1_000, 1_000, 1_000, 2_000]
        );
        assert_eq!(
            first_batch_time(1_700_000_000_123, ms(1)).as_millis(),
            1_700_000_000_124
        );
    }

    proptest! {
        #[test]
        fn floor_is_the_last_grid_point(
            t in -10_000i64..10_000,
            zero in -10_000i64..10_000,
            step in 1u64..500,
        ) {
            let (t, zero, step) = (BatchTime(t), BatchTime(zero), ms(step));
            let floor = t.floor_from(zero, step);
            prop_assert!(floor <= t && t < floor + step);
            prop_assert!(floor.is_on_grid(zero, step));
            prop_assert_eq!(t.is_on_grid(zero, step), t == floor);
        }

        #[test]
        fn ranges_agree_with_counting(start in -50i64..50, end in -50i64..50, step in 1u64..9) {
            let naive = |last| (start..=last).step_by(step as usize).collect::<Vec<_>>();
            let (from, to) = (BatchTime(start), BatchTime(end));
            prop_assert_eq!(millis(from.through(to, ms(step))), naive(end));
            prop_assert_eq!(millis(from.until(to, ms(step))), naive(end - 1));
        }
    }
}
