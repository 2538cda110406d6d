//! Starts the receivers of a context, and stops them.

use std::sync::Arc;

use super::JobScheduler;
use crate::conf::Overflow;
use crate::cpu::placement::Placement;
use crate::dstream::Graph;
use crate::dstream::input::receiver::DeclaredReceiver;
use crate::error::Result;
use crate::listener::Bus;
use crate::receiver::{Reporter, SupervisorHandle};
use crate::time::{Clock, Deadline};

/// The running receivers.
#[derive(Debug, Default)]
pub(crate) struct ReceiverTracker {
    receivers: Vec<SupervisorHandle>,
}

impl ReceiverTracker {
    /// Starts every declared receiver on a thread of its own. `ring_bound` tells how many
    /// bytes each may hold if there are so many of them.
    ///
    /// # Errors
    /// If the thread of one cannot be started; those before it run.
    pub(crate) fn start(
        &mut self,
        graph: &Graph,
        ring_bound: impl Fn(usize) -> usize,
        placement: &Placement,
        clock: &Arc<dyn Clock>,
        bus: &Arc<Bus>,
        jobs: &Arc<JobScheduler>,
    ) -> Result<()> {
        let receivers = graph.take_receivers();
        if let Some(warning) = placement.crowded(receivers.len()) {
            tracing::warn!("{warning}");
        }
        let bound = ring_bound(receivers.len());
        for (i, declared) in receivers.into_iter().enumerate() {
            declared.supervisor.budget.narrow(bound);
            let limit = declared.supervisor.limit.clone();
            if let Some(limit) = &limit {
                jobs.rates().add(declared.stream_id, limit);
            }
            if declared.supervisor.overflow == Overflow::DropOldest {
                drop_oldest(&declared, graph, jobs);
            }
            let (stream_id, name) = (declared.stream_id, declared.name);
            let reporter = Reporter::new(Arc::clone(bus), stream_id, name, limit);
            let slot = placement.receiver(i, declared.supervisor.preferred_cpu());
            if let [cpu] = *slot.cpus
                && placement.has_worker_on(cpu)
            {
                tracing::warn!(
                    receiver = reporter.name(),
                    cpu,
                    "it prefers the core of a worker"
                );
            }
            let clock = Arc::clone(clock);
            let receiver = declared.supervisor.start(i, &slot, clock, reporter)?;
            self.receivers.push(receiver);
        }
        Ok(())
    }

    /// Tells all receivers to end.
    pub(crate) fn shut_down(&self) {
        for receiver in &self.receivers {
            receiver.shut_down();
        }
    }

    /// Waits until all have ended, or until the deadline; says whether they have.
    pub(crate) fn wait(&self, deadline: Deadline) -> bool {
        self.receivers
            .iter()
            .all(|receiver| receiver.wait(deadline.rest()))
    }

    /// As [`wait`](Self::wait), and lets go of them; gives the names of those that
    /// have not ended.
    pub(crate) fn join(self, deadline: Deadline) -> Vec<String> {
        let named = self.receivers.into_iter().map(|r| (r.name(), r));
        named
            .filter_map(|(name, receiver)| (!receiver.join(deadline.rest())).then_some(name))
            .collect()
    }
}

/// Lets the receiver drop what waits longest when its ring is full.
fn drop_oldest(declared: &DeclaredReceiver, graph: &Graph, jobs: &Arc<JobScheduler>) {
    let Some(input) = graph.inputs().get(declared.stream_id.0 as usize).cloned() else {
        return;
    };
    // Weak, as both have the ring.
    let (input, jobs) = (Arc::downgrade(&input), Arc::downgrade(jobs));
    let budget = &declared.supervisor.budget;
    budget.make_room_by(move || jobs.upgrade()?.drop_oldest(&*input.upgrade()?));
}
