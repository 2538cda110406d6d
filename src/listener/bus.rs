//! The thread that calls the listeners.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{
    BatchInfo, CheckpointInfo, ReceiverInfo, RecoveryInfo, SkippedBatchInfo, SpillInfo,
    StreamingListener, StuckBatchInfo,
};
use crate::sync::engine::{Condvar, Mutex, MutexGuard, lock};
use crate::sync::unpoisoned;

/// Events that may wait for a slow listener.
const QUEUE: usize = 10_000;

/// Panics in a row after which a listener is told nothing more.
const PANICS: u32 = 10;

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Event {
    BatchSubmitted(BatchInfo),
    BatchStarted(BatchInfo),
    BatchCompleted(BatchInfo),
    BatchStuck(StuckBatchInfo),
    #[cfg_attr(
        not(feature = "checkpoint"),
        expect(dead_code, reason = "without it none is written")
    )]
    Checkpoint(CheckpointInfo),
    #[cfg_attr(
        not(feature = "checkpoint"),
        expect(dead_code, reason = "without it there is nothing to recover from")
    )]
    Recovered(RecoveryInfo),
    BatchSkipped(SkippedBatchInfo),
    Spilled(SpillInfo),
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
    listeners: Vec<Arc<Listener>>,
    events: VecDeque<Event>,
    closed: bool,
    /// The listener that is being told something.
    telling: Option<Arc<Listener>>,
}

struct Listener {
    /// The name of its type.
    name: &'static str,
    listener: Box<dyn StreamingListener>,
    /// How often it panicked since it last returned; only the thread that tells
    /// it counts.
    panics: AtomicU32,
}

impl Bus {
    /// Adds a listener, with the name of its type.
    pub(crate) fn add(&self, name: &'static str, listener: Box<dyn StreamingListener>) {
        self.lock().listeners.push(Arc::new(Listener {
            name,
            listener,
            panics: AtomicU32::new(0),
        }));
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
                state = unpoisoned(self.wake.wait(state));
            };
            drop(state);
            for listener in &listeners {
                self.lock().telling = Some(Arc::clone(listener));
                self.tell(listener, &event);
            }
            self.lock().telling = None;
        }
    }

    fn tell(&self, listener: &Arc<Listener>, event: &Event) {
        let told = catch_unwind(AssertUnwindSafe(|| tell(&*listener.listener, event)));
        // Relaxed: one thread's own count.
        if told.is_ok() {
            listener.panics.store(0, Ordering::Relaxed);
            return;
        }
        let name = listener.name;
        let panics = 1 + listener.panics.fetch_add(1, Ordering::Relaxed);
        tracing::error!(listener = name, ?event, "a listener panicked");
        if panics == PANICS {
            tracing::error!(
                listener = name,
                "the listener panicked {PANICS} times in a row: it is told nothing more"
            );
            let others = |other: &Arc<Listener>| !Arc::ptr_eq(other, listener);
            self.lock().listeners.retain(others);
        }
    }

    /// What [`run`](Self::run) is busy with, in words.
    pub(crate) fn busy(&self) -> Option<String> {
        let state = self.lock();
        let listener = state.telling.as_ref()?.name;
        let waiting = state.events.len();
        Some(format!("the listener {listener} ({waiting} events wait)"))
    }

    /// Lets [`run`](Self::run) return once all queued events were told.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn tell(listener: &dyn StreamingListener, event: &Event) {
    match event {
        Event::BatchSubmitted(batch) => listener.on_batch_submitted(batch),
        Event::BatchStarted(batch) => listener.on_batch_started(batch),
        Event::BatchCompleted(batch) => listener.on_batch_completed(batch),
        Event::BatchStuck(stuck) => listener.on_batch_stuck(stuck),
        Event::Checkpoint(checkpoint) => listener.on_checkpoint(checkpoint),
        Event::Recovered(recovery) => listener.on_recovered(recovery),
        Event::BatchSkipped(skipped) => listener.on_batch_skipped(skipped),
        Event::Spilled(spill) => listener.on_spill(spill),
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
