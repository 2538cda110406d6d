//! Starts the receivers of a context, and stops them.

use std::sync::Arc;
use std::time::Duration;

use crate::cpu::placement::Placement;
use crate::dstream::Graph;
use crate::error::Result;
use crate::listener::Bus;
use crate::receiver::{Reporter, SupervisorHandle};
use crate::time::{Clock, SystemClock};

/// The running receivers.
#[derive(Debug)]
pub(crate) struct ReceiverTracker {
    receivers: Vec<SupervisorHandle>,
}

impl ReceiverTracker {
    /// Starts every declared receiver on a thread of its own. If one cannot be
    /// started, those that were are stopped again.
    pub(crate) fn start(
        graph: &Graph,
        placement: &Placement,
        clock: &Arc<dyn Clock>,
        bus: &Arc<Bus>,
    ) -> Result<Self> {
        let mut tracker = Self {
            receivers: Vec::new(),
        };
        for (i, declared) in graph.take_receivers().into_iter().enumerate() {
            let reporter = Reporter::new(Arc::clone(bus), declared.stream_id, declared.name);
            let cpu = placement.receiver_cpu(i);
            match declared
                .supervisor
                .start(i, cpu, Arc::clone(clock), reporter)
            {
                Ok(receiver) => tracker.receivers.push(receiver),
                Err(error) => {
                    tracker.shut_down();
                    return Err(error);
                }
            }
        }
        Ok(tracker)
    }

    /// Tells all receivers to end.
    pub(crate) fn shut_down(&self) {
        for receiver in &self.receivers {
            receiver.shut_down();
        }
    }

    /// Ends all receivers and waits for them, at most for `limit`.
    ///
    /// # Errors
    /// The first receiver that does not end is named; the others are waited for.
    pub(crate) fn stop(self, limit: Duration) -> Result<()> {
        self.shut_down();
        // Real time, like all waiting of a stop: a manual clock may stand still.
        let clock = SystemClock::new();
        let started = clock.now_nanos();
        let mut result = Ok(());
        for receiver in self.receivers {
            let spent = Duration::from_nanos(clock.now_nanos().abs_diff(started));
            result = result.and(receiver.join(limit.saturating_sub(spent), limit));
        }
        result
    }
}
