//! What is in a directory of checkpoints, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::file::{self, Contents, Place, StreamPieces};
use super::store;
use crate::codec::Codec;
use crate::codec::shape::Shape;
use crate::disk::{Disk, LocalDisk};
use crate::error::{Error, ErrorKind, Result};
use crate::shared::SavedAccumulator;
use crate::time::{BatchTime, Duration};

/// Bytes of a position that its text shows.
const SHOWN: usize = 48;

/// Reads a directory of checkpoints and says what is in it: which files can be read,
/// and if not why; and what each checkpoint has.
///
/// Guide: Checkpointing. Nothing is changed and nothing locked, so the program that
/// writes there may be running. All files are read once. The text of the result
/// ([`Display`](fmt::Display)) is what the example `checkpoint_inspect` prints:
///
/// ```text
/// cargo run --example checkpoint_inspect -- <directory>
/// ```
///
/// # Errors
/// If the directory cannot be read. What is wrong with a file is in the result.
///
/// # Examples
/// ```
/// # fn main() -> millstream::Result<()> {
/// # let dir = std::env::temp_dir();
/// let found = millstream::checkpoint::inspect(&dir)?;
/// match found.newest() {
///     Some(checkpoint) => println!("a program would go on behind {}", checkpoint.batch_time),
///     None => println!("a program would begin"),
/// }
/// for file in &found.files {
///     if let Some(reason) = file.status.error() {
///         println!("{}: {reason}", file.name);
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub fn inspect(directory: impl AsRef<Path>) -> Result<Inspection> {
    inspect_on(&LocalDisk, directory.as_ref())
}

/// What is in a directory of checkpoints.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The directory.
    pub directory: PathBuf,
    /// The files of checkpoints, the newest first. Other things in the directory are not
    /// listed.
    pub files: Vec<CheckpointFile>,
}

/// A file in a directory of checkpoints.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckpointFile {
    /// Its name there.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// What can be made of it.
    pub status: Status,
    /// The newer checkpoints that need pieces in this file and are whole.
    pub needed_by: Vec<BatchTime>,
}

/// What can be made of the file of a checkpoint.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Status {
    /// It can be read, and so can all that it needs of other files.
    Whole(Description),
    /// It can be read itself, but not something that it needs. So it is with files that
    /// are there only for what newer checkpoints need of them.
    Incomplete(Error),
    /// It cannot be read: it was damaged or cut off, or is of another version.
    Unreadable(Error),
}

impl Status {
    /// Why nothing can be restored from it, if so.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Whole(_) => None,
            Self::Incomplete(error) | Self::Unreadable(error) => Some(error),
        }
    }
}

/// What a checkpoint has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The batch that it was taken behind. Those after it come again.
    pub batch_time: BatchTime,
    /// The time before the first batch of all.
    pub zero_time: BatchTime,
    /// The batch interval of the program.
    pub batch_interval: Duration,
    /// The version of this library that wrote it.
    pub engine_version: String,
    /// The settings that were made in the program or the environment, name and value.
    pub settings: Vec<(String, String)>,
    /// The streams that keep something, in the order of their declaration.
    pub streams: Vec<StreamDescription>,
    /// The accumulators, by name.
    pub accumulators: Vec<AccumulatorDescription>,
}

/// What a checkpoint has of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamDescription {
    /// Its name, by which it is found again.
    pub uid: String,
    /// What it keeps; of an input, the kind of that.
    pub kind: String,
    /// How many keys it has, of state by key.
    pub keys: Option<u64>,
    /// Pieces that it is made of: all of it at some time, and what changed since.
    pub pieces: usize,
    /// Bytes of all pieces.
    pub bytes: u64,
    /// The shape of the records that were saved last, if there were any: the names of
    /// fields and variants, and the kinds of values, as far as there were some.
    pub shape: Option<String>,
    /// Of an input, how far it had read, in its own words.
    pub position: Option<Vec<u8>>,
}

/// What a checkpoint has of an accumulator.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccumulatorDescription {
    /// Its name, by which it is found again.
    pub name: String,
    /// What it is.
    pub kind: String,
    /// The shape of its value, as that of [records](StreamDescription::shape).
    pub shape: String,
    /// Its value; in serde's terms, in the format of postcard.
    pub value: Vec<u8>,
}

impl Inspection {
    /// What a program would go on from, if there is anything.
    #[must_use]
    pub fn newest(&self) -> Option<&Description> {
        self.files.iter().find_map(|file| match &file.status {
            Status::Whole(description) => Some(description),
            _ => None,
        })
    }
}

