//! The bytes of a checkpoint.
//!
//! ```text
//! file      magic     8 bytes: "msckpt", the version of the format as a 16-bit number,
//!                     little-endian
//!           pieces    frames with the bytes of new pieces, each in one or more of them
//!           contents  one frame
//!           end       see `codec::frame`
//! contents  in postcard's format: zero time, batch time (ms), batch interval (ms); the
//!           version of the engine; the settings that were made, name and value; the two
//!           seeds of hashes, how many partitions a shuffle makes, the first record of the
//!           log of batches that may be needed; for each
//!           stream its name, its kind, whether it is an input, how many keys it has, and
//!           its pieces: their time, and the file (by its batch time), the number of the
//!           first frame and how many frames; for each accumulator its name, its kind
//!           and its value
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::codec::Codec;
use crate::codec::frame::{FrameReader, MAX_PAYLOAD, write_end, write_frame};
use crate::disk::Disk;
use crate::dstream::Graph;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::KeyHash;
use crate::shared::SavedAccumulator;
use crate::time::BatchTime;

/// What stands in front of the version.
const NAME: [u8; 6] = *b"msckpt";

/// The version of the format. The first one had other contents, the second no shapes.
const VERSION: u16 = 3;

/// Bytes of the name and the version.
const MAGIC: usize = 8;

/// Bytes of a piece in one frame, at the most.
const FRAME: usize = MAX_PAYLOAD / 16;

/// Where the bytes of a piece are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) time: BatchTime,
    /// The checkpoint in whose file they are.
    pub(super) file: BatchTime,
    pub(super) first: u32,
    pub(super) frames: u32,
}

/// What a checkpoint has of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StreamPieces {
    pub(super) uid: String,
    pub(super) kind: String,
    pub(super) is_input: bool,
    /// If it keeps something by key.
    pub(super) keys: Option<u64>,
    pub(super) pieces: Vec<Place>,
}

/// The contents of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) zero: BatchTime,
    pub(super) time: BatchTime,
    pub(super) interval_ms: u64,
    pub(super) engine: String,
    pub(super) settings: Vec<(String, String)>,
    pub(super) partitioning: Partitioning,
    pub(super) first_record: u64,
    pub(super) streams: Vec<StreamPieces>,
    pub(super) accumulators: BTreeMap<String, SavedAccumulator>,
}

/// What decides to which partition a record belongs, beside the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partitioning {
    pub(super) seeds: (u64, u64),
    pub(super) parallelism: u32,
}

impl Partitioning {
    /// Of this process.
    pub(super) fn of(graph: &Graph) -> Self {
        let parallelism = graph.executor().default_parallelism();
        Self {
            seeds: KeyHash::get().seeds(),
            parallelism: u32::try_from(parallelism).unwrap_or(u32::MAX),
        }
    }
}

type PlaceBytes = (i64, i64, u32, u32);
type PartitioningBytes = (u64, u64, u32);
type StreamBytes = (String, String, bool, Option<u64>, Vec<PlaceBytes>);
type ContentsBytes = (
    (i64, i64, u64),
    (String, Vec<(String, String)>),
    (PartitioningBytes, u64),
    Vec<StreamBytes>,
    Vec<(String, String, Vec<u8>)>,
);

impl Contents {
    /// The files that it needs beside its own.
    pub(super) fn needs(&self) -> BTreeSet<BatchTime> {
        let pieces = self.streams.iter().flat_map(|stream| &stream.pieces);
        let files = pieces.map(|place| place.file);
        files.filter(|&file| file != self.time).collect()
    }

    /// # Errors
    /// If these are not the contents of the checkpoint `time`.
    pub(super) fn check_time(&self, time: BatchTime) -> Result<()> {
        if self.time == time {
            return Ok(());
        }
        Err(corrupt(&format!("it is the checkpoint of {}", self.time)))
    }

    fn encode(&self) -> Result<Vec<u8>> {
        let place = |place: &Place| {
            let (time, file) = (place.time.as_millis(), place.file.as_millis());
            (time, file, place.first, place.frames)
        };
        let stream = |stream: &StreamPieces| {
            let pieces: Vec<_> = stream.pieces.iter().map(place).collect();
            let (uid, kind) = (stream.uid.clone(), stream.kind.clone());
            (uid, kind, stream.is_input, stream.keys, pieces)
        };
        let accumulator = |(name, saved): (&String, &SavedAccumulator)| {
            (name.clone(), saved.kind.clone(), saved.bytes.clone())
        };
        let (zero, time) = (self.zero.as_millis(), self.time.as_millis());
        let Partitioning {
            seeds: (one, two),
            parallelism,
        } = self.partitioning;
        let contents: ContentsBytes = (
            (zero, time, self.interval_ms),
            (self.engine.clone(), self.settings.clone()),
            ((one, two, parallelism), self.first_record),
            self.streams.iter().map(stream).collect(),
            self.accumulators.iter().map(accumulator).collect(),
        );
        let mut bytes = Vec::new();
        contents.encode(&mut bytes)?;
        Ok(bytes)
    }

