//! The file system, for files that others read.

use std::fs::{self, File};
use std::io::{ErrorKind, Result};
use std::path::Path;

use super::local::{LocalFile, made_or_there, retry};
use super::{AppendFile, DirLock, Disk, Entry, LocalDisk, ReadFile};

/// As [`LocalDisk`], but who may read what is made is up to the system's rules, and a
/// link to a directory will do where one is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedDisk;

impl Disk for SharedDisk {
    fn create(&self, path: &Path) -> Result<Box<dyn AppendFile>> {
        let file = retry(|| File::options().write(true).create_new(true).open(path))?;
        Ok(Box::new(LocalFile(file)))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn ReadFile>> {
        LocalDisk.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        LocalDisk.rename(from, to)
    }

    fn rename_dir(&self, from: &Path, to: &Path) -> Result<()> {
        LocalDisk.rename_dir(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        LocalDisk.remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        LocalDisk.remove_dir(dir)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        LocalDisk.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        match LocalDisk.sync_dir(dir) {
            // Some file systems, above all remote ones, have no such call.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::InvalidInput | ErrorKind::Unsupported
                ) =>
            {
                Ok(())
            }
            synced => synced,
        }
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        made_or_there(retry(|| fs::create_dir(dir)), || fs::metadata(dir))
    }

    fn lock(&self, dir: &Path) -> Result<DirLock> {
        LocalDisk.lock(dir)
    }
}
