//! How many records per second the batches can take: the estimate behind
//! back-pressure.
//!
//! A PID controller looks at each batch when it has ended. What it measures is the
//! *processing rate*, records per second of processing. The *error* is how far the
//! rate that it last gave lies above that; the *historical error* is what waits: the
//! records that came in during the scheduling delay, per batch interval.
//!
//! ```text
//! rate       = records / processing delay
//! error      = last - rate
//! historical = scheduling delay * rate / batch interval
//! change     = (error - last error) / (end - last end)
//!
//! last = max(last - proportional * error - integral * historical - derivative * change, min_rate)
//! ```
//!
//! This is the formula of Spark's `PIDRateEstimator`, and gives what that gives; times
//! are in nanoseconds here, so that a batch of some microseconds has a rate, too.
//! With the default factors the new rate is the processing rate, less a fifth of what
//! waits.
//!
//! Not here: who asks, and what limits a receiver. The scheduler has an estimator
//! per receiver when `backpressure_enabled` is on.

use crate::error::{Error, Result};
use crate::time::Duration;

/// The factors of a [`PidRateEstimator`], and the least rate that it gives.
///
/// The defaults are those of the settings `backpressure_pid_*`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PidOptions {
    /// How much of the error is taken back at once. Default: 1, all of it.
    pub proportional: f64,
    /// How much of what waits is to be worked off in one batch interval. Default:
    /// 0.2.
    pub integral: f64,
    /// How much the change of the error counts, per second. Default: 0, as it makes the
    /// rate restless.
    #[doc(alias = "derived")]
    pub derivative: f64,
    /// The least rate, in records per second: batches without a record would tell
    /// nothing. Default: 100.
    #[doc(alias = "minRate")]
    pub min_rate: f64,
}

impl Default for PidOptions {
    fn default() -> Self {
        Self {
            proportional: 1.0,
            integral: 0.2,
            derivative: 0.0,
            min_rate: 100.0,
        }
    }
}

/// Estimates from each batch how many records per second the next ones can take
/// (guide: Deploying Applications, Setting the max receiving rate).
///
/// Back-pressure uses it; a program may do so for a source with a rate control
/// of its own. One call costs some nanoseconds.
///
/// # Examples
/// ```
/// use millstream::rate::{PidOptions, PidRateEstimator};
/// use millstream::time::Duration;
///
/// # fn main() -> millstream::Result<()> {
/// let second = Duration::from_secs(1);
/// let mut estimator = PidRateEstimator::new(second, PidOptions::default())?;
/// // Batches of 6000 records take two seconds each.
/// let took = Duration::from_secs(2);
/// assert_eq!(estimator.compute(2_000_000_000, 6000, took, Duration::ZERO), None); // the first
/// assert_eq!(estimator.compute(4_000_000_000, 6000, took, second), Some(2400.0));
/// // All that waited is done.
/// assert_eq!(estimator.compute(5_000_000_000, 2400, second * 4 / 5, Duration::ZERO), Some(3000.0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PidRateEstimator {
    /// In seconds.
    interval: f64,
    options: PidOptions,
    last: Option<Last>,
}

/// What a batch leaves for the next one.
#[derive(Clone, Copy, Debug)]
struct Last {
    end_nanos: i64,
    rate: f64,
    error: f64,
}

impl PidRateEstimator {
    /// An estimator for batches of this interval.
    ///
    /// # Errors
    /// If the interval is zero, a factor is negative or no number, or the least rate is
    /// not above zero.
    pub fn new(batch_interval: Duration, options: PidOptions) -> Result<Self> {
        if batch_interval.is_zero() {
            return Err(Error::invalid_argument("the batch interval is zero"));
        }
        let PidOptions {
            proportional,
            integral,
            derivative,
            min_rate,
        } = options;
        for (name, factor) in [
            ("proportional", proportional),
            ("integral", integral),
            ("derivative", derivative),
        ] {
            if !(factor.is_finite() && factor >= 0.0) {
                return Err(Error::invalid_argument(format!(
                    "the {name} factor is {factor}: it must be a number from 0 on"
                )));
            }
        }
        if !(min_rate.is_finite() && min_rate > 0.0) {
            return Err(Error::invalid_argument(format!(
                "the least rate is {min_rate}: it must be a number above 0"
            )));
        }
        Ok(Self {
            interval: batch_interval.as_secs_f64(),
            options,
            last: None,
        })
    }

    /// The rate for the next batches, in records per second, from one that ended at
    /// `end_nanos` with so many records.
    ///
    /// None, and nothing changes, for a batch without records or without processing
    /// time, and for one that ended no later than the last. None, too, for the first one
    /// that counts: it says what is processed, but not how that changes.
    pub fn compute(
        &mut self,
        end_nanos: i64,
        records: u64,
        processing_delay: Duration,
        scheduling_delay: Duration,
    ) -> Option<f64> {
        if records == 0 || processing_delay.is_zero() {
            return None;
        }
        let processed = processed(records, processing_delay);
        let Some(last) = self.last else {
            self.last = Some(Last {
                end_nanos,
                rate: processed,
                error: 0.0,
            });
            return None;
        };
        if end_nanos <= last.end_nanos {
            return None;
        }
        let since = Duration::from_nanos(end_nanos.abs_diff(last.end_nanos)).as_secs_f64();
        let error = last.rate - processed;
        let historical = self.historical(processed, scheduling_delay);
        let change = (error - last.error) / since;
        let PidOptions {
            proportional,
            integral,
            derivative,
            min_rate,
        } = self.options;
        let rate = last.rate - proportional * error - integral * historical - derivative * change;
        // Also where the factors are so large that this is no number.
        let rate = rate.max(min_rate);
        self.last = Some(Last {
            end_nanos,
            rate,
            error,
        });
        Some(rate)
    }

