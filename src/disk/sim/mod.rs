//! A simulated disk, for tests: what it holds after a crash, and operations that fail.
//!
//! [`SimDisk`] keeps files in memory and writes down each change. [`SimDisk::crash`]
//! then gives the disk as the next process would find it: after any number of the
//! changes, with those lost that were not durable, in any way that a real disk could
//! lose them. [`SimDisk::fail`] makes operations fail, by their number.
//!
//! # Examples
//! A name is there after a crash only once its directory was synced:
//! ```
//! use std::path::Path;
//!
//! use millstream::disk::Disk;
//! use millstream::disk::sim::{SimDisk, Survives};
//!
//! # fn main() -> std::io::Result<()> {
//! let disk = SimDisk::new();
//! let mut file = disk.create(Path::new("/file"))?;
//! file.append(b"bytes")?;
//! file.sync()?;
//! let nameless = disk.operations();
//! disk.sync_dir(Path::new("/"))?;
//! assert!(disk.crash(nameless, Survives::Durable).open(Path::new("/file")).is_err());
//! let crashed = disk.crash(disk.operations(), Survives::Durable);
//! assert_eq!(crashed.open(Path::new("/file"))?.size()?, 5);
//! # Ok(())
//! # }
//! ```

mod contents;
mod crash;
pub(crate) mod random;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::io::{Cursor, Error, ErrorKind, IoSlice, Read, Result, Seek, SeekFrom};
use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{AppendFile, DirLock, Disk, Entry, ReadFile};
use crate::sync::engine::step;
use crate::sync::lock;
use contents::{Contents, FileId};
pub use crash::Survives;

/// A disk in memory. Cloning gives another handle to the same one.
///
/// All paths begin with `/`, which is there from the start.
#[derive(Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// All of it durable.
    at_start: Contents,
    now: Contents,
    changes: Vec<Change>,
    calls: u64,
    faults: Vec<((Bound<u64>, Bound<u64>), Fault)>,
    locked: BTreeSet<PathBuf>,
}

thread_local! {
    static IN_USE: RefCell<Option<SimDisk>> = const { RefCell::new(None) };
}

/// Contexts that `make` makes, and starts, on this thread have their checkpoints and
/// logs on this disk.
pub fn with_disk<R>(disk: &SimDisk, make: impl FnOnce() -> R) -> R {
    struct Before(Option<SimDisk>);

    impl Drop for Before {
        fn drop(&mut self) {
            IN_USE.set(self.0.take());
        }
    }

    let _before = Before(IN_USE.replace(Some(disk.clone())));
    make()
}

/// The disk of [`with_disk`].
pub(super) fn in_use() -> Option<SimDisk> {
    IN_USE.with_borrow(Clone::clone)
}

/// What an operation did.
#[derive(Clone)]
enum Change {
    Create(PathBuf, FileId),
    CreateDir(PathBuf),
    Append(FileId, Vec<u8>),
    Rename(PathBuf, PathBuf, FileId),
    RenameDir(PathBuf, PathBuf),
    Remove(PathBuf),
    RemoveDir(PathBuf),
    Sync(FileId),
    SyncDir(PathBuf),
    /// A sync that failed: what it was to make durable will never be for certain.
    SyncFailed(FileId),
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The device does not answer. Any operation fails, and nothing is done.
    Io,
    /// There is no room. What needs some fails, and nothing is done.
    Full,
    /// As `Full`, but half of what is appended finds room.
    Short,
}

impl Fault {
    fn error(self) -> Error {
        match self {
            Self::Io => Error::other("simulated input/output error"),
            Self::Full | Self::Short => ErrorKind::StorageFull.into(),
        }
    }
}

/// Which faults matter to an operation.
#[derive(PartialEq, Eq)]
enum Needs {
    Nothing,
    Room,
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn starting_with(contents: Contents, changes: &[Change]) -> Self {
        let mut state = State {
            at_start: contents.clone(),
            now: contents,
            ..State::default()
        };
        changes
            .iter()
            .for_each(|change| state.change(change.clone()));
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// How many changes were made: what [`crash`](Self::crash) counts. Syncs are among
    /// them, also those that failed.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.state().changes.len()
    }

