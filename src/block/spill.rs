//! Files for what does not fit into memory.

use std::fmt;
use std::io::{self, Error, ErrorKind, Read, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::disk::{AppendFile, DirLock, Disk, EntryKind, ReadFile};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::lock;

/// What the directories of all processes begin with.
const PREFIX: &str = "millstream-spill-";

/// Directories that are tried: another process may take one for left over before it is
/// locked.
const TRIES: usize = 4;

/// Bytes that are written at a time.
const PIECE: usize = 256 << 10;

/// Spill files, and the bound on them (`spill_max_bytes`).
///
/// They are in a directory of their own in `spill_dir`, which is made when it is needed
/// first, for its owner only, and locked as long as the process runs. It goes with the
/// store. What a process that died has left is removed by the next one that spills.
/// Nothing is synced, as nobody reads these files after a crash.
pub(crate) struct SpillStore {
    disk: Arc<dyn Disk>,
    parent: PathBuf,
    bound: u64,
    /// Bytes in files. The count guards no memory, so all of it is relaxed.
    used: AtomicU64,
    /// Files made so far, for their names.
    files: AtomicU64,
    own: Mutex<Option<Own>>,
}

/// The directory of a store.
struct Own {
    dir: PathBuf,
    _lock: DirLock,
}

impl SpillStore {
    pub(crate) fn new(disk: Arc<dyn Disk>, parent: PathBuf, bound: u64) -> Arc<Self> {
        Arc::new(Self {
            disk,
            parent,
            bound,
            used: AtomicU64::new(0),
            files: AtomicU64::new(0),
            own: Mutex::default(),
        })
    }

    /// Where its directory is.
    pub(crate) fn parent(&self) -> &Path {
        &self.parent
    }

    /// Bytes in files.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Makes the directory, unless it is there, and removes those that are left over.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn open(&self) -> io::Result<()> {
        self.directory().map(|_| ())
    }

    fn directory(&self) -> io::Result<PathBuf> {
        let mut own = self.own();
        if let Some(own) = &*own {
            return Ok(own.dir.clone());
        }
        self.remove_left_over();
        let mut tries = 0;
        loop {
            tries += 1;
            match self.make_own() {
                Err(_) if tries < TRIES => {}
                made => {
                    let dir = made?;
                    let path = dir.dir.clone();
                    *own = Some(dir);
                    return Ok(path);
                }
            }
        }
    }

    fn make_own(&self) -> io::Result<Own> {
        let unique = ahash::RandomState::new().hash_one(std::process::id());
        let dir = self.parent.join(format!("{PREFIX}{unique:016x}"));
        self.disk.create_dir(&dir)?;
        let lock = self.disk.lock(&dir)?;
        Ok(Own { dir, _lock: lock })
    }

    /// Removes what processes have left that died. What is not ours, or cannot be
    /// removed, stays.
    fn remove_left_over(&self) {
        let entries = self.disk.list(&self.parent).unwrap_or_default();
        for entry in entries {
            let name = entry.name.to_string_lossy();
            if entry.kind != EntryKind::Directory || !name.starts_with(PREFIX) {
                continue;
            }
            let dir = self.parent.join(&entry.name);
            if let Ok(_lock) = self.disk.lock(&dir) {
                let removed = self.remove_all(&dir);
                tracing::info!(?dir, ?removed, "spill files of a process that died");
            }
        }
    }

    fn remove_all(&self, dir: &Path) -> io::Result<()> {
        for entry in self.disk.list(dir)? {
            self.disk.remove(&dir.join(entry.name))?;
        }
        self.disk.remove_dir(dir)
    }

    /// Begins a file.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn create(self: &Arc<Self>) -> io::Result<SpillWriter> {
        let dir = self.directory()?;
        let (path, file) = match self.create_in(&dir) {
            // Somebody tidies temporary files up. What others were there is lost.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.forget(&dir);
                self.create_in(&self.directory()?)?
            }
            created => created?,
        };
        Ok(SpillWriter {
            file,
            spilled: SpillFile {
                store: Arc::clone(self),
                path,
                len: 0,
            },
            buffer: Vec::new(),
        })
    }

    fn create_in(&self, dir: &Path) -> io::Result<(PathBuf, Box<dyn AppendFile>)> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("{number}.spill"));
        let file = self.disk.create(&path)?;
        Ok((path, file))
    }

    /// A directory is gone, unless there is another one already.
    fn forget(&self, dir: &Path) {
        self.own().take_if(|own| own.dir == dir);
    }

    fn take(&self, bytes: u64) -> io::Result<()> {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.bound {
            return Ok(());
        }
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        let what = format!("spill_max_bytes ({}) is reached", self.bound);
        Err(Error::new(ErrorKind::QuotaExceeded, what))
    }

    fn own(&self) -> MutexGuard<'_, Option<Own>> {
        lock(&self.own)
    }
}

