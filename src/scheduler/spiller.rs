//! Makes room in memory for what is received: batches that wait go to files.
//!
//! A thread of its own, as neither cuts nor jobs are to wait for the disk. Whenever
//! something was cut it looks at each receiver's ring. If more than half of that is in
//! use, it writes batches that were not begun to files, those first that will be needed
//! last, until no more than half is in use or none is left. Whatever fails is told and
//! tried again later; meanwhile receivers wait when their rings are full, as without it.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::JobScheduler;
use crate::block::SpillStore;
use crate::cpu::thread::{self, Thread};
use crate::dstream::Graph;
use crate::error::{Error, Result};
use crate::listener::{Bus, Event, SpillInfo};
use crate::sync::{lock, unpoisoned};
use crate::time::{Clock, Deadline, Duration};

/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// The way to the thread.
#[derive(Debug, Default)]
pub(super) struct Bell {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Something was cut since the thread last looked.
    is_rung: bool,
    is_closed: bool,
}

impl Bell {
    /// Something was cut.
    pub(super) fn ring(&self) {
        self.lock().is_rung = true;
        self.changed.notify_all();
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Waits for a ring; says whether there was one, and no close.
    fn wait(&self) -> bool {
        let mut state = unpoisoned(
            self.changed
                .wait_while(self.lock(), |state| !state.is_rung && !state.is_closed),
        );
        state.is_rung = false;
        !state.is_closed
    }

    fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Handle to the thread.
#[derive(Debug)]
pub(crate) struct Spiller {
    bell: Arc<Bell>,
    thread: Thread,
}

impl Spiller {
    /// Starts the thread.
    ///
    /// # Errors
    /// If it cannot be started, or there can be no spill files.
    pub(crate) fn start(
        graph: Arc<Graph>,
        jobs: Arc<JobScheduler>,
        clock: Arc<dyn Clock>,
        bus: Arc<Bus>,
    ) -> Result<Self> {
        let store = Arc::clone(graph.executor().memory().spill());
        store.open().map_err(|cause| {
            let what = format!("there can be no spill files in {:?}", store.parent());
            Error::io(what, cause)
        })?;
        for input in graph.inputs().iter().filter(|input| input.lacks_codec()) {
            tracing::warn!(
                input = input.name(),
                "it is not known how its records are written, so they are not spilled: \
                 DStream::checkpoint tells it"
            );
        }
        let bell = Arc::<Bell>::default();
        let work = Work {
            graph,
            jobs,
            clock,
            bus,
            store,
            bell: Arc::clone(&bell),
        };
        let thread = thread::spawn("spill", &[], move || {
            let mut paused_until = i64::MIN;
            while work.bell.wait() {
                if work.clock.now_nanos() >= paused_until && !work.make_room() {
                    paused_until = work.clock.now_nanos() + PAUSE.as_nanos() as i64;
                }
            }
        });
        let thread =
            thread.map_err(|cause| Error::io("the thread that spills cannot be started", cause))?;
        Ok(Self { bell, thread })
    }

    pub(super) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    /// Tells the thread to end.
    pub(crate) fn end(&self) {
        self.bell.close();
    }

    /// Waits for its end until the deadline; says whether it came.
    #[must_use]
    pub(crate) fn join(self, deadline: Deadline) -> bool {
        self.thread.join(deadline.rest())
    }
}

/// What the thread works with.
struct Work {
    graph: Arc<Graph>,
    jobs: Arc<JobScheduler>,
    clock: Arc<dyn Clock>,
    bus: Arc<Bus>,
    store: Arc<SpillStore>,
    bell: Arc<Bell>,
}

impl Work {
    /// Spills what has to be; says whether nothing failed. What fails for one input, whose
    /// records cannot be written perhaps, is in no other one's way.
    fn make_room(&self) -> bool {
        let mut has_failed = false;
        for input in &*self.graph.inputs() {
            while let Some((begun, last)) = self.jobs.waiting() {
                if self.bell.is_closed() {
                    return !has_failed;
                }
                let start = self.clock.now_nanos();
                let Some(spilled) = input.spill(&self.store, begun, last) else {
                    break;
                };
                let took = self.clock.now_nanos().abs_diff(start);
                let duration = Duration::from_nanos(took);
                let info = SpillInfo::new(input.name(), spilled.time, duration, spilled.bytes);
                if let Some(error) = &info.error {
                    tracing::warn!(input = info.name, batch = %info.batch_time, %error,
                        "records that wait stay in memory");
                }
                let is_refused = info.error.is_some();
                if is_refused || info.bytes > 0 {
                    self.bus.post(|| Event::Spilled(info));
                }
                if is_refused {
                    has_failed = true;
                    break;
                }
            }
        }
        !has_failed
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