    /// How many operations were asked for, reads and those that failed among them:
    /// what [`fail`](Self::fail) counts.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Lets operations fail, those with these numbers; the first one of all is 0.
    pub fn fail(&self, calls: impl RangeBounds<u64>, fault: Fault) {
        let calls = (calls.start_bound().cloned(), calls.end_bound().cloned());
        self.state().faults.push((calls, fault));
    }

    /// Lets no further operation fail.
    pub fn mend(&self) {
        self.state().faults.clear();
    }

    /// The disk as the next process finds it, if this one, or the machine, crashes
    /// after so many changes. If it is only the process, what was not durable still is
    /// not, and the changes are counted on.
    ///
    /// # Panics
    /// If there were not so many.
    #[must_use]
    pub fn crash(&self, operations: usize, survives: Survives) -> Self {
        let state = self.state();
        let changes = &state.changes[..operations];
        let at_start = state.at_start.clone();
        match survives {
            Survives::Written => Self::starting_with(at_start, changes),
            _ => Self::starting_with(crash::image(at_start, changes, survives), &[]),
        }
    }

    /// The bytes of all files together.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.state().now.used_bytes()
    }

    /// Changes the bytes of a file behind everybody's back, and durably.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut state = self.state();
        let file = state.now.file(path)?;
        let mut bytes = state.now.bytes(file).to_vec();
        change(&mut bytes);
        state.now.replace(file, bytes);
        // What was before can not come back.
        state.at_start = state.now.clone();
        state.changes.clear();
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        step();
        lock(&self.state)
    }
}

impl State {
    /// Counts a call; the fault that it meets, if it does.
    fn call(&mut self, needs: &Needs) -> Option<Fault> {
        let call = self.calls;
        self.calls += 1;
        let fault = self
            .faults
            .iter()
            .find(|(calls, _)| calls.contains(&call))?
            .1;
        (fault == Fault::Io || *needs == Needs::Room).then_some(fault)
    }