impl Drop for SpillStore {
    fn drop(&mut self) {
        let own = self.own().take();
        if let Some(own) = own
            && let Err(error) = self.remove_all(&own.dir)
        {
            tracing::warn!(dir = ?own.dir, %error, "the spill directory cannot be removed");
        }
    }
}

/// A spill file that is being written. Dropped before it is finished, it goes away, and
/// so it does after an error.
#[derive(Debug)]
pub(crate) struct SpillWriter {
    // Closed before the file is removed.
    file: Box<dyn AppendFile>,
    spilled: SpillFile,
    buffer: Vec<u8>,
}

impl SpillWriter {
    /// How many bytes were written.
    pub(crate) fn position(&self) -> u64 {
        self.spilled.len + self.buffer.len() as u64
    }

    /// Ends the file.
    ///
    /// # Errors
    /// As of a write.
    pub(crate) fn finish(mut self) -> io::Result<SpillFile> {
        self.flush()?;
        Ok(self.spilled)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.spilled.store.take(bytes.len() as u64)?;
        self.spilled.len += bytes.len() as u64;
        self.file.append(bytes)
    }
}

impl Write for SpillWriter {
    /// Fails with the kind `QuotaExceeded` if there would be more in files than may be.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > PIECE {
            self.flush()?;
        }
        if bytes.len() > PIECE {
            self.append(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.append(&buffer)?;
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }
}

/// A file of a store, which goes away with this.
pub(crate) struct SpillFile {
    store: Arc<SpillStore>,
    path: PathBuf,
    len: u64,
}

impl SpillFile {
    /// Its length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it to be read.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn open(&self) -> io::Result<Box<dyn ReadFile>> {
        self.store.disk.open(&self.path)
    }

    /// Reads a part of it. What fails is tried once more: nobody else has these bytes.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn read(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let read = || {
            let mut file = self.open()?;
            file.seek(SeekFrom::Start(at))?;
            let mut bytes = vec![0; len];
            file.read_exact(&mut bytes)?;
            Ok(bytes)
        };
        read().or_else(|_: Error| read())
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        match self.store.disk.remove(&self.path) {
            // It still takes its room. With its directory it may go after all.
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(file = ?self.path, %error, "a spill file cannot be removed");
            }
            // Or somebody has tidied it up.
            _ => {
                self.store.used.fetch_sub(self.len, Ordering::Relaxed);
            }
        }
    }
}

impl fmt::Debug for SpillFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpillFile")
            .field("path", &self.path)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SpillStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpillStore")
            .field("parent", &self.parent)
            .field("bound", &self.bound)
            .field("used", &self.used())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(loom, miri))))]
mod tests {
    use super::*;
    use crate::disk::LocalDisk;
    use crate::disk::sim::{Fault, SimDisk};

    fn on(disk: &SimDisk, bound: u64) -> Arc<SpillStore> {
        SpillStore::new(Arc::new(disk.clone()), "/".into(), bound)
    }

    fn file(store: &Arc<SpillStore>, bytes: &[u8]) -> io::Result<SpillFile> {
        let mut writer = store.create()?;
        writer.write_all(bytes)?;
        writer.finish()
    }

    fn names(disk: &dyn Disk, dir: &Path) -> Vec<String> {
        let entries = disk.list(dir).expect("it is there").into_iter();
        entries
            .map(|entry| entry.name.into_string().expect("names are text"))
            .collect()
    }

