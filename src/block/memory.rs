//! The bound on data that is kept beyond its batch.

use std::fmt;
use std::path::PathBuf;

use crate::sync::atomic::{AtomicU64, Ordering};

/// Bytes of processed batches that windows and the program still hold, and the
/// bound on them (`memory_max`).
///
/// A ring bounds what it received and what is not processed yet. What a window
/// keeps is counted here instead, so that a long window does not eat up the
/// room that a receiver needs. Beyond the bound it stays in the ring's count, and
/// the receiver waits until the window moves on.
///
/// What is persisted may go to files in the spill directory instead.
pub(crate) struct Memory {
    bound: u64,
    #[cfg_attr(
        not(any(feature = "checkpoint", test)),
        expect(dead_code, reason = "only records that have bytes go to files")
    )]
    spill: PathBuf,
    /// Files made so far, for their names.
    #[cfg_attr(
        not(any(feature = "checkpoint", test)),
        expect(dead_code, reason = "only records that have bytes go to files")
    )]
    files: AtomicU64,
    /// The count guards no other memory, so all of it is relaxed.
    used: AtomicU64,
}

impl Memory {
    pub(crate) fn new(bound: u64, spill: PathBuf) -> Self {
        Self {
            bound,
            spill,
            files: AtomicU64::new(0),
            used: AtomicU64::new(0),
        }
    }

    /// Bytes that are counted now.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether nothing more fits.
    pub(crate) fn is_full(&self) -> bool {
        self.used() >= self.bound
    }

    /// Counts bytes, if they fit.
    pub(crate) fn try_take(&self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.bound;
        if !fits {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }

    /// Gives back what was taken.
    pub(crate) fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
}

#[cfg(any(feature = "checkpoint", test))]
impl Memory {
    /// Where files are made.
    #[cfg(feature = "checkpoint")]
    pub(crate) fn spill_directory(&self) -> &std::path::Path {
        &self.spill
    }

    /// A new file for reading and writing, which only this process can open. On Unix
    /// it has no name, so it is gone when it is closed, however the process ends.
    pub(crate) fn spill_file(&self) -> std::io::Result<std::fs::File> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let unique = ahash::RandomState::new().hash_one(number);
        let path = self.spill.join(format!("millstream-{unique:016x}.spill"));
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        #[cfg(unix)]
        std::fs::remove_file(&path)?;
        Ok(file)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("bound", &self.bound)
            .field("used", &self.used())
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_not_counted() {
        let memory = Memory::new(10, PathBuf::new());
        assert!(memory.try_take(7));
        assert!(!memory.try_take(4));
        assert_eq!(memory.used(), 7);
        assert!(memory.try_take(3));
        memory.give(7);
        assert_eq!(memory.used(), 3);
    }

    #[cfg(all(unix, not(miri)))]
    #[test]
    fn a_spill_file_leaves_nothing_behind() {
        use std::io::{Read, Seek, Write};

        let name = format!("millstream-memory-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        let memory = Memory::new(0, directory.clone());
        let mut file = memory.spill_file().unwrap();
        file.write_all(b"records").unwrap();
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "records");
        // Not even now is there a name.
        std::fs::remove_dir(&directory).unwrap();
        assert!(memory.spill_file().is_err());
    }
}
