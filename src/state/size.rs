//! How much is kept by key, and the bound on it.

use std::iter::Sum;

use crate::error::{Error, ErrorKind, Result};

/// How much an operation keeps by key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StateSize {
    pub(crate) keys: u64,
    /// Bytes of its tables and lists, whether they are in use or room for more, and of
    /// the text of keys that are strings. What else keys and values point to is not
    /// known.
    pub(crate) bytes: u64,
}

impl Sum for StateSize {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self::default(), |sum, size| Self {
            keys: sum.keys + size.keys,
            bytes: sum.bytes + size.bytes,
        })
    }
}

/// The most bytes that an operation may keep, if there is a bound.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StateBound(pub(crate) Option<u64>);

impl StateBound {
    /// Whether a step may stay that took the state from `before` to `after`. One that
    /// makes it no larger may, so that there is a way back below a bound that was
    /// lowered.
    ///
    /// # Errors
    /// If it may not.
    pub(crate) fn check(self, before: StateSize, after: StateSize) -> Result<()> {
        match self.0 {
            Some(most) if after.bytes > most.max(before.bytes) => {
                let StateSize { keys, bytes } = after;
                let what =
                    format!("{keys} keys would take {bytes} bytes, and state_max_bytes is {most}");
                Err(Error::new(ErrorKind::Limit, what))
            }
            _ => Ok(()),
        }
    }
}

/// Bytes that a list has memory for.
pub(super) fn room<T>(capacity: usize) -> u64 {
    (capacity * size_of::<T>()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: u64) -> StateSize {
        StateSize { keys: 3, bytes }
    }

    #[test]
    fn only_what_grows_beyond_the_bound_is_refused() {
        let bound = StateBound(Some(100));
        assert!(bound.check(of(0), of(100)).is_ok());
        assert!(bound.check(of(300), of(300)).is_ok());
        assert!(bound.check(of(300), of(200)).is_ok());
        assert!(StateBound(None).check(of(0), of(u64::MAX)).is_ok());
        assert_eq!(
            bound.check(of(100), of(101)).unwrap_err().to_string(),
            "limit exceeded: 3 keys would take 101 bytes, and state_max_bytes is 100"
        );
    }
}
