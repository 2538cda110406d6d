//! Records as bytes, in memory or in a file.

use std::io::{self, BufReader, ErrorKind, Write};
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::{Counted, Kept};
use crate::block::{Memory, SpillFile};
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
                spilled.map(|spilled| Arc::new(spilled) as Arc<dyn Partition<T>>)
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
    Ok(spilled.map(|spilled| Arc::new(spilled) as Arc<dyn Partition<T>>))
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

/// Records as bytes in a file.
struct Spilled<T> {
    file: SpillFile,
    count: usize,
    records: PhantomData<fn() -> T>,
}

impl<T> Spilled<T> {
    fn new(
        memory: &Memory,
        count: usize,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Option<Self>> {
        let store = memory.spill();
        let spill = || {
            let mut file = store.create()?;
            write(&mut file)?;
            file.finish()
        };
        match spill() {
            Ok(file) => Ok(Some(Self {
                file,
                count,
                records: PhantomData,
            })),
            // `spill_max_bytes` is a bound like that of memory.
            Err(cause) if cause.kind() == ErrorKind::QuotaExceeded => Ok(None),
            Err(cause) => {
                let directory = store.parent().display();
                let what = format!("records cannot be spilled to {directory}");
                Err(Error::io(what, cause))
            }
        }
    }
}

impl<T: Data + Codec> Partition<T> for Spilled<T> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>) -> Result<()> {
        let file = self.file.open().map_err(|cause| {
            let path = self.file.path().display();
            Error::io(format!("spilled records cannot be read from {path}"), cause)
        })?;
        read_objects(BufReader::with_capacity(PIECE, file), self.file.len(), each)
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
