//! A simulated disk that calls the test.

use std::fmt;
use std::io::{IoSlice, Result};

use super::*;
use crate::disk::{AppendFile, DirLock, ReadFile};

type Hook = Arc<dyn Fn() + Send + Sync>;

/// Calls what it is given before it makes or syncs a file, or to begin a sync.
#[derive(Clone)]
pub(super) struct HookedDisk {
    pub(super) disk: SimDisk,
    pub(super) create: Hook,
    pub(super) begin: Arc<dyn Fn() -> Result<()> + Send + Sync>,
    pub(super) sync: Hook,
}

impl Default for HookedDisk {
    fn default() -> Self {
        Self {
            disk: SimDisk::new(),
            create: Arc::new(|| ()),
            begin: Arc::new(|| Ok(())),
            sync: Arc::new(|| ()),
        }
    }
}

impl fmt::Debug for HookedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disk.fmt(f)
    }
}

struct HookedFile {
    file: Box<dyn AppendFile>,
    disk: HookedDisk,
}

impl AppendFile for HookedFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.append(bytes)
    }

    fn append_vectored(&mut self, parts: &mut [IoSlice<'_>]) -> Result<()> {
        self.file.append_vectored(parts)
    }

    fn begin_sync(&mut self) -> Result<()> {
        (self.disk.begin)()
    }

    fn sync(&mut self) -> Result<()> {
        (self.disk.sync)();
        self.file.sync()
    }
}

impl fmt::Debug for HookedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

impl Disk for HookedDisk {
    fn create(&self, path: &Path) -> Result<Box<dyn AppendFile>> {
        (self.create)();
        Ok(Box::new(HookedFile {
            file: self.disk.create(path)?,
            disk: self.clone(),
        }))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn ReadFile>> {
        self.disk.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.disk.rename(from, to)
    }

    fn rename_dir(&self, from: &Path, to: &Path) -> Result<()> {
        self.disk.rename_dir(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.disk.remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        self.disk.remove_dir(dir)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        self.disk.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.disk.sync_dir(dir)
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        self.disk.create_dir(dir)
    }

    fn lock(&self, dir: &Path) -> Result<DirLock> {
        self.disk.lock(dir)
    }
}