/// What was read of a file.
struct Parts {
    contents: Contents,
    /// The lengths of the frames.
    lengths: Vec<usize>,
    /// The frames of inputs' positions, by their numbers.
    positions: BTreeMap<u32, Vec<u8>>,
    /// The shapes of records, by the numbers of the frames that begin with them.
    shapes: BTreeMap<u32, Shape>,
}

impl Parts {
    fn read(disk: &dyn Disk, path: &Path, time: BatchTime) -> Result<Self> {
        let (frames, contents) = file::read(disk, path)?;
        contents.check_time(time)?;
        let lengths = frames.iter().map(Vec::len).collect();
        let places = |is_input| {
            let streams = contents.streams.iter();
            let streams = streams.filter(move |stream| stream.is_input == is_input);
            let places = streams.flat_map(|stream| &stream.pieces);
            places.filter(|place| place.file == time && place.frames > 0)
        };
        let shape = |place: &Place| {
            let frame = frames.get(place.first as usize)?;
            Some((place.first, Shape::take(&mut &frame[..]).ok()?))
        };
        let shapes = places(false).filter_map(shape).collect();
        let numbers: BTreeSet<_> = places(true)
            .flat_map(|place| place.first..place.first.saturating_add(place.frames))
            .collect();
        let frames = (0..).zip(frames);
        let positions = frames.filter(|(n, _)| numbers.contains(n)).collect();
        Ok(Self {
            contents,
            lengths,
            positions,
            shapes,
        })
    }

    /// The bytes of a piece.
    fn size(&self, place: &Place) -> Result<u64> {
        let lengths = file::frames_of(&self.lengths, place)?;
        Ok(lengths.iter().map(|&length| length as u64).sum())
    }

    fn position(&self, place: &Place) -> Vec<u8> {
        let numbers = place.first..place.first.saturating_add(place.frames);
        let frames = self.positions.range(numbers).map(|(_, frame)| &frame[..]);
        frames.collect::<Vec<_>>().concat()
    }
}

type Files = BTreeMap<BatchTime, (u64, Result<Parts>)>;

pub(super) fn inspect_on(disk: &dyn Disk, directory: &Path) -> Result<Inspection> {
    let times = store::times(disk, directory).map_err(|cause| {
        let what = format!(
            "the checkpoint directory {} cannot be read",
            directory.display()
        );
        Error::io(what, cause)
    })?;
    let mut files = Files::new();
    for time in times {
        let path = directory.join(store::file_name(time));
        let size = match disk.open(&path).and_then(|file| file.size()) {
            Ok(size) => size,
            // Removed meanwhile, by the program that writes there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(_) => 0,
        };
        files.insert(time, (size, Parts::read(disk, &path, time)));
    }
    let mut needed_by = BTreeMap::<_, Vec<_>>::new();
    let mut found = Vec::with_capacity(files.len());
    for (&time, (bytes, parts)) in files.iter().rev() {
        let status = match parts {
            Err(error) => Status::Unreadable(error.clone()),
            Ok(parts) => match describe(&parts.contents, &files) {
                Err(error) => Status::Incomplete(error),
                Ok(description) => {
                    for older in parts.contents.needs() {
                        needed_by.entry(older).or_default().push(time);
                    }
                    Status::Whole(description)
                }
            },
        };
        found.push(CheckpointFile {
            name: store::file_name(time),
            bytes: *bytes,
            status,
            needed_by: needed_by.remove(&time).unwrap_or_default(),
        });
    }
    Ok(Inspection {
        directory: directory.to_owned(),
        files: found,
    })
}

fn describe(contents: &Contents, files: &Files) -> Result<Description> {
    let streams = contents.streams.iter().map(|stream| of(stream, files));
    let accumulators = contents.accumulators.iter();
    let accumulator = |(name, saved): (&String, &SavedAccumulator)| {
        let mut value = &saved.bytes[..];
        Ok(AccumulatorDescription {
            name: name.clone(),
            kind: saved.kind.clone(),
            shape: Shape::take(&mut value)?.to_string(),
            value: value.to_vec(),
        })
    };
    Ok(Description {
        batch_time: contents.time,
        zero_time: contents.zero,
        batch_interval: Duration::from_millis(contents.interval_ms),
        engine_version: contents.engine.clone(),
        settings: contents.settings.clone(),
        streams: streams.collect::<Result<_>>()?,
        accumulators: accumulators.map(accumulator).collect::<Result<_>>()?,
    })
}