    /// What the rate is at most, by a batch that is not done after `processing_delay`,
    /// if the next one has been waiting for `scheduling_delay`. Nothing changes.
    pub(crate) fn bound(
        &self,
        records: u64,
        processing_delay: Duration,
        scheduling_delay: Duration,
    ) -> f64 {
        let processed = processed(records, processing_delay);
        let historical = self.historical(processed, scheduling_delay);
        (processed - self.options.integral * historical).max(self.options.min_rate)
    }

    /// What came in while a batch waited, per batch interval.
    fn historical(&self, processed: f64, scheduling_delay: Duration) -> f64 {
        scheduling_delay.as_secs_f64() * processed / self.interval
    }
}

fn processed(records: u64, processing_delay: Duration) -> f64 {
    records as f64 / processing_delay.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn estimator(interval: Duration) -> PidRateEstimator {
        PidRateEstimator::new(interval, PidOptions::default()).unwrap()
    }

    #[test]
    fn batches_of_microseconds_have_a_rate() {
        let mut estimator = estimator(ms(1));
        let took = Duration::from_micros(20);
        assert_eq!(
            estimator.compute(1_020_000, 100, took, Duration::ZERO),
            None
        );
        let rate = estimator.compute(2_020_000, 100, took, Duration::ZERO);
        assert_eq!(rate, Some(5e6));
        // A tenth of an interval waited.
        let waited = Duration::from_micros(100);
        let rate = estimator.compute(3_120_000, 100, took, waited).unwrap();
        assert!((rate - 4.9e6).abs() < 1e-3, "{rate}");
    }

    #[test]
    fn what_tells_nothing_changes_nothing() {
        let mut estimator = estimator(SECOND);
        assert_eq!(estimator.compute(10, 0, ms(10), Duration::ZERO), None);
        assert_eq!(estimator.compute(20, 10, Duration::ZERO, SECOND), None);
        assert_eq!(estimator.compute(30, 10, ms(10), SECOND), None, "the first");
        assert_eq!(estimator.compute(30, 10, ms(10), SECOND), None, "no later");
        assert_eq!(estimator.compute(29, 10, ms(10), SECOND), None, "earlier");
        assert_eq!(estimator.compute(40, 0, ms(10), SECOND), None);
        let rate = estimator.compute(50, 10, ms(10), Duration::ZERO);
        assert_eq!(rate, Some(1000.0));
    }

    #[test]
    fn no_delay_takes_the_rate_below_the_least() {
        let mut estimator = estimator(ms(1));
        for end in 1..10 {
            let rate = estimator.compute(end, 1, SECOND, SECOND * 1000);
            assert_eq!(rate, (end > 1).then_some(100.0));
        }
        let rate = estimator.compute(10, 1, ms(1), Duration::ZERO);
        assert_eq!(rate, Some(1000.0), "and one good batch brings it back");
    }

    #[test]
    fn a_result_that_is_no_number_is_the_least_rate() {
        let options = PidOptions {
            proportional: f64::MAX,
            derivative: f64::MAX,
            ..PidOptions::default()
        };
        let mut estimator = PidRateEstimator::new(SECOND, options).unwrap();
        assert_eq!(estimator.compute(1, 10, ms(1), Duration::ZERO), None);
        for end in 2..10 {
            let rate = estimator.compute(end, 10 * end as u64, ms(1), ms(end as u64));
            assert!(rate.is_some_and(|rate| rate >= 100.0), "{rate:?}");
        }
    }

    #[test]
    fn wrong_options_are_named() {
        let refused = |interval, change: fn(&mut PidOptions)| {
            let mut options = PidOptions::default();
            change(&mut options);
            let error = PidRateEstimator::new(interval, options).unwrap_err();
            error.to_string()
        };
        assert_eq!(
            refused(Duration::ZERO, |_| ()),
            "invalid argument: the batch interval is zero"
        );
        assert_eq!(
            refused(SECOND, |options| options.proportional = -1.0),
            "invalid argument: the proportional factor is -1: it must be a number from 0 on"
        );
        assert_eq!(
            refused(SECOND, |options| options.integral = f64::NAN),
            "invalid argument: the integral factor is NaN: it must be a number from 0 on"
        );
        assert_eq!(
            refused(SECOND, |options| options.derivative = f64::INFINITY),
            "invalid argument: the derivative factor is inf: it must be a number from 0 on"
        );
        assert_eq!(
            refused(SECOND, |options| options.min_rate = 0.0),
            "invalid argument: the least rate is 0: it must be a number above 0"
        );
    }
}
