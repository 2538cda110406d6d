//! Records as bytes, in memory or in a file.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::{Counted, Kept};
use crate::block::Memory;
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::rdd::format::OutputFormat;
use crate::rdd::format::objects::{Objects, read_objects};
use crate::rdd::level::StorageLevel;
use crate::rdd::partition::Partition;
use crate::rdd::pipe::{Chunk, Data};

/// Keeps records as `level` says; nothing if they do not fit.
pub(in crate::rdd) fn keep<T: Data + Codec>(
    mut records: Vec<T>,
    level: StorageLevel,
    memory: &Arc<Memory>,
) -> Result<Option<Arc<dyn Partition<T>>>> {
    let count = records.len();
    if level.uses_memory() && level.is_serialized() {
        let mut bytes = Vec::new();
        Objects.write(records.into_iter(), &mut bytes)?;
        bytes.shrink_to_fit();
        return Ok(match Counted::try_new(bytes.len(), memory) {
            Some(counted) => Some(Arc::new(Encoded {
                bytes,
                count,
                _counted: counted,
                records: PhantomData,
            })),
            None if level.uses_disk() => {
                let spilled = Spilled::new(memory, count, |file| file.write_all(&bytes))?;
                Some(Arc::new(spilled))
            }
            None => None,
        });
    }
    if level.uses_memory() {
        records = match Kept::new(records, memory) {
            Ok(kept) => return Ok(Some(Arc::new(kept))),
            Err(records) => records,
        };
    }
    if !level.uses_disk() {
        return Ok(None);
    }
    let spilled = Spilled::new(memory, count, |file| {
        Objects.write(records.into_iter(), file)
    })?;
    Ok(Some(Arc::new(spilled)))
}

/// Records as bytes in memory.
struct Encoded<T> {
    bytes: Vec<u8>,
    count: usize,
    _counted: Counted,
    records: PhantomData<fn() -> T>,
}

impl<T: Data + Codec> Partition<T> for Encoded<T> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>) -> Result<()> {
        read_objects(&self.bytes[..], self.bytes.len() as u64, each)
    }

    fn count(&self) -> Option<usize> {
        Some(self.count)
    }

    fn weight(&self) -> usize {
        self.count
    }
}

/// Records as bytes in a file without a name, which is gone when it is closed,
/// however the process ends.
struct Spilled<T> {
    file: File,
    len: u64,
    count: usize,
    records: PhantomData<fn() -> T>,
}

impl<T> Spilled<T> {
    fn new(
        memory: &Memory,
        count: usize,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Self> {
        let directory = memory.spill_directory();
        let spill = || {
            let mut file = BufWriter::new(memory.spill_file()?);
            write(&mut file)?;
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            let len = file.metadata()?.len();
            Ok((file, len))
        };
        let (file, len) = spill().map_err(|cause: io::Error| {
            let what = format!("records cannot be spilled to {}", directory.display());
            Error::io(what, cause)
        })?;
        Ok(Self {
            file,
            len,
            count,
            records: PhantomData,
        })
    }
}

impl<T: Data + Codec> Partition<T> for Spilled<T> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>) -> Result<()> {
        // A place of its own: several may read at the same time.
        let reader = ReadAt {
            file: &self.file,
            offset: 0,
        };
        read_objects(BufReader::with_capacity(PIECE, reader), self.len, each)
    }

    fn count(&self) -> Option<usize> {
        Some(self.count)
    }

    fn weight(&self) -> usize {
        self.count
    }
}

/// Bytes that are read from a file at a time.
const PIECE: usize = 64 << 10;

struct ReadAt<'f> {
    file: &'f File,
    offset: u64,
}

impl Read for ReadAt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let n = std::os::unix::fs::FileExt::read_at(self.file, buffer, self.offset)?;
        #[cfg(windows)]
        let n = std::os::windows::fs::FileExt::seek_read(self.file, buffer, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}