    #[test]
    fn files_go_with_their_handles_and_the_directory_with_the_store() {
        let disk = SimDisk::new();
        let store = on(&disk, u64::MAX);
        assert_eq!(
            names(&disk, Path::new("/")),
            [""; 0],
            "nothing before it is needed"
        );
        let long: Vec<u8> = (0..=255).cycle().take(3 * PIECE).collect();
        let (short, long) = (
            file(&store, b"short").unwrap(),
            file(&store, &long).unwrap(),
        );
        assert_eq!(store.used(), 5 + 3 * PIECE as u64);
        assert_eq!(short.read(1, 3).unwrap(), b"hor");
        assert_eq!(long.read(2 * PIECE as u64 + 1, 2).unwrap(), [1, 2]);
        assert!(short.read(0, 6).is_err());
        drop(long);
        assert_eq!(store.used(), 5);
        // What is written bit by bit is not gathered.
        let mut writer = store.create().unwrap();
        for _ in 0..3 {
            writer.write_all(&[0; PIECE / 2]).unwrap();
        }
        assert_eq!(store.used(), 5 + PIECE as u64);
        drop(writer);
        drop(store);
        assert_eq!(names(&disk, Path::new("/")).len(), 1, "a file holds it");
        drop(short);
        assert_eq!(names(&disk, Path::new("/")), [""; 0]);
    }

    #[test]
    fn no_more_is_written_than_may_be() {
        let disk = SimDisk::new();
        let store = on(&disk, 10);
        let first = file(&store, b"123456").unwrap();
        let error = file(&store, b"12345").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
        assert_eq!(error.to_string(), "spill_max_bytes (10) is reached");
        assert_eq!(
            (store.used(), disk.used_bytes()),
            (6, 6),
            "nothing is left of it"
        );
        let second = file(&store, b"1234").unwrap();
        drop(first);
        assert_eq!(file(&store, b"123456").unwrap().len(), 6);
        drop(second);
    }

    #[test]
    fn whatever_fails_leaves_nothing_behind_and_the_next_file_is_whole() {
        for fault in [Fault::Io, Fault::Full, Fault::Short] {
            for call in 0..12 {
                let disk = SimDisk::new();
                let store = on(&disk, u64::MAX);
                disk.fail(call..=call, fault);
                let first = file(&store, b"first");
                let second = file(&store, b"second");
                assert!(first.is_ok() || second.is_ok(), "{fault:?} at {call}");
                // A directory that cannot be had is not the only one.
                assert!(first.is_ok() || call > 1, "{fault:?} at {call}");
                for (file, bytes) in [(&first, &b"first"[..]), (&second, b"second")] {
                    if let Ok(file) = file {
                        // A read that fails is tried again.
                        assert_eq!(file.read(0, bytes.len()).unwrap(), bytes);
                    }
                }
            }
        }
    }

    #[test]
    fn a_directory_that_is_gone_is_made_anew() {
        let disk = SimDisk::new();
        let store = on(&disk, u64::MAX);
        let first = file(&store, b"first").unwrap();
        disk.remove(first.path()).unwrap();
        disk.remove_dir(first.path().parent().unwrap()).unwrap();
        assert!(first.read(0, 5).is_err());
        let second = file(&store, b"second").unwrap();
        assert_eq!(second.read(0, 6).unwrap(), b"second");
        // Who finds out late lets go of no other one.
        store.forget(first.path().parent().unwrap());
        assert_eq!(store.directory().unwrap(), second.path().parent().unwrap());
        assert_eq!(store.used(), 11);
        drop(first);
        assert_eq!(store.used(), 6, "it takes no room");
        drop((store, second));
        assert_eq!(names(&disk, Path::new("/")), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn what_a_process_left_that_died_is_removed_and_nothing_else() {
        use std::fs;
        use std::os::unix::fs::PermissionsExt;

        let parent = format!("millstream-spill-test-{}", std::process::id());
        let parent = std::env::temp_dir().join(parent);
        let new = || SpillStore::new(Arc::new(LocalDisk), parent.clone(), u64::MAX);
        fs::create_dir(&parent).unwrap();
        let dead = parent.join(format!("{PREFIX}0123456789abcdef"));
        fs::create_dir(&dead).unwrap();
        for name in ["LOCK", "0.spill"] {
            fs::write(dead.join(name), "4194304999").unwrap();
        }
        fs::create_dir(parent.join("another")).unwrap();
        let (living, another) = (new(), new());
        let files = [file(&living, b"1").unwrap(), file(&another, b"2").unwrap()];
        assert_eq!(names(&LocalDisk, &parent).len(), 3);
        assert!(!dead.exists() && parent.join("another").exists());
        for file in &files {
            assert_eq!(file.read(0, 1).unwrap().len(), 1);
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(file.path()), 0o600);
            assert_eq!(mode(file.path().parent().unwrap()), 0o700);
        }
        drop((files, living, another));
        assert_eq!(names(&LocalDisk, &parent), ["another"]);
        fs::remove_dir_all(&parent).unwrap();
        assert!(new().open().is_err());
    }
}