    fn admit(&mut self, needs: &Needs) -> Result<()> {
        self.call(needs).map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn change(&mut self, change: Change) {
        self.now.apply(&change);
        self.changes.push(change);
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> Result<Box<dyn AppendFile>> {
        let mut state = self.state();
        state.admit(&Needs::Room)?;
        state.now.check_vacant(path)?;
        let file = state.now.next_file();
        state.change(Change::Create(path.to_owned(), file));
        Ok(Box::new(Appending {
            disk: self.clone(),
            file,
        }))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn ReadFile>> {
        let mut state = self.state();
        state.admit(&Needs::Nothing)?;
        let file = state.now.file(path)?;
        Ok(Box::new(Reading {
            disk: self.clone(),
            bytes: Cursor::new(state.now.bytes(file).into()),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.state();
        state.admit(&Needs::Nothing)?;
        let file = state.now.file(from)?;
        state.now.check_parent(to)?;
        state.change(Change::Rename(from.to_owned(), to.to_owned(), file));
        Ok(())
    }

    fn rename_dir(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.state();
        state.admit(&Needs::Nothing)?;
        state.now.check_dir(from)?;
        match state.now.check_vacant(to) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => state.now.check_empty(to)?,
            vacant => vacant?,
        }
        state.change(Change::RenameDir(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let mut state = self.state();
        state.admit(&Needs::Nothing)?;
        state.now.file(path)?;
        state.change(Change::Remove(path.to_owned()));
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        let mut state = self.state();
        state.admit(&Needs::Nothing)?;
        state.now.check_empty(dir)?;
        state.change(Change::RemoveDir(dir.to_owned()));
        Ok(())
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        let mut state = self.state();
        state.admit(&Needs::Nothing)?;
        state.now.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let mut state = self.state();
        // Unlike the bytes of a file, names are not given up when this fails.
        state.admit(&Needs::Nothing)?;
        state.now.list(dir)?;
        state.change(Change::SyncDir(dir.to_owned()));
        Ok(())
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        let mut state = self.state();
        state.admit(&Needs::Room)?;
        if state.now.is_dir(dir) {
            return Ok(());
        }
        if state.now.file(dir).is_ok() {
            return Err(ErrorKind::NotADirectory.into());
        }
        state.now.check_vacant(dir)?;
        state.change(Change::CreateDir(dir.to_owned()));
        Ok(())
    }

    fn lock(&self, dir: &Path) -> Result<DirLock> {
        let mut state = self.state();
        state.now.list(dir)?;
        if !state.locked.insert(dir.to_owned()) {
            let what = "the directory is in use by this process";
            return Err(Error::new(ErrorKind::ResourceBusy, what));
        }
        Ok(DirLock::new(Locked {
            disk: self.clone(),
            dir: dir.to_owned(),
        }))
    }
}

struct Locked {
    disk: SimDisk,
    dir: PathBuf,
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.disk.state().locked.remove(&self.dir);
    }
}

#[derive(Debug)]
struct Appending {
    disk: SimDisk,
    file: FileId,
}

impl AppendFile for Appending {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.append_vectored(&mut [IoSlice::new(bytes)])
    }

    /// Each part is a change of its own: a crash may spare any of them.
    fn append_vectored(&mut self, parts: &mut [IoSlice<'_>]) -> Result<()> {
        let mut state = self.disk.state();
        let fault = state.call(&Needs::Room);
        let bytes = parts.iter().map(|part| part.len()).sum::<usize>();
        let mut room = match fault {
            None => bytes,
            Some(Fault::Short) => bytes / 2,
            Some(_) => 0,
        };
        for part in parts {
            let bytes = &part[..part.len().min(room)];
            if !bytes.is_empty() {
                state.change(Change::Append(self.file, bytes.to_vec()));
                room -= bytes.len();
            }
        }
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn sync(&mut self) -> Result<()> {
        let mut state = self.disk.state();
        // Room is found only now by some file systems.
        match state.call(&Needs::Room) {
            None => {
                state.change(Change::Sync(self.file));
                Ok(())
            }
            Some(fault) => {
                state.change(Change::SyncFailed(self.file));
                Err(fault.error())
            }
        }
    }
}

#[derive(Debug)]
struct Reading {
    disk: SimDisk,
    bytes: Cursor<Arc<[u8]>>,
}

impl Read for Reading {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        self.disk.state().admit(&Needs::Nothing)?;
        let at = usize::try_from(self.bytes.position()).unwrap_or(usize::MAX);
        let mut rest = self.bytes.get_ref().get(at..).unwrap_or_default();
        let read = rest.read(into)?;
        self.bytes.set_position((at + read) as u64);
        Ok(read)
    }
}

impl Seek for Reading {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let len = self.bytes.get_ref().len() as u64;
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => len.checked_add_signed(by),
            SeekFrom::Current(by) => self.bytes.position().checked_add_signed(by),
        };
        let to = to.ok_or(ErrorKind::InvalidInput)?;
        self.bytes.set_position(to);
        Ok(to)
    }
}

impl ReadFile for Reading {
    fn size(&self) -> Result<u64> {
        Ok(self.bytes.get_ref().len() as u64)
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("SimDisk")
            .field("now", &state.now)
            .field("changes", &state.changes)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(path, file) => write!(f, "create {} as {file:?}", path.display()),
            Self::CreateDir(path) => write!(f, "create directory {}", path.display()),
            Self::Append(file, bytes) => write!(f, "append {} bytes to {file:?}", bytes.len()),
            Self::Rename(from, to, _) => {
                write!(f, "rename {} to {}", from.display(), to.display())
            }
            Self::RenameDir(from, to) => {
                write!(f, "rename directory {} to {}", from.display(), to.display())
            }
            Self::Remove(path) => write!(f, "remove {}", path.display()),
            Self::RemoveDir(dir) => write!(f, "remove directory {}", dir.display()),
            Self::Sync(file) => write!(f, "sync {file:?}"),
            Self::SyncDir(dir) => write!(f, "sync directory {}", dir.display()),
            Self::SyncFailed(file) => write!(f, "failed to sync {file:?}"),
        }
    }
}
