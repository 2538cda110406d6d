//! A directory of files that appears whole or not at all.
//!
//! It is written beside the place where it will be, under a hidden name, and gets its own
//! name when all of it is durable. One that was there before is moved aside first. So who
//! looks only at the name finds all files or none, after any crash.
//!
//! | step | after a crash |
//! | --- | --- |
//! | make `.name.saving`, write and sync the files | `.name.saving` is left |
//! | sync `.name.saving` | the same, and it is whole |
//! | move an old `name` to `.name.replaced` | both are left, and whole |
//! | give the new one its name, sync the directory above | `name` is there; the old one is left |
//! | remove `.name.replaced` | a part of it is left |
//!
//! What is left is removed when the same directory is written again, and by
//! [`clean`], which also moves an old one back that has no successor.

use std::ffi::{OsStr, OsString};
use std::io::{Error, ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

use crate::disk::{AppendFile, Disk, EntryKind, create_all};
use crate::fault::kill_point;
use crate::rdd::op::save_as_file::{MARKER, part_number};

const NEW: &str = ".saving";
const OLD: &str = ".replaced";

/// A directory that is being written. Dropped before it is published, it goes away.
pub(crate) struct NewDirectory<'d> {
    disk: &'d dyn Disk,
    parent: PathBuf,
    path: PathBuf,
    new: PathBuf,
    old: PathBuf,
    is_published: bool,
}

impl<'d> NewDirectory<'d> {
    /// Begins a directory at `path`, and makes those above it that are missing.
    pub(crate) fn begin(disk: &'d dyn Disk, path: &Path) -> Result<Self> {
        let path = std::path::absolute(path)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            let what = "it is no name in a directory";
            return Err(Error::new(ErrorKind::InvalidInput, what));
        };
        create_all(disk, parent)?;
        let directory = Self {
            disk,
            new: parent.join(hidden(name, NEW)),
            old: parent.join(hidden(name, OLD)),
            parent: parent.to_owned(),
            path,
            is_published: false,
        };
        remove_all(disk, &directory.new)?;
        disk.create_dir(&directory.new)?;
        kill_point!("save.begun");
        Ok(directory)
    }

    /// Makes a file in it, which its writer syncs. One that a failed attempt left is
    /// replaced.
    pub(crate) fn create(&self, name: &str) -> Result<Box<dyn AppendFile>> {
        let path = self.new.join(name);
        match self.disk.create(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.disk.remove(&path)?;
                self.disk.create(&path)
            }
            created => created,
        }
    }

    /// Gives it its name, durably. All its files were synced.
    pub(crate) fn publish(mut self) -> Result<()> {
        kill_point!("save.written");
        self.disk.sync_dir(&self.new)?;
        kill_point!("save.synced");
        match self.disk.rename_dir(&self.new, &self.path) {
            Err(error) if is_in_the_way(&error) => self.replace()?,
            renamed => renamed?,
        }
        self.is_published = true;
        kill_point!("save.renamed");
        self.disk.sync_dir(&self.parent)?;
        kill_point!("save.directory_synced");
        remove_all(self.disk, &self.old)
    }

    fn replace(&self) -> Result<()> {
        for entry in self.disk.list(&self.path)? {
            // Somebody else's files must not go with ours.
            if !entry
                .file_name()
                .is_some_and(|name| name == MARKER || part_number(name).is_some())
            {
                let what = format!("it has {:?}, which was not saved there", entry.name);
                return Err(Error::new(ErrorKind::AlreadyExists, what));
            }
        }
        remove_all(self.disk, &self.old)?;
        self.disk.rename_dir(&self.path, &self.old)?;
        kill_point!("save.moved_away");
        let renamed = self.disk.rename_dir(&self.new, &self.path);
        if renamed.is_err() {
            // The error tells of the first failure; what was there stays if it can.
            let _ = self.disk.rename_dir(&self.old, &self.path);
        }
        renamed
    }
}

impl Drop for NewDirectory<'_> {
    fn drop(&mut self) {
        if !self.is_published
            && let Err(error) = remove_all(self.disk, &self.new)
        {
            let path = &self.new;
            tracing::warn!(?path, %error, "what was not saved to its end cannot be removed");
        }
    }
}

/// Removes what was left of directories in `parent` whose names are `ours`.
pub(crate) fn clean(disk: &dyn Disk, parent: &Path, ours: impl Fn(&str) -> bool) -> Result<()> {
    let entries = match disk.list(parent) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::Directory)
    {
        let Some(hidden) = entry.name.to_str().and_then(|name| name.strip_prefix('.')) else {
            continue;
        };
        let path = parent.join(&entry.name);
        if hidden.strip_suffix(NEW).is_some_and(&ours) {
            remove_all(disk, &path)?;
        } else if let Some(name) = hidden.strip_suffix(OLD).filter(|name| ours(name)) {
            match disk.rename_dir(&path, &parent.join(name)) {
                Err(error) if is_in_the_way(&error) => remove_all(disk, &path)?,
                moved => moved?,
            }
        }
    }
    Ok(())
}

/// `.name.saving` and the like.
fn hidden(name: &OsStr, what: &str) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(what);
    hidden
}

/// Whether a directory could not get a name because of what has it.
fn is_in_the_way(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists
    )
}

/// Removes a directory of files, if it is there.
fn remove_all(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let entries = match disk.list(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        disk.remove(&dir.join(entry.name))?;
    }
    disk.remove_dir(dir)
}

/// Writes to the end of a file.
pub(crate) struct Appending<'f>(pub(crate) &'f mut dyn AppendFile);

impl Write for Appending<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.append(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
