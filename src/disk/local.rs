//! The file system.

use std::fs::{self, File, FileType, Metadata, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind, IoSlice, Read, Result, Seek, SeekFrom, Write};
use std::path::Path;
use std::process;

use super::{AppendFile, DirLock, Disk, Entry, EntryKind, ReadFile};
use crate::cpu::writeback::begin_writeback;

/// The file that a lock is taken on. It stays behind, with the number of the last
/// process that had the directory.
const LOCK_FILE: &str = "LOCK";

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalDisk;

/// A directory that was made, or is there, as `look` says.
pub(super) fn made_or_there(
    made: Result<()>,
    look: impl FnOnce() -> Result<Metadata>,
) -> Result<()> {
    match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if look()?.is_dir() {
                Ok(())
            } else {
                Err(Error::new(
                    ErrorKind::NotADirectory,
                    "it is there, and is no directory",
                ))
            }
        }
        made => made,
    }
}

impl Disk for LocalDisk {
    fn create(&self, path: &Path) -> Result<Box<dyn AppendFile>> {
        let file = retry(|| owners().write(true).create_new(true).open(path))?;
        Ok(Box::new(LocalFile(file)))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn ReadFile>> {
        let file = open_regular(path, OpenOptions::new().read(true))?;
        Ok(Box::new(LocalFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        retry(|| fs::rename(from, to))
    }

    fn rename_dir(&self, from: &Path, to: &Path) -> Result<()> {
        retry(|| fs::rename(from, to))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        retry(|| fs::remove_file(path))
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        retry(|| fs::remove_dir(dir))
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in retry(|| fs::read_dir(dir))? {
            let entry = entry?;
            entries.push(Entry::new(entry.file_name(), kind(entry.file_type()?)));
        }
        entries.sort();
        Ok(entries)
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &Path) -> Result<()> {
        retry(|| File::open(dir)?.sync_all())
    }

    /// Other systems open no directories, and have no such call.
    #[cfg(not(unix))]
    fn sync_dir(&self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        made_or_there(retry(|| builder.create(dir)), || fs::symlink_metadata(dir))
    }

    fn lock(&self, dir: &Path) -> Result<DirLock> {
        let path = dir.join(LOCK_FILE);
        // Of two that make it at the same time, one finds it there.
        match retry(|| owners().write(true).create_new(true).open(&path)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let mut file = open_regular(&path, OpenOptions::new().read(true).write(true))?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                file.write_all(process::id().to_string().as_bytes())?;
                Ok(DirLock::new(Locked(file)))
            }
            Err(TryLockError::WouldBlock) => Err(busy(&mut file)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// The file that a lock is taken on.
struct Locked(File);

impl Drop for Locked {
    /// To close it would not do: a child that is being started has it, too, until it
    /// runs its own program.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "a directory cannot be unlocked");
        }
    }
}

/// Who holds a lock wrote its number into the file.
fn busy(file: &mut File) -> Error {
    let mut text = String::new();
    // It may be about to write it.
    let holder = match file.take(20).read_to_string(&mut text) {
        Ok(1..) => format!("process {}", text.escape_debug()),
        _ => "another process".to_owned(),
    };
    let what = format!("the directory is in use by {holder}");
    Error::new(ErrorKind::ResourceBusy, what)
}

/// Options that make files for their owner only.
fn owners() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Opens a file that is no link to one, and nothing else either: a pipe would not
/// even open.
fn open_regular(path: &Path, options: &OpenOptions) -> Result<File> {
    let named = fs::symlink_metadata(path)?;
    if named.is_file() {
        let file = retry(|| options.open(path))?;
        // Somebody may have put something else there in between.
        if is_same(&named, &file.metadata()?) {
            return Ok(file);
        }
    }
    let what = "it is no regular file";
    Err(Error::new(ErrorKind::InvalidInput, what))
}

#[cfg(unix)]
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// What other systems tell of a file does not name it.
#[cfg(not(unix))]
fn is_same(_: &Metadata, b: &Metadata) -> bool {
    b.is_file()
}

fn kind(file_type: FileType) -> EntryKind {
    if file_type.is_file() {
        EntryKind::File
    } else if file_type.is_dir() {
        EntryKind::Directory
    } else {
        EntryKind::Other
    }
}

/// Does it again as long as signals interrupt it.
pub(super) fn retry<T>(mut operation: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[derive(Debug)]
pub(super) struct LocalFile(pub(super) File);

impl AppendFile for LocalFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        // Goes on by itself where it is interrupted.
        self.0.write_all(bytes)
    }

    fn append_vectored(&mut self, mut parts: &mut [IoSlice<'_>]) -> Result<()> {
        // Drops empty parts at the front, or the last ones would look like a full disk.
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            match retry(|| self.0.write_vectored(parts))? {
                0 => return Err(ErrorKind::WriteZero.into()),
                written => IoSlice::advance_slices(&mut parts, written),
            }
        }
        Ok(())
    }

    fn begin_sync(&mut self) -> Result<()> {
        retry(|| begin_writeback(&self.0))
    }

    fn sync(&mut self) -> Result<()> {
        // With the length, which is needed to read the data; without the times.
        retry(|| self.0.sync_data())
    }
}

impl Read for LocalFile {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        retry(|| self.0.read(into))
    }
}

impl Seek for LocalFile {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.0.seek(to)
    }
}

impl ReadFile for LocalFile {
    fn size(&self) -> Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    use super::*;

