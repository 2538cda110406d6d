//! What stands in for code that the checkers cannot look into.

use std::collections::VecDeque;
use std::fmt;

use super::Mutex;

/// The part of `crossbeam_queue::ArrayQueue` that we use.
///
/// Its lock orders more than the real queue does (also `len` and `is_full`), so
/// the models do not show what would go wrong for want of that.
pub(crate) struct ArrayQueue<T> {
    waiting: Mutex<VecDeque<T>>,
    capacity: usize,
}

impl<T> ArrayQueue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a queue holds at least one element");
        Self {
            waiting: Mutex::new(VecDeque::new()),
            capacity,
        }
    }

    fn with<R>(&self, body: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        body(
            &mut self
                .waiting
                .lock()
                .expect("a model that panicked has failed already"),
        )
    }

    pub(crate) fn push(&self, element: T) -> Result<(), T> {
        self.with(|waiting| {
            if waiting.len() == self.capacity {
                return Err(element);
            }
            waiting.push_back(element);
            Ok(())
        })
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.with(VecDeque::pop_front)
    }

    pub(crate) fn len(&self) -> usize {
        self.with(|waiting| waiting.len())
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() == self.capacity
    }
}

impl<T> fmt::Debug for ArrayQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrayQueue")
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
