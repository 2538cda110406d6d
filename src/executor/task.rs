//! What a thread knows while it runs a task.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is running a task now.
pub(crate) fn in_task() -> bool {
    INSIDE.get()
}

/// Marks this thread as running a task until it is dropped.
pub(super) struct Inside;

impl Inside {
    pub(super) fn enter() -> Self {
        INSIDE.set(true);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(false);
    }
}

/// Real time spent, to decide whether to wake the workers; no result depends
/// on it.
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "measures the machine, not stream time"
    )]
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
