//! An open file.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which file it is, whatever its name. Not known on every system; then all are
/// alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    #[cfg(unix)]
    pub(crate) fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;

        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn of(_: &Metadata) -> Self {
        Self::default()
    }
}

/// A file of a batch, open to be read from its beginning: what a
/// [`FileReader`](crate::rdd::FileReader) gets.
///
/// Its reads are those of the operating system: wrap it in a
/// [`BufReader`](io::BufReader) for small ones.
#[derive(Debug)]
pub struct InputFile {
    file: File,
    path: Arc<Path>,
    len: u64,
    identity: Identity,
    /// Written by the thread that reads; shared, as a reader may have moved the
    /// file away when an error has to tell how far it came.
    position: Arc<AtomicU64>,
}

impl InputFile {
    pub(crate) fn open(path: Arc<Path>) -> io::Result<Self> {
        let file = open_regular(&path)?;
        let metadata = file.metadata()?;
        Ok(Self {
            file,
            path,
            len: metadata.len(),
            identity: Identity::of(&metadata),
            position: Arc::default(),
        })
    }

    /// Its name, from the root of the file system.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes it had when it was opened.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it had no bytes when it was opened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// How many bytes it has now.
    pub(super) fn present_len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// The offset of the next read.
    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    /// The [`position`](Self::position), for who has not got the file.
    pub(super) fn shared_position(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.position)
    }
}

impl Read for InputFile {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(to)?;
        self.position.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl Seek for InputFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = self.file.seek(to)?;
        self.position.store(position, Ordering::Relaxed);
        Ok(position)
    }
}

/// Opens a regular file; an error if the name is now that of something else, such
/// as a pipe, which would wait for somebody to write to it.
fn open_regular(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    // Not to wait. It means nothing to a regular file.
    #[cfg(all(
        target_os = "linux",
        any(
            target_arch = "x86_64",
            target_arch = "aarch64",
            target_arch = "riscv64"
        )
    ))]
    {
        use std::os::unix::fs::OpenOptionsExt;

        const O_NONBLOCK: i32 = 0o4000;
        options.custom_flags(O_NONBLOCK);
    }
    // Elsewhere there is a moment between the look and the opening.
    #[cfg(not(all(
        target_os = "linux",
        any(
            target_arch = "x86_64",
            target_arch = "aarch64",
            target_arch = "riscv64"
        )
    )))]
    check_regular(&std::fs::metadata(path)?)?;
    let file = options.open(path)?;
    check_regular(&file.metadata()?)?;
    Ok(file)
}

fn check_regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "it is not a regular file",
    ))
}