fn of(stream: &StreamPieces, files: &Files) -> Result<StreamDescription> {
    let parts = |place: &Place| {
        let name = store::file_name(place.file);
        match files.get(&place.file) {
            Some((_, Ok(parts))) => Ok(parts),
            Some((_, Err(error))) => {
                let what = format!("it needs {name}, which cannot be read");
                Err(Error::new(error.kind(), what).with_source(error.clone()))
            }
            None => {
                let what = format!("it needs {name}, which is not there");
                Err(Error::new(ErrorKind::Corrupt, what))
            }
        }
    };
    let sizes = stream.pieces.iter().map(|place| parts(place)?.size(place));
    let bytes = sizes.sum::<Result<u64>>()?;
    let position = stream.pieces.last().filter(|_| stream.is_input);
    let position = position.map(|place| parts(place).map(|parts| parts.position(place)));
    // Not of a piece in which nothing has changed.
    let shape = stream.pieces.iter().rev().find_map(|place| {
        let shape = parts(place).ok()?.shapes.get(&place.first)?;
        (*shape != Shape::Unknown).then(|| shape.to_string())
    });
    Ok(StreamDescription {
        uid: stream.uid.clone(),
        kind: stream.kind.clone(),
        keys: stream.keys,
        pieces: stream.pieces.len(),
        bytes,
        shape,
        position: position.transpose()?,
    })
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = Count(self.files.len() as u64, "file");
        write!(f, "{}: {files}", self.directory.display())?;
        match self.newest() {
            Some(newest) => write!(f, ", recovery begins behind {}", newest.batch_time)?,
            None => f.write_str(", nothing to recover from")?,
        }
        self.files.iter().try_for_each(|file| write!(f, "\n{file}"))
    }
}

impl fmt::Display for CheckpointFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, ", self.name, Count(self.bytes, "byte"))?;
        match (&self.status, &self.needed_by[..]) {
            (Status::Whole(description), _) => write!(f, "whole{description}"),
            (Status::Incomplete(_), [.., oldest]) => write!(
                f,
                "in part, for {} from {oldest} on",
                Count(self.needed_by.len() as u64, "newer checkpoint")
            ),
            (Status::Incomplete(error), []) => write!(f, "not whole: {error}"),
            (Status::Unreadable(error), _) => write!(f, "cannot be read: {error}"),
        }
    }
}

/// Indented lines, each behind a line break.
impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\n  batch {}, zero time {}, batch interval {:?}, written by {}",
            self.batch_time,
            self.zero_time,
            self.batch_interval,
            self.engine_version.escape_debug()
        )?;
        for (name, value) in &self.settings {
            write!(
                f,
                "\n  setting {} = {}",
                name.escape_debug(),
                value.escape_debug()
            )?;
        }
        let mut streams = self.streams.iter();
        streams.try_for_each(|stream| write!(f, "\n  {stream}"))?;
        let mut accumulators = self.accumulators.iter();
        accumulators.try_for_each(|accumulator| write!(f, "\n  {accumulator}"))
    }
}

impl fmt::Display for StreamDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {:?}, {}: ", self.uid, self.kind.escape_debug())?;
        if let Some(keys) = self.keys {
            write!(f, "{}, ", Count(keys, "key"))?;
        }
        let pieces = Count(self.pieces as u64, "piece");
        write!(f, "{} in {pieces}", Count(self.bytes, "byte"))?;
        if let Some(shape) = &self.shape {
            write!(f, " of {shape}")?;
        }
        if let Some(position) = &self.position {
            let (shown, rest) = position.split_at(position.len().min(SHOWN));
            let more = if rest.is_empty() { "" } else { "..." };
            write!(f, ", position {}{more}", shown.escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Display for AccumulatorDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = &mut &self.value[..];
        let number = match &*self.kind {
            "long accumulator" => i64::decode(bytes).ok().map(|value| value.to_string()),
            "double accumulator" => f64::decode(bytes).ok().map(|value| value.to_string()),
            _ => None,
        };
        let value = number.unwrap_or_else(|| {
            let bytes = Count(self.value.len() as u64, "byte");
            format!("{bytes} of {}", self.shape)
        });
        write!(f, "{} {:?}: {value}", self.kind.escape_debug(), self.name)
    }
}

/// So many of something.
struct Count(u64, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", self.0, self.1)
    }
}
