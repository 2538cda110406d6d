//! What is used again, on the node where its memory is.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

use super::pool::node;
use crate::sync::lock;

/// Something that a thread has taken, to be given back when it is not needed any more.
pub(crate) struct Spare<T> {
    home: Option<usize>,
    value: T,
}

impl<T> Spare<T> {
    /// The node of the thread that took it, as an index into the pools; none if it makes no
    /// difference.
    pub(crate) fn home(&self) -> Option<usize> {
        self.home
    }
}

/// Something that comes from elsewhere.
impl<T> From<T> for Spare<T> {
    fn from(value: T) -> Self {
        Self { home: None, value }
    }
}

impl<T> Deref for Spare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Spare<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// Tables and the like that are not in use. A worker gets what workers of its node had
/// before: memory stays on the node whose thread wrote to it first.
pub(crate) struct Spares<T>(Mutex<Vec<Spare<T>>>);

impl<T> Spares<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Takes one for the calling thread; `new` makes one if there is none.
    pub(crate) fn take(&self, new: impl FnOnce() -> T) -> Spare<T> {
        let home = node();
        let mut spares = lock(&self.0);
        let at = spares.iter().rposition(|spare| spare.home == home);
        let spare = at.map(|at| spares.swap_remove(at));
        drop(spares);
        spare.unwrap_or_else(|| Spare { home, value: new() })
    }

    /// Takes one back, from any thread.
    pub(crate) fn put(&self, spare: Spare<T>) {
        lock(&self.0).push(spare);
    }

    /// Calls `each` with all that are there.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&mut T)) {
        for spare in &mut *lock(&self.0) {
            each(&mut spare.value);
        }
    }

    /// Lets go of all that are there.
    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }
}

impl<T> Default for Spares<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Spares<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Spares").field(&lock(&self.0).len()).finish()
    }
}
