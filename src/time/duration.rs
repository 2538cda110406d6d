//! Durations as people read them, and the rule for intervals.

use std::time::Duration;

use crate::error::{Error, Result};

const NANOS_PER_MILLI: u32 = 1_000_000;

/// What intervals need beyond [`Duration`]'s own methods.
pub trait DurationExt {
    /// The exact length in milliseconds, as error messages show it: `1000 ms`, `0.5 ms`.
    ///
    /// ```
    /// use millstream::time::{Duration, DurationExt};
    ///
    /// assert_eq!(Duration::from_secs(1).to_millis_text(), "1000 ms");
    /// assert_eq!(Duration::from_micros(1_050).to_millis_text(), "1.05 ms");
    /// ```
    fn to_millis_text(&self) -> String;

    /// Whether this is 1, 2, 3, ... times `other`. Zero is no multiple of anything: a window of no
    /// batches is an error.
    ///
    /// ```
    /// use millstream::time::{Duration, DurationExt};
    ///
    /// let batch = Duration::from_millis(20);
    /// assert!(Duration::from_millis(60).is_whole_multiple_of(batch));
    /// assert!(!Duration::from_millis(50).is_whole_multiple_of(batch));
    /// assert!(!Duration::ZERO.is_whole_multiple_of(batch));
    /// ```
    fn is_whole_multiple_of(&self, other: Duration) -> bool;

    /// The length rounded for reading, in the unit that suits it: `350 ms`, `2.5 s`, `10.0 m`,
    /// `1.25 h`.
    ///
    /// ```
    /// use millstream::time::{Duration, DurationExt};
    ///
    /// assert_eq!(Duration::from_millis(350).to_pretty(), "350 ms");
    /// assert_eq!(Duration::from_secs(600).to_pretty(), "10.0 m");
    /// ```
    fn to_pretty(&self) -> String;
}

impl DurationExt for Duration {
    fn to_millis_text(&self) -> String {
        match self.subsec_nanos() % NANOS_PER_MILLI {
            0 => format!("{} ms", self.as_millis()),
            part => {
                let part = format!("{part:06}");
                format!("{}.{} ms", self.as_millis(), part.trim_end_matches('0'))
            }
        }
    }

    fn is_whole_multiple_of(&self, other: Duration) -> bool {
        !self.is_zero() && !other.is_zero() && self.as_nanos().is_multiple_of(other.as_nanos())
    }

    fn to_pretty(&self) -> String {
        const SECOND: u128 = 1_000;
        const MINUTE: u128 = 60 * SECOND;
        const HOUR: u128 = 60 * MINUTE;
        let ms = self.as_millis();
        let tenths = |unit| {
            let tenths = (ms * 10 + unit / 2) / unit;
            format!("{}.{}", tenths / 10, tenths % 10)
        };
        if ms < SECOND {
            format!("{ms} ms")
        } else if ms < MINUTE {
            format!("{} s", tenths(SECOND))
        } else if ms < HOUR {
            format!("{} m", tenths(MINUTE))
        } else {
            let hundredths = (ms * 100 + HOUR / 2) / HOUR;
            format!("{}.{:02} h", hundredths / 100, hundredths % 100)
        }
    }
}

/// Returns the interval if it is one: above zero, in whole milliseconds, and short enough for a
/// [`BatchTime`].
///
/// `name` is the parameter as its caller knows it, such as `slide interval`.
///
/// # Errors
///
/// [`ErrorKind::InvalidArgument`], naming the parameter, its value, the rule and the remedy.
///
/// # Examples
///
/// ```
/// use millstream::time::{Duration, check_interval};
///
/// assert!(check_interval("window length", Duration::from_secs(30)).is_ok());
/// let error = check_interval("window length", Duration::from_micros(1_500)).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "invalid argument: window length = 1.5 ms: \
///      must be a whole number of milliseconds; use 1 ms or 2 ms"
/// );
/// ```
///
/// [`BatchTime`]: crate::time::BatchTime
/// [`ErrorKind::InvalidArgument`]: crate::ErrorKind::InvalidArgument
pub fn check_interval(name: &str, interval: Duration) -> Result<Duration> {
    let ms = interval.as_millis();
    let problem = if interval.is_zero() {
        "must be greater than zero; use 1 ms or more".to_owned()
    } else if ms > i64::MAX as u128 {
        format!("must be at most {} ms; use a shorter one", i64::MAX)
    } else if interval.subsec_nanos().is_multiple_of(NANOS_PER_MILLI) {
        return Ok(interval);
    } else if ms == 0 {
        "must be a whole number of milliseconds; use 1 ms or more".to_owned()
    } else {
        format!(
            "must be a whole number of milliseconds; use {ms} ms or {} ms",
            ms + 1
        )
    };
    Err(Error::invalid_argument(format!(
        "{name} = {}: {problem}",
        interval.to_millis_text()
    )))
}

