//! Ending the threads of a context, within a time.

use std::sync::{Arc, Mutex};

use super::Inner;
use super::life::Running;
use crate::cpu::thread;
use crate::dstream::Graph;
use crate::error::{Error, ErrorKind, Result};
use crate::listener::Bus;
use crate::scheduler::Logger;
use crate::sync::lock;
use crate::time::{Deadline, Duration};

/// The least time that a graceful stop has by default.
const LEAST_GRACEFUL: Duration = Duration::from_secs(10);

impl Running {
    /// Ends all threads. What does not end in time is named by the error.
    pub(super) fn stop(self, context: &Inner, graceful: bool) -> Result<()> {
        let mut left = Left::default();
        self.receivers.shut_down();
        let drained = !graceful || self.drain(context);
        let limit = context.conf.stop_timeout;
        let deadline = Deadline::after(limit);
        if let Some(generator) = &self.generator {
            generator.end();
        }
        self.jobs.close();
        for name in self.receivers.join(deadline) {
            left.running.push(format!("the receiver of {name}"));
        }
        if self
            .generator
            .is_some_and(|generator| !generator.join(deadline))
        {
            left.running.push("the batch generator".to_owned());
        }
        if let Some(spiller) = self.spiller {
            spiller.end();
            if !spiller.join(deadline) {
                left.running.push("the thread that spills".to_owned());
            }
        }
        let log = self.logger.as_ref().map(Logger::log);
        if let Some(logger) = self.logger {
            logger.end();
            if !logger.join(deadline) {
                left.running
                    .push("the thread that writes the log".to_owned());
            }
        }
        let mut all_ended = true;
        for thread in self.job_threads {
            // Those that do not end are known by their jobs.
            all_ended &= thread.join(deadline.rest());
        }
        left.running.extend(self.jobs.running());
        if let Some(checkpoints) = &self.checkpoints {
            let all_done = graceful && drained && all_ended;
            if let Err(error) = checkpoints.finish(all_done, deadline) {
                left.unprocessed
                    .push(format!("the last checkpoint ({error})"));
            }
        }
        if let Some(log) = log {
            log.close();
        }
        // Not in no time: what comes now waited for its turn.
        let turn = || deadline.rest().max(limit / 2);
        left.running.extend(stop_inputs(context, all_ended, turn()));
        if !drained {
            // Perhaps by now.
            left.unprocessed.extend(self.jobs.dropped());
            let inputs = context.graph.inputs();
            let waiting = inputs.iter().filter(|input| input.is_waiting());
            let names = waiting.map(|input| format!("what {} still has", input.name()));
            left.unprocessed.extend(names);
        }
        // Last, so that listeners hear of all that.
        context.bus.close();
        if self.bus_thread.is_some_and(|thread| !thread.join(turn())) {
            left.running.extend(context.bus.busy());
        }
        left.into_result(context, graceful)
    }

    /// Waits until all that was received is processed, as long as a graceful stop may take;
    /// says whether it is.
    fn drain(&self, context: &Inner) -> bool {
        let limit = graceful_limit(context);
        let deadline = Deadline::after(limit);
        // First, so that everything that was stored is there to be cut. Not for
        // the whole time: a receiver that never ends must not cost the others
        // their data.
        let complete = self.receivers.wait(Deadline::after(limit / 2));
        if let Some(generator) = &self.generator {
            generator.drain();
        }
        let inputs = context.graph.inputs();
        // One that waits still was not cut, as that could not be noted.
        self.jobs.drain(deadline) && complete && !inputs.iter().any(|input| input.is_waiting())
    }

    /// Tells all threads to end without waiting for them.
    pub(super) fn release(self, graph: &Graph, bus: &Bus) {
        self.receivers.shut_down();
        if let Some(generator) = &self.generator {
            generator.end();
        }
        self.jobs.close();
        if let Some(logger) = &self.logger {
            logger.end();
        }
        if let Some(spiller) = &self.spiller {
            spiller.end();
        }
        bus.close();
        graph.stop_inputs(false, |_| ());
    }
}

/// Stops the inputs, on a thread of its own as that is the program's code; gives
/// what has not ended after `limit`.
fn stop_inputs(context: &Inner, all_ended: bool, limit: Duration) -> Option<String> {
    let graph = Arc::clone(&context.graph);
    let at = Arc::new(Mutex::new(String::new()));
    let now_at = Arc::clone(&at);
    let stopping = thread::spawn("inputs", &[], move || {
        graph.stop_inputs(all_ended, |name| {
            name.clone_into(&mut lock(&now_at));
        });
    });
    let ended = stopping.is_ok_and(|thread| thread.join(limit));
    let at = lock(&at);
    (!ended).then(|| format!("the stop of the input {at}"))
}

/// How long a graceful stop waits for received data.
fn graceful_limit(context: &Inner) -> Duration {
    context.conf.graceful_stop_timeout.unwrap_or_else(|| {
        let intervals = context.graph.batch_interval().saturating_mul(10);
        intervals.max(LEAST_GRACEFUL)
    })
}

/// What a stop could not bring to an end.
#[derive(Default)]
struct Left {
    running: Vec<String>,
    unprocessed: Vec<String>,
}

impl Left {
    fn into_result(self, context: &Inner, graceful: bool) -> Result<()> {
        let mut message = if graceful {
            format!("graceful stop: {:?} ran out", graceful_limit(context))
        } else {
            format!("stop: {:?} ran out", context.conf.stop_timeout)
        };
        for (what, list) in [
            ("left running", &self.running),
            ("not processed", &self.unprocessed),
        ] {
            if !list.is_empty() {
                message = format!("{message}; {what}: {}", list.join(", "));
            }
        }
        if self.running.is_empty() && self.unprocessed.is_empty() {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Timeout, message))
        }
    }
}
