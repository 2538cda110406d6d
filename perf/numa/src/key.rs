//! Keys that look where the tables are that hold them.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::check::Places;
use crate::system;

/// How many different ones there are.
const KEYS: usize = 20_000;

/// Entries of the tables that workers count in, against the nodes of these workers.
pub(crate) static TABLES: Places = Places::new();

/// Records that are still to be counted. After the last one all comparisons are those of the
/// shuffle, which brings together what is on different nodes.
static COMING: AtomicUsize = AtomicUsize::new(0);

/// The key of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key(usize);

impl Key {
    pub(crate) fn of(number: usize) -> Self {
        Self(number % KEYS)
    }

    /// As many records are counted next.
    pub(crate) fn expect(records: usize) {
        COMING.store(records, Ordering::SeqCst);
    }

    /// One of these records.
    pub(crate) fn count(number: usize) -> (Self, u64) {
        COMING.fetch_sub(1, Ordering::SeqCst);
        (Self::of(number), 1)
    }
}

impl PartialEq for Key {
    /// A table compares the key that it holds with another one.
    fn eq(&self, other: &Self) -> bool {
        if COMING.load(Ordering::SeqCst) > 0 {
            TABLES.note_page(system::node_of_thread, self);
        }
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// The counts of all keys, in their order, when `numbers` were counted.
pub(crate) fn counts(numbers: impl Iterator<Item = usize>) -> Vec<u64> {
    let mut counts = vec![0; KEYS];
    for number in numbers {
        counts[Key::of(number).0] += 1;
    }
    counts
}

/// The same of what came out of a stream; none if a key comes twice.
pub(crate) fn in_order(found: Vec<(Key, u64)>) -> Option<Vec<u64>> {
    let mut counts = vec![0; KEYS];
    for (Key(key), count) in found {
        let before = std::mem::replace(counts.get_mut(key)?, count);
        if before != 0 {
            return None;
        }
    }
    Some(counts)
}
