//! Back-pressure: from what the batches took to what the receivers may store.
//!
//! The estimator learns from batches that have ended. One that takes many intervals
//! would be heard of too late: as many batches as it takes would come in at the old
//! rate, or without any limit if it is the first. But a batch that is not done in a
//! time cannot be processed at more than its records in that time, so from the
//! first interval on it lowers the limits.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::id::StreamId;
use crate::listener::{BatchInfo, InputInfo};
use crate::rate::PidRateEstimator;
use crate::receiver::RateLimit;
use crate::time::Duration;

/// Sets the rate of each receiver by the batches that have ended.
#[derive(Debug)]
pub(crate) struct RateControl {
    /// What each receiver's estimator starts as; none if back-pressure is off.
    estimator: Option<PidRateEstimator>,
    batch_interval: Duration,
    receivers: Mutex<Vec<Controlled>>,
}

/// A receiver whose rate is controlled.
#[derive(Debug)]
struct Controlled {
    stream_id: StreamId,
    estimator: PidRateEstimator,
    limit: Arc<RateLimit>,
}

impl RateControl {
    pub(crate) fn new(estimator: Option<PidRateEstimator>, batch_interval: Duration) -> Self {
        Self {
            estimator,
            batch_interval,
            receivers: Mutex::default(),
        }
    }

    /// Controls the rate of the receiver of this stream from now on.
    pub(super) fn add(&self, stream_id: StreamId, limit: &Arc<RateLimit>) {
        if let Some(estimator) = self.estimator.clone() {
            self.receivers().push(Controlled {
                stream_id,
                estimator,
                limit: Arc::clone(limit),
            });
        }
    }

    /// Learns from a batch that has ended. It costs some nanoseconds per receiver,
    /// less than handing it to another thread would.
    pub(super) fn learn(&self, batch: &BatchInfo) {
        let Some(end) = batch.processing_end_nanos else {
            return;
        };
        for receiver in &mut *self.receivers() {
            let Some(input) = receiver.input(batch) else {
                continue;
            };
            let rate = receiver.estimator.compute(
                end,
                input.num_records,
                batch.processing_delay(),
                batch.scheduling_delay(),
            );
            if let Some(rate) = rate {
                tracing::debug!(receiver = input.name, rate, "a new rate was estimated");
                receiver.limit.set(rate);
            }
        }
    }

    /// Lowers the rates by a batch that is still running after more than an interval.
    pub(super) fn watch(&self, batch: &BatchInfo, running: Duration) {
        let Some(late) = running.checked_sub(self.batch_interval) else {
            return;
        };
        if late.is_zero() {
            return;
        }
        let waiting = batch.scheduling_delay() + late;
        for receiver in &*self.receivers() {
            let records = receiver.input(batch).map_or(0, |input| input.num_records);
            if records > 0 {
                let bound = receiver.estimator.bound(records, running, waiting);
                receiver.limit.lower(bound);
            }
        }
    }

    fn receivers(&self) -> MutexGuard<'_, Vec<Controlled>> {
        self.receivers
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }
}

impl Controlled {
    /// What its receiver gave to a batch.
    fn input<'b>(&self, batch: &'b BatchInfo) -> Option<&'b InputInfo> {
        let mut inputs = batch.inputs.iter();
        inputs.find(|input| input.stream_id == self.stream_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::PidOptions;
    use crate::time::BatchTime;

    const SECOND: Duration = Duration::from_secs(1);

    /// A running batch of a thousand records of one receiver, which began a second
    /// after it was queued.
    fn running() -> BatchInfo {
        let inputs = vec![InputInfo::new(StreamId(0), "Receiver".into(), 1_000)];
        let mut batch = BatchInfo::new(BatchTime::from_millis(1_000), inputs, 0);
        batch.processing_start_nanos = Some(1_000_000_000);
        batch
    }

    fn control(initial: Option<u64>, stream: u32) -> (RateControl, Arc<RateLimit>) {
        let estimator = PidRateEstimator::new(SECOND, PidOptions::default()).unwrap();
        let control = RateControl::new(Some(estimator), SECOND);
        let limit = RateLimit::new(initial, None);
        control.add(StreamId(stream), &limit);
        (control, limit)
    }

    #[test]
    fn a_batch_that_runs_for_long_lowers_the_rate() {
        let (control, limit) = control(None, 0);
        control.watch(&running(), Duration::ZERO);
        control.watch(&running(), SECOND);
        assert_eq!(limit.rate(), None, "it may take an interval");
        control.watch(&running(), SECOND * 2);
        // 500 records a second at most, and the next one has waited for two seconds.
        assert_eq!(limit.rate(), Some(300));
        control.watch(&running(), SECOND * 3 / 2);
        assert_eq!(limit.rate(), Some(300), "it is never raised");
        control.watch(&running(), SECOND * 100);
        assert_eq!(limit.rate(), Some(100));
    }

    #[test]
    fn a_batch_says_nothing_about_receivers_that_gave_it_nothing() {
        let (control, limit) = control(Some(5_000), 1);
        control.watch(&running(), SECOND * 10);
        assert_eq!(limit.rate(), Some(5_000));
        let mut empty = running();
        empty.inputs[0] = InputInfo::new(StreamId(1), "Receiver".into(), 0);
        control.watch(&empty, SECOND * 10);
        assert_eq!(limit.rate(), Some(5_000));
    }

    #[test]
    fn without_back_pressure_no_rate_changes() {
        let control = RateControl::new(None, SECOND);
        let limit = RateLimit::new(None, Some(5_000));
        control.add(StreamId(0), &limit);
        control.watch(&running(), SECOND * 10);
        let mut ended = running();
        ended.processing_end_nanos = Some(5_000_000_000);
        control.learn(&ended);
        ended.processing_end_nanos = Some(6_000_000_000);
        control.learn(&ended);
        assert_eq!(limit.rate(), Some(5_000));
    }
}