    /// A directory of its own for a test, removed at its end.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("millstream-{name}-{}", process::id()));
            LocalDisk.create_dir(&path).unwrap();
            Self(path)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn text(path: &Path) -> String {
        let mut text = String::new();
        let mut file = LocalDisk.open(path).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(file.size().unwrap(), text.len() as u64);
        text
    }

    #[test]
    fn a_file_is_made_once_and_for_its_owner() {
        let dir = Directory::new("disk-file");
        let (made, renamed) = (dir.path("made"), dir.path("renamed"));
        let mut file = LocalDisk.create(&made).unwrap();
        file.append(b"one ").unwrap();
        file.append(b"two").unwrap();
        file.sync().unwrap();
        assert_eq!(text(&made), "one two");
        assert_eq!((mode(&made), mode(&dir.0)), (0o600, 0o700));
        let again = LocalDisk.create(&made).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        LocalDisk.create(&renamed).unwrap();
        LocalDisk.rename(&made, &renamed).unwrap();
        LocalDisk.sync_dir(&dir.0).unwrap();
        assert_eq!(text(&renamed), "one two");
        LocalDisk.remove(&renamed).unwrap();
        let gone = LocalDisk.remove(&renamed).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn parts_are_written_one_behind_the_other() {
        let dir = Directory::new("disk-parts");
        let path = dir.path("file");
        let mut file = LocalDisk.create(&path).unwrap();
        // More than the system takes at a time, with empty ones at both ends.
        let numbers: Vec<_> = (0..3000).map(|number| number.to_string()).collect();
        let parts = numbers.iter().map(|number| IoSlice::new(number.as_bytes()));
        let empty = [IoSlice::new(b"")];
        let mut parts: Vec<_> = empty.into_iter().chain(parts).chain(empty).collect();
        file.append_vectored(&mut parts).unwrap();
        file.begin_sync().unwrap();
        file.append_vectored(&mut []).unwrap();
        file.append_vectored(&mut [IoSlice::new(b"")]).unwrap();
        file.append_vectored(&mut [IoSlice::new(b"e"), IoSlice::new(b"nd")])
            .unwrap();
        file.sync().unwrap();
        assert_eq!(text(&path), numbers.concat() + "end");
    }

    #[test]
    fn what_is_in_a_directory_is_listed_by_name_and_kind() {
        let dir = Directory::new("disk-list");
        LocalDisk.create(&dir.path("b")).unwrap();
        LocalDisk.create_dir(&dir.path("c")).unwrap();
        symlink("b", dir.path("a")).unwrap();
        let entries = LocalDisk.list(&dir.0).unwrap();
        assert_eq!(
            entries,
            [
                Entry::new("a", EntryKind::Other),
                Entry::new("b", EntryKind::File),
                Entry::new("c", EntryKind::Directory)
            ]
        );
        let files: Vec<_> = entries.iter().filter_map(Entry::file_name).collect();
        assert_eq!(files, ["b"]);
    }

    #[test]
    fn links_are_not_followed() {
        let dir = Directory::new("disk-links");
        LocalDisk.create(&dir.path("file")).unwrap();
        LocalDisk.create_dir(&dir.path("directory")).unwrap();
        symlink("file", dir.path("link")).unwrap();
        symlink("missing", dir.path("dangling")).unwrap();
        symlink("directory", dir.path("linked")).unwrap();
        for name in ["link", "linked", "directory"] {
            let error = LocalDisk.open(&dir.path(name)).unwrap_err();
            assert_eq!(error.to_string(), "it is no regular file", "{name}");
        }
        let made = LocalDisk.create(&dir.path("dangling")).unwrap_err();
        assert_eq!(made.kind(), ErrorKind::AlreadyExists);
        assert!(!dir.path("missing").exists());
        LocalDisk.create_dir(&dir.path("directory")).unwrap();
        for name in ["linked", "file"] {
            let error = LocalDisk.create_dir(&dir.path(name)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotADirectory, "{name}");
        }
        symlink("file", dir.path("directory").join(LOCK_FILE)).unwrap();
        assert!(LocalDisk.lock(&dir.path("directory")).is_err());
    }

    #[test]
    fn a_directory_has_one_owner() {
        let dir = Directory::new("disk-lock");
        let lock = LocalDisk.lock(&dir.0).unwrap();
        let error = LocalDisk.lock(&dir.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        let me = process::id();
        assert_eq!(
            error.to_string(),
            format!("the directory is in use by process {me}")
        );
        drop(lock);
        // What the last one left behind is no obstacle.
        fs::write(dir.path(LOCK_FILE), "4194304999").unwrap();
        let _lock = LocalDisk.lock(&dir.0).unwrap();
        assert_eq!(text(&dir.path(LOCK_FILE)), me.to_string());
    }

    #[test]
    fn signals_do_not_show() {
        let mut calls = 0;
        let done = retry(|| {
            calls += 1;
            match calls {
                1 | 2 => Err(ErrorKind::Interrupted.into()),
                _ => Ok(calls),
            }
        });
        assert_eq!(done.unwrap(), 3);
        assert!(retry(|| Err::<(), _>(ErrorKind::StorageFull.into())).is_err());
    }
}
