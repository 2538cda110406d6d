//! What is on a simulated disk at one moment.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};

use super::Change;
use crate::disk::{Entry, EntryKind};

/// A file, whatever its name is by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId(usize);

#[derive(Clone, Copy, Debug)]
enum Node {
    Directory,
    File(FileId),
}

/// Names, and bytes.
#[derive(Clone, Default)]
pub(super) struct Contents {
    names: BTreeMap<PathBuf, Node>,
    /// By their ids; also those that have no name any more.
    files: Vec<Vec<u8>>,
}

impl Contents {
    pub(super) fn next_file(&self) -> FileId {
        FileId(self.files.len())
    }

    pub(super) fn bytes(&self, file: FileId) -> &[u8] {
        &self.files[file.0]
    }

    pub(super) fn replace(&mut self, file: FileId, bytes: Vec<u8>) {
        self.files[file.0] = bytes;
    }

    pub(super) fn file(&self, path: &Path) -> Result<FileId> {
        match self.names.get(path) {
            Some(&Node::File(file)) => Ok(file),
            Some(Node::Directory) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn is_dir(&self, path: &Path) -> bool {
        path == Path::new("/") || matches!(self.names.get(path), Some(Node::Directory))
    }

    pub(super) fn check_dir(&self, path: &Path) -> Result<()> {
        match self.names.get(path) {
            Some(Node::Directory) => Ok(()),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    /// Whether it is a directory with nothing in it.
    pub(super) fn check_empty(&self, path: &Path) -> Result<()> {
        self.check_dir(path)?;
        if !self.list(path)?.is_empty() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        Ok(())
    }

    pub(super) fn check_parent(&self, path: &Path) -> Result<()> {
        match path.parent() {
            Some(parent) if self.is_dir(parent) => Ok(()),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    /// Whether something new can have this name.
    pub(super) fn check_vacant(&self, path: &Path) -> Result<()> {
        self.check_parent(path)?;
        if self.names.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        Ok(())
    }

    pub(super) fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        if !self.is_dir(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        let inside = self
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir));
        Ok(inside
            .filter_map(|(path, node)| {
                let kind = match node {
                    Node::Directory => EntryKind::Directory,
                    Node::File(_) => EntryKind::File,
                };
                Some(Entry::new(path.file_name()?, kind))
            })
            .collect())
    }

    pub(super) fn used_bytes(&self) -> u64 {
        let files = self.names.values().filter_map(|node| match node {
            Node::File(file) => Some(self.bytes(*file).len() as u64),
            Node::Directory => None,
        });
        files.sum()
    }

    /// Does what a change did, as far as it is possible without the changes before
    /// it.
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Create(path, file) => {
                self.make_file(*file);
                self.names.insert(path.clone(), Node::File(*file));
            }
            Change::CreateDir(path) => {
                self.names.insert(path.clone(), Node::Directory);
            }
            Change::Append(file, bytes) => {
                self.files[file.0].extend(bytes);
            }
            Change::Rename(from, to, file) => {
                self.names.remove(from);
                self.names.insert(to.clone(), Node::File(*file));
            }
            Change::RenameDir(from, to) => {
                let inside = |path: &PathBuf| path.starts_with(to);
                self.names.retain(|path, _| !inside(path));
                let moved: Vec<_> = self
                    .names
                    .extract_if(.., |path, _| path.starts_with(from))
                    .collect();
                let moved = moved.into_iter().filter_map(|(path, node)| {
                    let rest = path.strip_prefix(from).ok()?;
                    // `join` with nothing would add a separator.
                    Some((to.components().chain(rest.components()).collect(), node))
                });
                self.names.extend(moved);
                self.names.insert(to.clone(), Node::Directory);
            }
            Change::Remove(path) | Change::RemoveDir(path) => {
                self.names.remove(path);
            }
            Change::Sync(_) | Change::SyncDir(_) | Change::SyncFailed(_) => {}
        }
    }

    /// A file, with a name or without.
    pub(super) fn make_file(&mut self, file: FileId) {
        let files = self.files.len().max(file.0 + 1);
        self.files.resize_with(files, Vec::new);
    }

    /// Puts bytes anywhere into a file; in front of them there are zeros where nothing
    /// is.
    pub(super) fn write_at(&mut self, file: FileId, offset: usize, bytes: &[u8]) {
        let all = &mut self.files[file.0];
        let end = offset + bytes.len();
        if bytes.is_empty() {
            return;
        }
        all.resize(all.len().max(end), 0);
        all[offset..end].copy_from_slice(bytes);
    }

    /// Removes names in directories that are not there.
    pub(super) fn prune(&mut self) {
        let known = self.clone();
        let reachable = |path: &Path| {
            let mut above = path.ancestors().skip(1);
            above.all(|dir| known.is_dir(dir))
        };
        self.names.retain(|path, _| reachable(path));
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = self.names.iter().map(|(path, node)| {
            let size = match node {
                Node::Directory => "directory".to_owned(),
                Node::File(file) => format!("{} bytes", self.bytes(*file).len()),
            };
            (path, size)
        });
        f.debug_map().entries(sizes).finish()
    }
}
