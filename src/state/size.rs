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

/// Whether a partition of a window that has so many entries can take a pane in. Entries have
/// numbers of 32 bits, which have to tell them apart.
///
/// # Errors
/// If it cannot.
pub(super) fn check_entries(there: usize, entering: Option<usize>) -> Result<()> {
    let all = there as u64 + entering.unwrap_or_default() as u64;
    if all <= u64::from(u32::MAX) {
        return Ok(());
    }
    let what = format!(
        "a partition of a window can have less than 2^32 entries, and one would have up to {all}: \
         more partitions have fewer each"
    );
    Err(Error::new(ErrorKind::Limit, what))
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
    fn entries_have_numbers_that_tell_them_apart() {
        let most = u32::MAX as usize;
        assert!(check_entries(0, Some(most)).is_ok());
        assert!(check_entries(most, Some(0)).is_ok());
        assert!(check_entries(most - 7, Some(7)).is_ok());
        for (there, entering) in [(most, 1), (1, most)] {
            assert_eq!(
                check_entries(there, Some(entering))
                    .unwrap_err()
                    .to_string(),
                "limit exceeded: a partition of a window can have less than 2^32 entries, and \
                 one would have up to 4294967296: more partitions have fewer each"
            );
        }
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
