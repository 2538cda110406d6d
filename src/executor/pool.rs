//! One rayon pool per NUMA node.

use std::cell::Cell;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::cpu::placement::WorkerSlot;
use crate::cpu::thread::pin_current;
use crate::error::{Error, ErrorKind, Result};

thread_local! {
    static NODE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The node that the calling worker stays on, as an index into the pools; none if it makes
/// no difference, or the thread is no worker.
pub(super) fn node() -> Option<usize> {
    NODE.get()
}

/// The workers of one NUMA node.
#[derive(Debug)]
pub(super) struct NodePool {
    pool: ThreadPool,
    /// What [`node`] tells its workers.
    node: Option<usize>,
    /// The number of this pool's first worker among all.
    first: usize,
}

impl NodePool {
    /// Starts its workers, who are told their `node`.
    pub(super) fn start(node: Option<usize>, first: usize, slots: &[WorkerSlot]) -> Result<Self> {
        let cpus: Vec<_> = slots.iter().map(|slot| slot.cpu).collect();
        let pool = ThreadPoolBuilder::new()
            .num_threads(slots.len())
            .thread_name(move |i| format!("ms-worker-{}", first + i))
            .start_handler(move |i| {
                NODE.set(node);
                if let Some(cpu) = cpus[i]
                    && !pin_current(&[cpu])
                {
                    tracing::warn!(worker = first + i, cpu, "a worker could not be pinned");
                }
            })
            // Without a handler rayon aborts the process.
            .panic_handler(|_| tracing::error!("a panic outside of any task"))
            .build()
            .map_err(|cause| {
                let what = format!("{} worker threads could not be started", slots.len());
                Error::new(ErrorKind::Io, what).with_source(cause)
            })?;
        Ok(Self { pool, node, first })
    }

    /// Whether its workers know their node.
    pub(super) fn is_home(&self) -> bool {
        self.node.is_some()
    }

    /// How many of its workers are among the first `active` of all.
    pub(super) fn active(&self, active: usize) -> usize {
        let behind = active.saturating_sub(self.first);
        behind.min(self.pool.current_num_threads())
    }
}

/// Calls `body` with the number of each of the first `active` workers, on that
/// worker, and `beside` on the calling thread, and waits.
pub(super) fn run_on_all(
    pools: &[NodePool],
    active: usize,
    body: &(impl Fn(usize) + Sync),
    beside: impl FnOnce(),
) {
    match pools {
        [first, rest @ ..] if first.first < active => first.pool.in_place_scope(|scope| {
            scope.spawn_broadcast(|_, context| {
                // A pool can only call all of its workers.
                let worker = first.first + context.index();
                if worker < active {
                    body(worker);
                }
            });
            run_on_all(rest, active, body, beside);
        }),
        _ => beside(),
    }
}