/// The whole milliseconds of a duration, at most `i64::MAX`.
pub(super) fn whole_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The nanoseconds of a duration, at most `i64::MAX`: enough for 292 years.
pub(super) fn whole_nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn millis_text_is_exact() {
        assert_eq!(ms(0).to_millis_text(), "0 ms");
        assert_eq!(ms(90_000).to_millis_text(), "90000 ms");
        assert_eq!(Duration::from_nanos(1).to_millis_text(), "0.000001 ms");
        assert_eq!(Duration::from_micros(500).to_millis_text(), "0.5 ms");
        assert_eq!(
            Duration::MAX.to_millis_text(),
            "18446744073709551615999.999999 ms"
        );
    }

    #[test]
    fn pretty_changes_unit_at_the_second_minute_and_hour() {
        let pretty = |millis| ms(millis).to_pretty();
        assert_eq!(pretty(0), "0 ms");
        assert_eq!(pretty(999), "999 ms");
        assert_eq!(pretty(1_000), "1.0 s");
        assert_eq!(pretty(1_050), "1.1 s");
        assert_eq!(pretty(59_949), "59.9 s");
        assert_eq!(pretty(60_000), "1.0 m");
        assert_eq!(pretty(3_599_999), "60.0 m");
        assert_eq!(pretty(3_600_000), "1.00 h");
        assert_eq!(pretty(4_518_000), "1.26 h");
        assert_eq!(Duration::from_micros(1_900).to_pretty(), "1 ms");
    }

    #[test]
    fn multiples_are_whole_and_positive() {
        assert!(ms(2).is_whole_multiple_of(ms(2)));
        assert!(ms(2_000).is_whole_multiple_of(ms(2)));
        assert!(!ms(1).is_whole_multiple_of(ms(2)));
        assert!(!ms(3).is_whole_multiple_of(ms(2)));
        assert!(!ms(3).is_whole_multiple_of(ms(0)));
        assert!(!ms(0).is_whole_multiple_of(ms(2)));
        assert!(!ms(0).is_whole_multiple_of(ms(0)));
        assert!(!(ms(2) + Duration::from_nanos(1)).is_whole_multiple_of(ms(2)));
        assert!(Duration::MAX.is_whole_multiple_of(Duration::from_nanos(1)));
    }

    #[test]
    fn intervals_are_checked() {
        let longest = ms(i64::MAX as u64);
        for good in [ms(1), ms(1_001), longest] {
            assert_eq!(check_interval("x", good).unwrap(), good);
        }
        let refused = |interval| {
            let error = check_interval("slide interval", interval).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            error.to_string()
        };
        assert_eq!(
            refused(ms(0)),
            "invalid argument: slide interval = 0 ms: must be greater than zero; use 1 ms or more"
        );
        assert_eq!(
            refused(Duration::from_micros(999)),
            "invalid argument: slide interval = 0.999 ms: \
             must be a whole number of milliseconds; use 1 ms or more"
        );
        assert_eq!(
            refused(Duration::from_micros(2_001)),
            "invalid argument: slide interval = 2.001 ms: \
             must be a whole number of milliseconds; use 2 ms or 3 ms"
        );
        assert_eq!(
            refused(longest + ms(1)),
            "invalid argument: slide interval = 9223372036854775808 ms: \
             must be at most 9223372036854775807 ms; use a shorter one"
        );
    }

    #[test]
    fn conversions_stop_at_the_largest_value() {
        assert_eq!(whole_millis(Duration::from_micros(1_999)), 1);
        assert_eq!(whole_millis(Duration::MAX), i64::MAX);
        assert_eq!(whole_nanos(Duration::from_micros(2)), 2_000);
        assert_eq!(whole_nanos(Duration::MAX), i64::MAX);
    }
}
