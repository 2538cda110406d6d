//! Back-pressure: from what the batches took to what the receivers may store.
//!
//! The estimator learns from batches that have ended. One that takes many intervals
//! would be heard of too late: as many batches as it takes would come in at the old
//! rate, or without any limit if it is the first. But a batch that is not done in a
//! time cannot be processed at more than its records in that time, so from the
//! first interval on it lowers the limits.
//!
//! A process that is suspended, or a machine that sleeps, makes batches look slow that
//! are not. The thread that cuts does next to nothing, so if it is late by more than a
//! second, nothing ran in that time: batches that waited or ran then tell nothing.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::id::StreamId;
use crate::listener::{BatchInfo, InputInfo};
use crate::rate::PidRateEstimator;
use crate::receiver::RateLimit;
use crate::sync::lock;
use crate::time::Duration;

/// Sets the rate of each receiver by the batches that have ended.
#[derive(Debug)]
pub(crate) struct RateControl {
    /// What each receiver's estimator starts as; none if back-pressure is off.
    estimator: Option<PidRateEstimator>,
    batch_interval: Duration,
    receivers: Mutex<Vec<Controlled>>,
    /// When the thread that cuts is to wake up next; in nanoseconds, as below. Written by
    /// that thread. Both are numbers that nothing else hangs on, so they are relaxed.
    due: AtomicI64,
    /// When it was found last that nothing had run for a while.
    resumed: AtomicI64,
}

/// The thread that cuts is not as late as that if anything runs.
const STANDSTILL: i64 = 1_000_000_000;

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
            due: AtomicI64::new(i64::MAX),
            resumed: AtomicI64::new(i64::MIN),
        }
    }

    /// The thread that cuts is going to wait until then.
    pub(super) fn expect(&self, due_nanos: i64) {
        self.due.store(due_nanos, Ordering::Relaxed);
    }

    /// Something runs now.
    pub(super) fn is_running(&self, now_nanos: i64) {
        let late = now_nanos.saturating_sub(self.due.load(Ordering::Relaxed));
        if late > STANDSTILL {
            self.resumed.fetch_max(now_nanos, Ordering::Relaxed);
        }
    }

    /// Whether nothing ran for a while since the batch was queued.
    fn is_interrupted(&self, batch: &BatchInfo) -> bool {
        batch.submission_nanos < self.resumed.load(Ordering::Relaxed)
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
        // The thread that cuts may not have woken up yet.
        self.is_running(end);
        if self.is_interrupted(batch) {
            return;
        }
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
        if late.is_zero() || self.is_interrupted(batch) {
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
        lock(&self.receivers)
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

    /// A batch of a thousand records that ended so many milliseconds after it was queued.
    fn ended(queued_millis: i64, millis: i64) -> BatchInfo {
        let queued = queued_millis * 1_000_000;
        let mut batch = running();
        batch.submission_nanos = queued;
        batch.processing_start_nanos = Some(queued);
        batch.processing_end_nanos = Some(queued + millis * 1_000_000);
        batch
    }

    /// The process stands still for ten seconds, while a batch runs, between two, or while
    /// one waits; whoever wakes up first.
    #[test]
    fn f_17_no_rate_is_learned_from_a_time_in_which_nothing_ran() {
        let millis = |millis: i64| millis * 1_000_000;
        for generator_is_first in [false, true] {
            let (control, limit) = control(None, 0);
            control.expect(millis(2_000));
            control.learn(&ended(0, 500));
            control.learn(&ended(1_000, 500));
            assert_eq!(limit.rate(), Some(2_000));
            // One ran, and the next one is queued when all stands still.
            let mut waiting = ended(1_900, 10_500);
            waiting.processing_start_nanos = Some(millis(12_100));
            if generator_is_first {
                control.is_running(millis(12_000));
                control.expect(millis(13_000));
                let mut unfinished = ended(1_500, 0);
                unfinished.processing_end_nanos = None;
                control.watch(&unfinished, SECOND * 10);
            }
            control.learn(&ended(1_500, 10_550));
            control.learn(&waiting);
            assert_eq!(limit.rate(), Some(2_000));
            control.is_running(millis(12_080));
            control.expect(millis(13_000));
            // What comes behind counts.
            control.learn(&ended(12_500, 400));
            assert_eq!(limit.rate(), Some(2_500));
            control.is_running(millis(14_000));
            control.expect(millis(14_000));
            control.learn(&ended(13_000, 1_500));
            assert_eq!(
                limit.rate(),
                Some(667),
                "late, but not by more than a second"
            );
        }
    }
}
