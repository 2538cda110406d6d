//! Files that have to be there after a crash.
//!
//! Write-ahead logs, checkpoints and saved batches do all their input and output through
//! one small trait, [`Disk`], so that a test can stand between them and the files.
//! [`LocalDisk`] is the file system.
#![cfg_attr(
    any(test, feature = "fault-inject"),
    doc = "[`sim`] simulates one, with its crashes and faults."
)]
//!
//! # Words
//!
//! * **Written**: in the file, as far as this process and all others can see. A crash of
//!   the process does not undo that.
//! * **Durable**: it is there after a crash of the machine, too. Bytes of a file are
//!   durable after [`AppendFile::sync`]; that a name stands in a directory, or no
//!   longer does, is durable after [`Disk::sync_dir`] of that directory. What is
//!   written and not durable may be lost, in whole or in part, and what was written
//!   later may be there without it.
//!
//! # What every disk does
//!
//! * A file is written once, from its start to its end, by the one who made it. After a
//!   restart it is read, renamed or removed, never written again.
//! * Files and directories can be used by their owner only, and a symbolic link is not
//!   followed where the name of a file is given. (What is saved for others to read is
//!   theirs by the rules of the system, as files of other programs are.)
//! * A call that a signal interrupts goes on by itself.
//! * Checksums are up to the caller, and find accidents only: who can write to the
//!   directory can put in anything.

mod attempts;
mod content;
mod local;
mod shared;
#[cfg(any(test, feature = "fault-inject"))]
pub mod sim;

pub(crate) use attempts::attempt;
pub(crate) use content::{Content, SharedBytes};
pub use local::LocalDisk;
pub(crate) use shared::SharedDisk;

use std::any::Any;
use std::ffi::OsString;
use std::fmt::{self, Debug};
use std::io::{ErrorKind, IoSlice, Read, Result, Seek};
use std::path::Path;
use std::sync::Arc;

/// The disk of contexts that are made on this thread.
#[cfg(not(any(test, feature = "fault-inject")))]
pub(crate) fn of_contexts() -> Arc<dyn Disk> {
    Arc::new(LocalDisk)
}

/// As a test has it.
#[cfg(any(test, feature = "fault-inject"))]
pub(crate) fn of_contexts() -> Arc<dyn Disk> {
    match sim::in_use() {
        Some(disk) => Arc::new(disk),
        None => Arc::new(LocalDisk),
    }
}

/// Where durable files are: what a write-ahead log, checkpoints and saved batches need of a
/// file system, and no more.
///
/// Errors are those of the operating system, without the name of the file: the
/// caller adds it. None is of the kind `Interrupted`.
///
/// # Examples
/// A file that appears whole or not at all:
/// ```
/// use std::path::Path;
///
/// use millstream::disk::{Disk, LocalDisk};
///
/// fn publish(disk: &dyn Disk, dir: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
///     let temporary = dir.join(format!("{name}.tmp"));
///     let mut file = disk.create(&temporary)?;
///     file.append(bytes)?;
///     file.sync()?;
///     disk.rename(&temporary, &dir.join(name))?;
///     disk.sync_dir(dir)
/// }
///
/// # fn main() -> std::io::Result<()> {
/// let dir = std::env::temp_dir().join(format!("millstream-disk-{}", std::process::id()));
/// LocalDisk.create_dir(&dir)?;
/// publish(&LocalDisk, &dir, "greeting", b"hello")?;
/// let mut text = String::new();
/// LocalDisk.open(&dir.join("greeting"))?.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # std::fs::remove_dir_all(&dir)
/// # }
/// ```
pub trait Disk: Debug + Send + Sync {
    /// Makes a new file and opens it for appending.
    ///
    /// # Errors
    /// Also if there is anything of that name.
    fn create(&self, path: &Path) -> Result<Box<dyn AppendFile>>;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// Also if it is no regular file.
    fn open(&self, path: &Path) -> Result<Box<dyn ReadFile>>;

