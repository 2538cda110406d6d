//! Where `await_termination` waits: for the stop, or for the first error.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::sync::engine::{Condvar, Mutex, MutexGuard, lock};
use crate::sync::unpoisoned;

/// The end of a context, and the first error on the way.
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    error: Option<Error>,
}

impl Waiter {
    /// Keeps the first error; it stays for every later wait.
    pub(crate) fn report(&self, error: Error) {
        self.lock().error.get_or_insert(error);
        self.changed.notify_all();
    }

    pub(crate) fn stopped(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Waits for the stop or an error, at most for `limit`; `true` if stopped.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> Result<bool> {
        let waiting = |state: &mut State| !state.stopped && state.error.is_none();
        let state = match limit {
            None => unpoisoned(self.changed.wait_while(self.lock(), waiting)),
            Some(limit) => {
                unpoisoned(self.changed.wait_timeout_while(self.lock(), limit, waiting)).0
            }
        };
        match &state.error {
            Some(error) => Err(error.clone()),
            None => Ok(state.stopped),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
