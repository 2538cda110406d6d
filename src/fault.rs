//! Kill points: places in the code at which a test can end the process.
//!
//! `kill_point!("wal.append.before_sync")` does nothing, and is nothing unless the
//! feature `fault-inject` is on. Then a process that was started with
//! `KILL_POINT=wal.append.before_sync:3` aborts where it comes by for the third time,
//! without any tidying up, as if it had been killed.

/// A place at which a test can end the process; its name is one of `KILL_POINTS`.
#[cfg(feature = "fault-inject")]
macro_rules! kill_point {
    ($name:literal) => {{
        const { assert!($crate::fault::is_listed($name), "not in KILL_POINTS") };
        $crate::fault::reached($name);
    }};
}

#[cfg(not(feature = "fault-inject"))]
macro_rules! kill_point {
    ($name:literal) => {};
}

pub(crate) use kill_point;

#[cfg(feature = "fault-inject")]
pub use enabled::{KILL_POINTS, hits};
#[cfg(feature = "fault-inject")]
pub(crate) use enabled::{is_listed, reached};

#[cfg(feature = "fault-inject")]
mod enabled {
    use std::collections::BTreeSet;
    use std::sync::{Mutex, OnceLock, PoisonError};

    /// All kill points.
    pub const KILL_POINTS: &[&str] = &[
        "wal.roll.created",
        "wal.roll.header_written",
        "wal.roll.header_synced",
        "wal.roll.directory_synced",
        "wal.append.before_write",
        "wal.append.written",
        "wal.sync.before",
        "wal.sync.done",
        "wal.rewrite.synced",
        "wal.rewrite.renamed",
        "wal.rewrite.directory_synced",
        "wal.remove.before",
        "wal.remove.done",
        "receiver.block.logged",
        "receiver.block.stored",
        "receiver.batch.logged",
        "save.begun",
        "save.written",
        "save.synced",
        "save.moved_away",
        "save.renamed",
        "save.directory_synced",
        "checkpoint.created",
        "checkpoint.written",
        "checkpoint.synced",
        "checkpoint.renamed",
        "checkpoint.directory_synced",
        "checkpoint.removed",
    ];

    static HITS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

    /// The kill points that this process has come by.
    #[must_use]
    pub fn hits() -> Vec<&'static str> {
        let hits = HITS.lock().unwrap_or_else(PoisonError::into_inner);
        hits.iter().copied().collect()
    }

    pub(crate) const fn is_listed(name: &str) -> bool {
        let mut at = 0;
        while at < KILL_POINTS.len() {
            if is_same(KILL_POINTS[at].as_bytes(), name.as_bytes()) {
                return true;
            }
            at += 1;
        }
        false
    }

    const fn is_same(a: &[u8], b: &[u8]) -> bool {
        let mut at = 0;
        while at < a.len() && at < b.len() && a[at] == b[at] {
            at += 1;
        }
        at == a.len() && at == b.len()
    }

    /// What the environment asks for: where, and how many times it may pass.
    struct Order {
        point: String,
        left: Mutex<u64>,
    }

    impl Order {
        fn get() -> Option<&'static Self> {
            static ORDER: OnceLock<Option<Order>> = OnceLock::new();
            let read = || {
                let order = std::env::var("KILL_POINT").ok()?;
                let (point, times) = order.split_once(':').unwrap_or((&order, "1"));
                Some(Self {
                    point: point.to_owned(),
                    left: Mutex::new(times.parse().expect("KILL_POINT=name or name:times")),
                })
            };
            ORDER.get_or_init(read).as_ref()
        }
    }

    pub(crate) fn reached(name: &'static str) {
        let mut hits = HITS.lock().unwrap_or_else(PoisonError::into_inner);
        hits.insert(name);
        drop(hits);
        let Some(order) = Order::get().filter(|order| order.point == name) else {
            return;
        };
        let mut left = order.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left -= 1;
        if *left == 0 {
            std::process::abort();
        }
    }
}