    /// Gives a file another name; what had that name is gone. Whoever looks finds the
    /// one or the other at any time.
    ///
    /// # Errors
    /// Then the names are as they were.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Gives a directory another name, with all that is in it. Whoever looks finds all of
    /// it under the one name or the other at any time.
    ///
    /// # Errors
    /// Also if anything but an empty directory has that name. Then the names are as they
    /// were.
    fn rename_dir(&self, from: &Path, to: &Path) -> Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Also if there is none.
    fn remove(&self, path: &Path) -> Result<()>;

    /// Removes a directory.
    ///
    /// # Errors
    /// Also if there is none, or there is anything in it.
    fn remove_dir(&self, dir: &Path) -> Result<()>;

    /// What is in a directory, in the order of the names.
    ///
    /// # Errors
    /// Those of the system.
    fn list(&self, dir: &Path) -> Result<Vec<Entry>>;

    /// Makes durable which names stand in a directory.
    ///
    /// # Errors
    /// Then nothing is known about the names that were not durable before.
    fn sync_dir(&self, dir: &Path) -> Result<()>;

    /// Makes a directory in one that exists; one that is there already will do.
    ///
    /// # Errors
    /// Also if something else has that name, be it a symbolic link to a directory. Who
    /// wants to accept a link resolves it first.
    fn create_dir(&self, dir: &Path) -> Result<()>;

    /// Takes a directory for this process, until the lock is dropped or the process
    /// ends, however it does.
    ///
    /// # Errors
    /// Of the kind `ResourceBusy`, with the number of the process that has it, if
    /// somebody has.
    fn lock(&self, dir: &Path) -> Result<DirLock>;
}

/// A new file that is being written.
pub trait AppendFile: Debug + Send {
    /// Writes all the bytes at the end of the file.
    ///
    /// # Errors
    /// Then any part of the bytes may be in the file, and the file is of no more use.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;

    /// Writes the bytes of all parts at the end of the file, one behind the other. Does
    /// with `parts` what it likes. Default: appends one part at a time.
    ///
    /// # Errors
    /// As those of [`append`](Self::append).
    fn append_vectored(&mut self, parts: &mut [IoSlice<'_>]) -> Result<()> {
        parts.iter().try_for_each(|part| self.append(part))
    }

    /// Begins to make durable what was written, and does not wait for it: `sync` will have
    /// less to do. Default: does nothing.
    ///
    /// # Errors
    /// As those of [`sync`](Self::sync).
    fn begin_sync(&mut self) -> Result<()> {
        Ok(())
    }

    /// Makes durable what was written.
    ///
    /// # Errors
    /// Then nothing is known about what was not durable before, and it is no use to try
    /// again: the system may have given up the bytes, and says so only once.
    fn sync(&mut self) -> Result<()>;
}

/// A file that is being read.
pub trait ReadFile: Debug + Read + Seek + Send {
    /// Its length in bytes.
    ///
    /// # Errors
    /// Those of the system.
    fn size(&self) -> Result<u64>;
}

/// What stands in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Entry {
    /// Its name there.
    pub name: OsString,
    /// What it is.
    pub kind: EntryKind,
}

impl Entry {
    /// An entry.
    #[must_use]
    pub fn new(name: impl Into<OsString>, kind: EntryKind) -> Self {
        let name = name.into();
        Self { name, kind }
    }

    /// The name, if it is a regular file whose name is text.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        (self.kind == EntryKind::File)
            .then(|| self.name.to_str())
            .flatten()
    }
}

/// What an [`Entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Anything else, such as a symbolic link.
    Other,
}

/// A directory that this process has for itself, until this is dropped.
#[must_use = "the directory is free again when this is dropped"]
pub struct DirLock {
    _held: Box<dyn Any + Send + Sync>,
}

impl DirLock {
    /// A lock whose dropping drops `held`.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        let held = Box::new(held);
        Self { _held: held }
    }
}

impl Debug for DirLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirLock").finish_non_exhaustive()
    }
}

/// Makes a directory, and those above it that are missing, durably. `dir` is an
/// absolute path.
pub(crate) fn create_all(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let Some(parent) = dir.parent() else {
        return Ok(());
    };
    match disk.create_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            create_all(disk, parent)?;
            disk.create_dir(dir)?;
        }
        made => made?,
    }
    match disk.sync_dir(parent) {
        // In what is not ours, others made it.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}
