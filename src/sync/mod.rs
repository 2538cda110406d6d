//! The one place that names atomics and locks; loom's under `cfg(loom)`.
pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{AtomicUsize, Ordering, fence};
}
