//! One rayon pool per NUMA node.

use std::cell::Cell;
use std::hint;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::cpu::placement::WorkerSlot;
use crate::cpu::thread::pin_current;
use crate::error::{Error, ErrorKind, Result};

/// How often the calling thread looks whether the workers are ready before it sleeps: some
/// 20 microseconds.
const SPINS: usize = 1000;

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
/// worker, and waits.
pub(super) fn run_on_all(pools: &[NodePool], active: usize, body: &(impl Fn(usize) + Sync)) {
    if let [first, rest @ ..] = pools
        && first.first < active
    {
        first.pool.in_place_scope(|scope| {
            scope.spawn_broadcast(|_, context| {
                // A pool can only call all of its workers.
                let worker = first.first + context.index();
                if worker < active {
                    body(worker);
                }
            });
            run_on_all(rest, active, body);
        });
    }
}

/// Calls `body` with 0 on the calling thread, and with `1..=helpers` on workers, as they
/// wake up, and waits.
pub(super) fn run_beside(pools: &[NodePool], helpers: usize, body: &(impl Fn(usize) + Sync)) {
    let at_work = AtomicUsize::new(helpers);
    start_beside(pools, helpers, &at_work, body);
}

fn start_beside(
    pools: &[NodePool],
    helpers: usize,
    at_work: &AtomicUsize,
    body: &(impl Fn(usize) + Sync),
) {
    let Some((last, before)) = pools.split_last() else {
        body(0);
        // To sleep and be woken costs more than most of them still need.
        for _ in 0..SPINS {
            if at_work.load(Ordering::Relaxed) == 0 {
                break;
            }
            hint::spin_loop();
        }
        return;
    };
    let here = helpers.saturating_sub(last.first);
    last.pool.in_place_scope(|scope| {
        for helper in 0..here {
            scope.spawn(move |_| {
                body(last.first + helper + 1);
                at_work.fetch_sub(1, Ordering::Relaxed);
            });
        }
        start_beside(before, helpers - here, at_work, body);
    });
}
