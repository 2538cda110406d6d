//! What a source and the rest of the engine have to say to each other.

use std::fmt;
use std::io::Result;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use super::{Exit, RateLimit};
use crate::error::Error;
use crate::id::StreamId;
use crate::listener::{Bus, Event, ReceiverInfo};
use crate::sync::engine::{Condvar, Mutex, MutexGuard, lock};
use crate::sync::unpoisoned;
use crate::time::{Clock, Duration, Wake};

/// The running of one source, from the start of the context to its stop.
pub(crate) struct Session {
    clock: Arc<dyn Clock>,
    reporter: Reporter,
    shutdown: Wake,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    shut_down: bool,
    /// How an attempt to connect ended.
    outcome: Option<Result<TcpStream>>,
    /// The connection that a read may be waiting on.
    connection: Option<TcpStream>,
    /// What a receiver asked for.
    exit: Option<Exit>,
    /// The source is to look again at what it waits for.
    nudged: bool,
    /// Ends a wait on the clock.
    waiting: Option<Wake>,
}

impl State {
    fn is_called(&self) -> bool {
        self.shut_down || self.nudged || self.exit.is_some()
    }
}

impl Session {
    pub(crate) fn new(clock: Arc<dyn Clock>, reporter: Reporter) -> Self {
        Self {
            clock,
            reporter,
            shutdown: Wake::new(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    /// Is woken, for good, by the shutdown.
    pub(crate) fn shutdown_wake(&self) -> &Wake {
        &self.shutdown
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.shutdown.is_woken()
    }

    /// Ends the source, also where it waits for its connection.
    pub(crate) fn shut_down(&self) {
        let mut state = self.lock();
        state.shut_down = true;
        // Before the read returns: the end that it sees is none of the peer's.
        self.shutdown.wake();
        if let Some(connection) = state.connection.take() {
            // An error means that it is closed already.
            let _ = connection.shutdown(Shutdown::Both);
        }
        self.call(&state);
    }

    /// Takes the outcome of an attempt to connect, for
    /// [`await_connection`](Self::await_connection).
    pub(crate) fn offer(&self, outcome: Result<TcpStream>) {
        self.lock().outcome = Some(outcome);
        self.changed.notify_all();
    }

    /// Waits for the outcome of an attempt to connect, and keeps a handle to the
    /// connection, to end a read on it. None if the session is shut down.
    pub(crate) fn await_connection(&self) -> Option<Result<TcpStream>> {
        let state = self.lock();
        let mut state = unpoisoned(
            self.changed
                .wait_while(state, |state| state.outcome.is_none() && !state.shut_down),
        );
        if state.shut_down {
            return None;
        }
        let attached = state.outcome.take()?.and_then(|connection| {
            state.connection = Some(connection.try_clone()?);
            Ok(connection)
        });
        Some(attached)
    }

    /// Lets go of the connection, so that dropping it closes it.
    pub(crate) fn detach(&self) {
        self.lock().connection = None;
    }

    /// Forgets what was asked of an earlier run.
    pub(crate) fn clear_request(&self) {
        self.lock().exit = None;
    }

    /// Asks the source to end; the first request counts.
    pub(crate) fn request(&self, exit: Exit) {
        let mut state = self.lock();
        state.exit.get_or_insert(exit);
        self.call(&state);
    }

    /// Lets a [`wait`](Self::wait) return.
    pub(crate) fn nudge(&self) {
        let mut state = self.lock();
        state.nudged = true;
        self.call(&state);
    }

    /// Waits for a request or the shutdown. None at the deadline, if there is one,
    /// or after a nudge.
    pub(crate) fn wait(&self, deadline_nanos: Option<i64>) -> Option<Exit> {
        let mut state = self.lock();
        if let Some(deadline) = deadline_nanos
            && !state.is_called()
        {
            let wake = state.waiting.insert(Wake::new()).clone();
            drop(state);
            // The state tells why it ended.
            let _ = self.clock.wait_until(deadline, &wake);
            state = self.lock();
            state.waiting = None;
        } else {
            state = unpoisoned(self.changed.wait_while(state, |state| !state.is_called()));
        }
        state.nudged = false;
        if state.shut_down {
            Some(Exit::Shutdown)
        } else {
            state.exit.take()
        }
    }

    /// Wakes the source, wherever it waits.
    fn call(&self, state: &State) {
        if let Some(wake) = &state.waiting {
            wake.wake();
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("reporter", &self.reporter)
            .finish_non_exhaustive()
    }
}

/// Tells listeners and the log about one receiver.
pub(crate) struct Reporter {
    bus: Arc<Bus>,
    info: Mutex<ReceiverInfo>,
    limit: Option<Arc<RateLimit>>,
}

impl Reporter {
    pub(crate) fn new(
        bus: Arc<Bus>,
        stream_id: StreamId,
        name: String,
        limit: Option<Arc<RateLimit>>,
    ) -> Self {
        Self {
            bus,
            info: Mutex::new(ReceiverInfo::new(stream_id, name)),
            limit,
        }
    }

    /// The rate limit as it is now.
    pub(crate) fn rate_limit(&self) -> Option<u64> {
        self.limit.as_ref().and_then(|limit| limit.rate())
    }

    pub(crate) fn name(&self) -> String {
        self.info().name.clone()
    }

    pub(crate) fn is_active(&self) -> bool {
        self.info().active
    }

    pub(crate) fn started(&self) {
        let mut info = self.info();
        info.active = true;
        tracing::info!(receiver = info.name, "receiver started");
        self.tell(&mut info, Event::ReceiverStarted);
    }

    pub(crate) fn failed(&self, message: String, error: Option<Error>) {
        let mut info = self.info();
        tracing::warn!(receiver = info.name, message, ?error, "receiver error");
        info.last_message = message;
        info.last_error = error;
        self.tell(&mut info, Event::ReceiverError);
    }

    /// It ended by itself, and begins again after the pause.
    pub(crate) fn restarts(&self, message: String, error: Option<Error>, pause: Duration) {
        tracing::warn!(
            receiver = self.name(),
            error = error.as_ref().map(tracing::field::display),
            "a receiver ended and starts again after {pause:?}: {message}"
        );
        self.ended(message, error);
    }

    /// It ended with the context.
    pub(crate) fn stopped(&self) {
        tracing::info!(receiver = self.name(), "receiver stopped");
        self.ended("the context stops".into(), None);
    }

    fn ended(&self, message: String, error: Option<Error>) {
        let mut info = self.info();
        info.active = false;
        info.last_message = message;
        info.last_error = error;
        self.tell(&mut info, Event::ReceiverStopped);
    }

    fn tell(&self, info: &mut ReceiverInfo, event: fn(ReceiverInfo) -> Event) {
        info.rate_limit = self.rate_limit();
        self.bus.post(|| event(info.clone()));
    }

    fn info(&self) -> MutexGuard<'_, ReceiverInfo> {
        lock(&self.info)
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reporter").field(&self.info()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Log;

    #[test]
    fn the_log_says_why_a_receiver_starts_again() {
        let reporter = Reporter::new(Arc::default(), StreamId(3), "words".into(), None);
        let log = Log::default();
        tracing::subscriber::with_default(log.clone(), || {
            reporter.started();
            let (refused, pause) = (
                std::io::ErrorKind::ConnectionRefused,
                Duration::from_secs(2),
            );
            let error = Error::io("connecting to a:1", refused.into());
            reporter.restarts("no server".into(), Some(error), pause);
            reporter.restarts("no more data".into(), None, Duration::from_millis(500));
            reporter.stopped();
        });
        assert_eq!(
            log.events(),
            [
                "INFO receiver started receiver=\"words\"",
                "WARN a receiver ended and starts again after 2s: no server receiver=\"words\" \
                 error=input/output error: connecting to a:1: connection refused",
                "WARN a receiver ended and starts again after 500ms: no more data \
                 receiver=\"words\"",
                "INFO receiver stopped receiver=\"words\"",
            ]
        );
    }
}
