//! Back-pressure: from what the batches took to what the receivers may store.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::id::StreamId;
use crate::listener::{BatchInfo, InputInfo};
use crate::rate::PidRateEstimator;
use crate::receiver::RateLimit;

/// Sets the rate of each receiver by the batches that have ended.
#[derive(Debug)]
pub(crate) struct RateControl {
    /// What each receiver's estimator starts as; none if back-pressure is off.
    estimator: Option<PidRateEstimator>,
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
    pub(crate) fn new(estimator: Option<PidRateEstimator>) -> Self {
        Self {
            estimator,
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
            let of = |input: &&InputInfo| input.stream_id == receiver.stream_id;
            let Some(input) = batch.inputs.iter().find(of) else {
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

    fn receivers(&self) -> MutexGuard<'_, Vec<Controlled>> {
        self.receivers
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }
}