    fn decode(mut bytes: &[u8]) -> Result<Self> {
        let (times, made_by, repeats, streams, accumulators) = ContentsBytes::decode(&mut bytes)?;
        let (zero, time, interval_ms) = times;
        let (engine, settings) = made_by;
        let ((one, two, parallelism), first_record) = repeats;
        let at = BatchTime::from_millis;
        let place = |(time, file, first, frames)| Place {
            time: at(time),
            file: at(file),
            first,
            frames,
        };
        let stream = |(uid, kind, is_input, keys, pieces): StreamBytes| StreamPieces {
            uid,
            kind,
            is_input,
            keys,
            pieces: pieces.into_iter().map(place).collect(),
        };
        let accumulator = |(name, kind, bytes)| (name, SavedAccumulator { kind, bytes });
        Ok(Self {
            zero: at(zero),
            time: at(time),
            interval_ms,
            engine,
            settings,
            partitioning: Partitioning {
                seeds: (one, two),
                parallelism,
            },
            first_record,
            streams: streams.into_iter().map(stream).collect(),
            accumulators: accumulators.into_iter().map(accumulator).collect(),
        })
    }
}

/// Begins the bytes of a file.
pub(super) fn begin() -> FileBytes {
    FileBytes {
        bytes: [&NAME[..], &VERSION.to_le_bytes()].concat(),
        frames: 0,
    }
}

/// The bytes of a file that is being made.
#[derive(Debug)]
pub(super) struct FileBytes {
    bytes: Vec<u8>,
    frames: u32,
}

impl FileBytes {
    /// Adds a piece; gives the number of its first frame and how many it takes.
    pub(super) fn add(&mut self, piece: &[u8]) -> io::Result<(u32, u32)> {
        let first = self.frames;
        for part in piece.chunks(FRAME) {
            write_frame(&mut self.bytes, part)?;
            self.frames += 1;
        }
        Ok((first, self.frames - first))
    }

    pub(super) fn end(mut self, contents: &Contents) -> Result<Vec<u8>> {
        write_frame(&mut self.bytes, &contents.encode()?)?;
        write_end(&mut self.bytes)?;
        Ok(self.bytes)
    }
}

/// Reads a file from its beginning to its end.
///
/// # Errors
/// Those of the disk, or of kind [`ErrorKind::Corrupt`].
pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<(Vec<Vec<u8>>, Contents)> {
    let file = disk.open(path)?;
    let end = file.size()?;
    let mut file = BufReader::new(file);
    let mut magic = [0; MAGIC];
    if end < MAGIC as u64 {
        return Err(corrupt("it is too short for a checkpoint"));
    }
    file.read_exact(&mut magic)?;
    let [name @ .., low, high] = magic;
    if name != NAME {
        return Err(corrupt("it does not begin like a checkpoint"));
    }
    check_version(u16::from_le_bytes([low, high]))?;
    let mut frames = FrameReader::new(file, MAGIC as u64, end);
    let mut pieces = Vec::new();
    while let Some(piece) = frames.next()? {
        pieces.push(piece.to_vec());
    }
    let contents = pieces
        .pop()
        .ok_or_else(|| corrupt("it has no contents"))
        .and_then(|bytes| Contents::decode(&bytes))?;
    Ok((pieces, contents))
}

/// The frames in which a piece is, of all of its file or what is known of each.
///
/// # Errors
/// If the file has not that many.
pub(super) fn frames_of<'a, T>(frames: &'a [T], place: &Place) -> Result<&'a [T]> {
    let first = place.first as usize;
    first
        .checked_add(place.frames as usize)
        .and_then(|end| frames.get(first..end))
        .ok_or_else(|| corrupt("a piece is not where it should be"))
}

fn check_version(version: u16) -> Result<()> {
    if version == VERSION {
        return Ok(());
    }
    let who = match version < VERSION {
        true => "an older version of this library wrote it, and can go on from it",
        false => "a newer version of this library wrote it",
    };
    let what = format!(
        "version {version} of the format of checkpoints is not known here, which is {VERSION}: {who}"
    );
    Err(Error::new(ErrorKind::Unsupported, what))
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}
