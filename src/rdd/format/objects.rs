//! Object files: records that can be read back.
//!
//! ```text
//! file     magic    8 bytes: "msobj" 0 0 1; the last is the version
//!          frames   as in `codec::frame`
//! frame    count    4 bytes, little-endian: how many records, at least one
//!          records  one after the other, as `Codec` writes them
//! ```
//!
//! A type that could not be read back is refused by its first record that shows it.

use std::fs;
use std::io::{BufReader, Error as IoError, Read, Result as IoResult, Write};
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{OutputFormat, PIECE};
use crate::codec::frame::{FrameReader, write_end, write_frame};
use crate::codec::records::RecordWriter;
use crate::codec::{Codec, RecordCodec};
use crate::error::{Error, ErrorKind, Result};
use crate::rdd::file::{Files, InputFile};
use crate::rdd::op::save_as_file::{MARKER, part_number};
use crate::rdd::partition::{CHUNK, Partition, Partitions};
use crate::rdd::pipe::{Chunk, Data, Step};

const MAGIC: [u8; 8] = *b"msobj\0\0\x01";

/// The most records of a frame: those of a type without bytes have to end too.
const MAX_RECORDS: u32 = 1 << 16;

/// Where the records of a frame begin.
const COUNT: usize = 4;

/// The format of object files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Objects;

impl<T: Codec> OutputFormat<T> for Objects {
    fn write(&self, records: impl Iterator<Item = T>, out: &mut dyn Write) -> IoResult<()> {
        out.write_all(&MAGIC)?;
        let mut writer = RecordWriter::plain(RecordCodec::new());
        writer.bytes.resize(COUNT, 0);
        let mut count = 0;
        for record in records {
            writer.write(&record).map_err(IoError::other)?;
            count += 1;
            if writer.bytes.len() >= PIECE || count == MAX_RECORDS {
                write_records(out, &mut writer.bytes, &mut count)?;
            }
        }
        if count > 0 {
            write_records(out, &mut writer.bytes, &mut count)?;
        }
        write_end(out)
    }
}

/// Writes a frame of records, and begins the next.
fn write_records(out: &mut dyn Write, payload: &mut Vec<u8>, count: &mut u32) -> IoResult<()> {
    payload[..COUNT].copy_from_slice(&count.to_le_bytes());
    write_frame(out, payload)?;
    payload.truncate(COUNT);
    *count = 0;
    Ok(())
}

/// The files of a directory that was saved, or one of them; a partition each.
pub(crate) fn object_files<T: Data + Codec>(path: &Path, step: Step) -> Result<Files<T>> {
    Ok(Files::new(parts_of(path)?, step, Arc::default()))
}

fn parts_of<T: Data + Codec>(path: &Path) -> Result<Partitions<T>> {
    let refused = |cause| unreadable(path, Error::from(cause));
    let mut files = Vec::new();
    if fs::metadata(path).map_err(refused)?.is_dir() {
        for entry in fs::read_dir(path).map_err(refused)? {
            let entry = entry.map_err(refused)?;
            if let Some(number) = entry.file_name().to_str().and_then(part_number) {
                files.push((number, entry.path()));
            }
        }
        if !path.join(MARKER).exists() {
            let what = format!("there is no {MARKER}: it was not written to its end");
            return Err(unreadable(path, corrupt(&what)));
        }
    } else {
        files.push((0, path.to_owned()));
    }
    files.sort_unstable();
    let partition = |(_, path): (usize, PathBuf)| {
        let len = fs::metadata(&path)
            .map_err(|cause| unreadable(&path, Error::from(cause)))?
            .len();
        Ok(Arc::new(ObjectFile {
            path: path.into(),
            len,
            records: PhantomData,
        }) as Arc<dyn Partition<T>>)
    };
    files.into_iter().map(partition).collect()
}

fn unreadable(path: &Path, cause: Error) -> Error {
    let what = format!("{} cannot be read", path.display());
    Error::new(cause.kind(), what).with_source(cause)
}

/// A file of records.
struct ObjectFile<T> {
    path: Arc<Path>,
    len: u64,
    records: PhantomData<fn() -> T>,
}

impl<T: Data + Codec> ObjectFile<T> {
    fn read(&self, each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>) -> Result<()> {
        let file = InputFile::open(Arc::clone(&self.path))?;
        // It may have changed since the data set was made.
        let len = file.len();
        read_objects(BufReader::new(file), len, each)
    }
}

/// Reads all records of an object file of `len` bytes.
pub(in crate::rdd) fn read_objects<T: Data + Codec>(
    mut file: impl Read,
    len: u64,
    each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>,
) -> Result<()> {
    let mut magic = [0; MAGIC.len()];
    if len < magic.len() as u64 {
        return Err(corrupt("it is too short for an object file"));
    }
    file.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Err(corrupt(
            "it does not begin as an object file of this version",
        ));
    }
    let mut frames = FrameReader::new(file, magic.len() as u64, len);
    let mut records = Vec::new();
    while let Some(payload) = frames.next()? {
        let (mut left, mut input) = take_count(payload)?;
        while left > 0 {
            let n = left.min(CHUNK);
            for _ in 0..n {
                records.push(T::decode(&mut input)?);
            }
            left -= n;
            let flow = each(Chunk::Owned(&mut records));
            records.clear();
            if flow.is_break() {
                return Ok(());
            }
        }
        if !input.is_empty() {
            return Err(corrupt("it has records of another type"));
        }
    }
    Ok(())
}

/// How many records a frame has, and their bytes.
fn take_count(payload: &[u8]) -> Result<(usize, &[u8])> {
    let Some((count, records)) = payload.split_first_chunk::<COUNT>() else {
        return Err(corrupt("a frame is too short"));
    };
    match u32::from_le_bytes(*count) {
        count @ 1..=MAX_RECORDS => Ok((count as usize, records)),
        count => Err(corrupt(&format!(
            "a frame says that it has {count} records"
        ))),
    }
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}

impl<T: Data + Codec> Partition<T> for ObjectFile<T> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>) -> Result<()> {
        self.read(each)
            .map_err(|cause| unreadable(&self.path, cause))
    }

    fn count(&self) -> Option<usize> {
        None
    }

    fn weight(&self) -> usize {
        // Most records are short; waiting for the disk is work too.
        usize::try_from(self.len / 8).unwrap_or(usize::MAX)
    }
}
