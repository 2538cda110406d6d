//! The contexts of this process that are running.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::{Inner, StreamingContext};
use crate::error::{Error, Result};
use crate::sync::lock;

static ACTIVE: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

/// The running contexts; locks out starts and stops while it is held.
fn active() -> MutexGuard<'static, Vec<Weak<Inner>>> {
    let mut active = lock(&ACTIVE);
    active.retain(|context| context.strong_count() > 0);
    active
}

/// Enters a context that is about to start.
pub(super) fn enter(context: &Arc<Inner>) -> Result<()> {
    let mut active = active();
    if context.conf.one_active_context
        && let Some(other) = active.iter().find_map(Weak::upgrade)
    {
        let site = other.site();
        // Unlocked first: this may be the other context's last handle.
        drop(active);
        return Err(Error::illegal_state(format!(
            "only one context may be active (one_active_context is on); another one was started \
             at {}:{}",
            site.file(),
            site.line()
        )));
    }
    active.push(Arc::downgrade(context));
    Ok(())
}

/// Removes a context that stopped.
pub(super) fn leave(context: &Inner) {
    active().retain(|other| !std::ptr::eq(other.as_ptr(), context));
}

impl StreamingContext {
    /// A context that is running in this process, the one started last.
    #[doc(alias = "getActive")]
    #[must_use]
    pub fn active() -> Option<Self> {
        let newest = active().iter().rev().find_map(Weak::upgrade);
        newest.map(|inner| Self { inner })
    }

    /// The running context, or else what `make` makes (which is not started).
    ///
    /// # Errors
    /// Those of `make`.
    #[doc(alias = "getActiveOrCreate")]
    pub fn active_or_create(make: impl FnOnce() -> Result<Self>) -> Result<Self> {
        Self::active().map_or_else(make, Ok)
    }
}
