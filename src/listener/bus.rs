//! The thread that calls the listeners.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::{BatchInfo, ReceiverInfo, StreamingListener};

/// Events that may wait for a slow listener.
const QUEUE: usize = 10_000;

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Event {
    BatchSubmitted(BatchInfo),
    BatchStarted(BatchInfo),
    BatchCompleted(BatchInfo),
    ReceiverStarted(ReceiverInfo),
    ReceiverError(ReceiverInfo),
    ReceiverStopped(ReceiverInfo),
}

/// Queues events for the listeners of one context.
#[derive(Default)]
pub(crate) struct Bus {
    state: Mutex<State>,
    wake: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    listeners: Vec<Arc<dyn StreamingListener>>,
    events: VecDeque<Event>,
    closed: bool,
}

impl Bus {
    pub(crate) fn add(&self, listener: Arc<dyn StreamingListener>) {
        self.lock().listeners.push(listener);
    }

    /// Queues an event, or drops it if the listeners lag too far behind.
    /// Makes the event only if anybody listens.
    pub(crate) fn post(&self, event: impl FnOnce() -> Event) {
        let mut state = self.lock();
        if state.listeners.is_empty() || state.closed {
            return;
        }
        if state.events.len() >= QUEUE {
            // Relaxed: a counter that nothing else depends on.
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.events.push_back(event());
        drop(state);
        self.wake.notify_one();
    }

    /// Events that no listener was told of.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Calls the listeners until the bus is closed and empty.
    pub(crate) fn run(&self) {
        loop {
            let mut state = self.lock();
            let (event, listeners) = loop {
                if let Some(event) = state.events.pop_front() {
                    break (event, state.listeners.clone());
                }
                if state.closed {
                    return;
                }
                state = self
                    .wake
                    .wait(state)
                    .unwrap_or_else(|poison| poison.into_inner());
            };
            drop(state);
            for listener in &listeners {
                if catch_unwind(AssertUnwindSafe(|| tell(&**listener, &event))).is_err() {
                    tracing::error!(?event, "a listener panicked");
                }
            }
        }
    }

    /// Lets [`run`](Self::run) return once all queued events were told.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }
}

fn tell(listener: &dyn StreamingListener, event: &Event) {
    match event {
        Event::BatchSubmitted(batch) => listener.on_batch_submitted(batch),
        Event::BatchStarted(batch) => listener.on_batch_started(batch),
        Event::BatchCompleted(batch) => listener.on_batch_completed(batch),
        Event::ReceiverStarted(receiver) => listener.on_receiver_started(receiver),
        Event::ReceiverError(receiver) => listener.on_receiver_error(receiver),
        Event::ReceiverStopped(receiver) => listener.on_receiver_stopped(receiver),
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}
