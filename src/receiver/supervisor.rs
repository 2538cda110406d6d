//! Runs a source on its thread, and starts it again when it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use super::{Exit, Reporter, Session, Source};
use crate::block::Budget;
use crate::cpu::thread;
use crate::error::{Error, ErrorKind, Result};
use crate::time::{Clock, Duration};

/// What is needed to start a receiver.
pub(crate) struct Supervisor {
    pub(crate) source: Box<dyn Source>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) restart_delay: Duration,
}

impl Supervisor {
    /// Starts the receiver's thread, on `cpu` if one is given and the source
    /// prefers none.
    pub(crate) fn start(
        self,
        index: usize,
        cpu: Option<usize>,
        clock: Arc<dyn Clock>,
        reporter: Reporter,
    ) -> Result<SupervisorHandle> {
        let name = reporter.name();
        let session = Arc::new(Session::new(clock, reporter));
        let ended = Arc::new(Ended::default());
        let budget = Arc::clone(&self.budget);
        // A preference is a wish for a core only where receivers are pinned.
        let cpu = cpu.map(|cpu| self.source.preferred_cpu().unwrap_or(cpu));
        let thread = thread::spawn(format!("receiver-{index}"), cpu, {
            let (session, ended) = (Arc::clone(&session), Arc::clone(&ended));
            move || {
                // Also when the supervisor itself panics.
                let _signal = SignalOnDrop(ended);
                self.supervise(&session);
            }
        })
        .map_err(|cause| Error::io(format!("the thread of {name} cannot be started"), cause))?;
        Ok(SupervisorHandle {
            name,
            session,
            budget,
            ended,
            thread,
        })
    }

    fn supervise(mut self, session: &Arc<Session>) {
        while !session.is_shut_down() {
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
                    session.reporter().stopped(message, error);
                    let delay = delay.unwrap_or(self.restart_delay);
                    let clock = session.clock();
                    let nanos = i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX);
                    let deadline = clock.now_nanos().saturating_add(nanos);
                    // Woken or not: the loop looks at the session itself.
                    let _ = clock.wait_until(deadline, session.shutdown_wake());
                }
            }
        }
        if session.reporter().is_active() {
            session.reporter().stopped("the context stops".into(), None);
        }
    }
}

/// A running receiver.
#[derive(Debug)]
pub(crate) struct SupervisorHandle {
    name: String,
    session: Arc<Session>,
    budget: Arc<Budget>,
    ended: Arc<Ended>,
    thread: JoinHandle<()>,
}

impl SupervisorHandle {
    /// Tells the receiver to end: its ring takes no more, its reads return.
    pub(crate) fn shut_down(&self) {
        self.budget.close();
        self.session.shut_down();
    }

    /// Waits for the end of the thread, at most for `rest` of the `limit` that
    /// all receivers have.
    pub(crate) fn join(self, rest: Duration, limit: Duration) -> Result<()> {
        if !self.ended.wait(rest) {
            // Left alone: what it stores from now on is refused.
            return Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "the receiver of {} did not stop within {limit:?}",
                    self.name
                ),
            ));
        }
        if self.thread.join().is_err() {
            tracing::error!(receiver = self.name, "a receiver's supervisor panicked");
        }
        Ok(())
    }
}

/// Whether a thread has ended.
#[derive(Debug, Default)]
struct Ended {
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Ended {
    fn wait(&self, limit: Duration) -> bool {
        let ended = self
            .ended
            .lock()
            .unwrap_or_else(|poison| poison.into_inner());
        let (ended, _) = self
            .changed
            .wait_timeout_while(ended, limit, |ended| !*ended)
            .unwrap_or_else(|poison| poison.into_inner());
        *ended
    }
}

struct SignalOnDrop(Arc<Ended>);

impl Drop for SignalOnDrop {
    fn drop(&mut self) {
        *self
            .0
            .ended
            .lock()
            .unwrap_or_else(|poison| poison.into_inner()) = true;
        self.0.changed.notify_all();
    }
}
