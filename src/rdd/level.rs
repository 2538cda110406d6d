//! Storage levels.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// Where the records of a persisted batch or data set are kept.
///
/// Guide: Caching / Persistence. The constants have the names of Spark. There is
/// one machine, so a level with two replicas keeps one copy. *Serialised* levels
/// keep the bytes of the records, which mostly takes less room, and more time at
/// each read; the others keep the records as they are. `OFF_HEAP` is
/// `MEMORY_AND_DISK_SER`: there is no heap to be off.
///
/// # Examples
/// ```
/// use millstream::StorageLevel;
///
/// let level: StorageLevel = "MEMORY_AND_DISK_SER_2".parse()?;
/// assert_eq!(level, StorageLevel::MEMORY_AND_DISK_SER);
/// # Ok::<(), millstream::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StorageLevel {
    memory: bool,
    disk: bool,
    serialized: bool,
}

impl StorageLevel {
    const fn new(memory: bool, disk: bool, serialized: bool) -> Self {
        Self {
            memory,
            disk,
            serialized,
        }
    }

    /// Nothing is kept.
    pub const NONE: Self = Self::new(false, false, false);
    /// In files only.
    pub const DISK_ONLY: Self = Self::new(false, true, true);
    /// As `DISK_ONLY`.
    pub const DISK_ONLY_2: Self = Self::DISK_ONLY;
    /// In memory; what does not fit is computed again.
    pub const MEMORY_ONLY: Self = Self::new(true, false, false);
    /// As `MEMORY_ONLY`.
    pub const MEMORY_ONLY_2: Self = Self::MEMORY_ONLY;
    /// In memory, as bytes; what does not fit is computed again.
    pub const MEMORY_ONLY_SER: Self = Self::new(true, false, true);
    /// As `MEMORY_ONLY_SER`.
    pub const MEMORY_ONLY_SER_2: Self = Self::MEMORY_ONLY_SER;
    /// In memory; what does not fit goes to files.
    pub const MEMORY_AND_DISK: Self = Self::new(true, true, false);
    /// As `MEMORY_AND_DISK`.
    pub const MEMORY_AND_DISK_2: Self = Self::MEMORY_AND_DISK;
    /// In memory, as bytes; what does not fit goes to files.
    pub const MEMORY_AND_DISK_SER: Self = Self::new(true, true, true);
    /// As `MEMORY_AND_DISK_SER`.
    pub const MEMORY_AND_DISK_SER_2: Self = Self::MEMORY_AND_DISK_SER;
    /// As `MEMORY_AND_DISK_SER`.
    pub const OFF_HEAP: Self = Self::MEMORY_AND_DISK_SER;

    /// Whether memory is used.
    #[doc(alias = "useMemory")]
    #[must_use]
    pub fn uses_memory(self) -> bool {
        self.memory
    }

    /// Whether files are used.
    #[doc(alias = "useDisk")]
    #[must_use]
    pub fn uses_disk(self) -> bool {
        self.disk
    }

    /// Whether records are kept as bytes.
    #[must_use]
    pub fn is_serialized(self) -> bool {
        self.serialized
    }
}

/// All names; the first of a level is the one that is shown.
const NAMES: [(&str, StorageLevel); 12] = [
    ("NONE", StorageLevel::NONE),
    ("DISK_ONLY", StorageLevel::DISK_ONLY),
    ("DISK_ONLY_2", StorageLevel::DISK_ONLY_2),
    ("MEMORY_ONLY", StorageLevel::MEMORY_ONLY),
    ("MEMORY_ONLY_2", StorageLevel::MEMORY_ONLY_2),
    ("MEMORY_ONLY_SER", StorageLevel::MEMORY_ONLY_SER),
    ("MEMORY_ONLY_SER_2", StorageLevel::MEMORY_ONLY_SER_2),
    ("MEMORY_AND_DISK", StorageLevel::MEMORY_AND_DISK),
    ("MEMORY_AND_DISK_2", StorageLevel::MEMORY_AND_DISK_2),
    ("MEMORY_AND_DISK_SER", StorageLevel::MEMORY_AND_DISK_SER),
    ("MEMORY_AND_DISK_SER_2", StorageLevel::MEMORY_AND_DISK_SER_2),
    ("OFF_HEAP", StorageLevel::OFF_HEAP),
];

impl fmt::Display for StorageLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, level)| level == self);
        f.write_str(name.map_or("NONE", |(name, _)| name))
    }
}

impl fmt::Debug for StorageLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StorageLevel {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let level = NAMES.iter().find(|(name, _)| *name == text);
        level.map(|&(_, level)| level).ok_or_else(|| {
            let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            Error::invalid_argument(format!(
                "there is no storage level {text:?}; there are {}",
                names.join(", ")
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for (name, level) in NAMES {
            assert_eq!(name.parse::<StorageLevel>().unwrap(), level);
            assert_eq!(level.to_string().parse::<StorageLevel>().unwrap(), level);
        }
        assert_eq!(StorageLevel::MEMORY_ONLY_2.to_string(), "MEMORY_ONLY");
        let error = "MEMORY".parse::<StorageLevel>().unwrap_err().to_string();
        assert!(
            error.contains("no storage level \"MEMORY\"; there are NONE, DISK_ONLY"),
            "{error}"
        );
    }
}
