//! Locks behind which everything can be used whatever happened.

use std::sync::{LockResult, Mutex, MutexGuard, PoisonError};

/// What a lock or a wait gives, also behind a holder that panicked: what is there is as it
/// was, or will be put right by who takes it.
pub(crate) fn unpoisoned<G>(locked: LockResult<G>) -> G {
    locked.unwrap_or_else(PoisonError::into_inner)
}

/// Takes a lock, [whatever](unpoisoned) its last holder did.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}
