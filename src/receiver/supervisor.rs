//! Runs a source on its thread, and starts it again when it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{Backoff, Exit, RateLimit, Reporter, Session, Source};
use crate::block::Budget;
use crate::conf::Overflow;
use crate::cpu::placement::ReceiverSlot;
use crate::cpu::thread::{self, Thread};
use crate::error::{Error, Result};
use crate::time::{Clock, Duration};

/// What is needed to start a receiver.
pub(crate) struct Supervisor {
    pub(crate) source: Box<dyn Source>,
    pub(crate) budget: Arc<Budget>,
    /// None if nothing limits the receiver's rate.
    pub(crate) limit: Option<Arc<RateLimit>>,
    /// What it does when its ring is full.
    pub(crate) overflow: Overflow,
    pub(crate) backoff: Backoff,
}

impl Supervisor {
    /// The core that the source would like to be on.
    pub(crate) fn preferred_cpu(&self) -> Option<usize> {
        self.source.preferred_cpu()
    }

    /// Starts the receiver's thread in its place.
    pub(crate) fn start(
        self,
        index: usize,
        slot: &ReceiverSlot,
        clock: Arc<dyn Clock>,
        reporter: Reporter,
    ) -> Result<SupervisorHandle> {
        let name = reporter.name();
        let session = Arc::new(Session::new(clock, reporter));
        let budget = Arc::clone(&self.budget);
        if let Some(home) = slot.home {
            budget.set_home(home);
        }
        let limit = self.limit.clone();
        let thread = thread::spawn(format!("receiver-{index}"), &slot.cpus, {
            let session = Arc::clone(&session);
            move || self.supervise(&session)
        })
        .map_err(|cause| Error::io(format!("the thread of {name} cannot be started"), cause))?;
        Ok(SupervisorHandle {
            session,
            budget,
            limit,
            thread,
        })
    }

    fn supervise(mut self, session: &Arc<Session>) {
        let clock = session.clock();
        let mut received = 0;
        while !session.is_shut_down() {
            let started = clock.now_nanos();
            session.reporter().started();
            let exit = catch_unwind(AssertUnwindSafe(|| self.source.run(session)))
                .unwrap_or_else(Exit::panicked);
            session.detach();
            match exit {
                Exit::Shutdown => break,
                Exit::Restart {
                    message,
                    error,
                    delay,
                } => {
                    let now = clock.now_nanos();
                    let lasted = Duration::from_nanos(now.abs_diff(started));
                    let before = std::mem::replace(&mut received, self.budget.received());
                    let gave_data = received > before;
                    let pause = delay.unwrap_or_else(|| self.backoff.pause(gave_data, lasted));
                    session.reporter().restarts(message, error, pause);
                    let nanos = i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX);
                    // Woken or not: the loop looks at the session itself.
                    let _ = clock.wait_until(now.saturating_add(nanos), session.shutdown_wake());
                }
            }
        }
        self.source.settle();
        if session.reporter().is_active() {
            session.reporter().stopped();
        }
    }
}

/// A running receiver.
#[derive(Debug)]
pub(crate) struct SupervisorHandle {
    session: Arc<Session>,
    budget: Arc<Budget>,
    limit: Option<Arc<RateLimit>>,
    thread: Thread,
}

impl SupervisorHandle {
    /// The name of the receiver's stream.
    pub(crate) fn name(&self) -> String {
        self.session.reporter().name()
    }

    /// Tells the receiver to end: its ring takes no more, its reads return, and it
    /// waits for no permit.
    pub(crate) fn shut_down(&self) {
        self.budget.close();
        if let Some(limit) = &self.limit {
            limit.close();
        }
        self.session.shut_down();
    }

    /// Waits for the end of the receiver, for `limit` at the most; says whether
    /// it came.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        self.thread.wait(limit)
    }

    /// As [`wait`](Self::wait), and lets go of the receiver's thread. One that
    /// does not end is left alone: what it stores from now on is refused.
    #[must_use]
    pub(crate) fn join(self, limit: Duration) -> bool {
        self.thread.join(limit)
    }
}
