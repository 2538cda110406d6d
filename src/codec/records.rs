//! Records beside their shape: what is read by a program whose types may have changed.
//!
//! ```text
//! records  shape    as in `shape::bytes`; nothing at all if there are no records
//!          bytes    what the owner puts there: records, as their codec writes them, and others
//! ```
//!
//! **Writing.** A record is looked at ([`describe`](RecordCodec::describe)) until its shape
//! can have nothing new: the first one, or the first few, and all of them if there is an
//! enum in it, whose other variants are not known. What is new is read back at once, so a
//! type that cannot be says so now. One that is read only where the bytes say what they are
//! is refused, as an enum that is tagged in itself: its next record might be another one.
//! Object files and what is persisted as bytes are written without the shape, and looked at
//! all the same ([`plain`](RecordWriter::plain)).
//!
//! **Reading.** As long as it is not known whether the type is what it was, a record is read
//! by the names of fields and variants, and looked at. When all of the shape that was saved
//! was seen again, the rest is read as the type of now is written. If a record has another
//! shape, all is read by name to the end.

#[cfg(test)]
#[cfg(feature = "checkpoint")]
mod tests;

use super::RecordCodec;
use super::shape::Shape;
use crate::error::{Error, ErrorKind, Result};

/// Writes records, and notes their shape.
pub(crate) struct RecordWriter<T> {
    codec: RecordCodec<T>,
    shape: Shape,
    /// No record can tell anything new.
    is_closed: bool,
    /// The shape will not be beside the records.
    is_plain: bool,
    /// What was written. The owner may put bytes between the records.
    pub(crate) bytes: Vec<u8>,
}

impl<T> RecordWriter<T> {
    pub(crate) fn new(codec: RecordCodec<T>) -> Self {
        Self {
            codec,
            shape: Shape::Unknown,
            is_closed: false,
            is_plain: false,
            bytes: Vec::new(),
        }
    }

    /// One whose records are read by the type that they have, and not by a shape.
    pub(crate) fn plain(codec: RecordCodec<T>) -> Self {
        Self {
            is_plain: true,
            ..Self::new(codec)
        }
    }

    /// Appends the bytes of a record.
    ///
    /// # Errors
    /// If its type refuses it, or could not be read back.
    pub(crate) fn write(&mut self, record: &T) -> Result<()> {
        if self.is_closed || !self.shows_more(record)? {
            return (self.codec.encode)(record, &mut self.bytes);
        }
        self.is_closed = self.shape.is_closed();
        let before = self.bytes.len();
        (self.codec.encode)(record, &mut self.bytes)?;
        self.read_back(before)
    }

    /// Whether a record shows something of the shape that those before it did not.
    fn shows_more(&mut self, record: &T) -> Result<bool> {
        match (self.codec.describe)(record, &mut self.shape) {
            // A type may know by itself what comes next. What was seen of the record says
            // nothing of others.
            Err(_) if self.is_plain => {
                self.shape = Shape::Unknown;
                Ok(true)
            }
            shows => shows,
        }
    }

    #[cold]
    fn read_back(&mut self, from: usize) -> Result<()> {
        let written = &self.bytes[from..];
        let read = match self.is_plain {
            true => read_plain(self.codec, written),
            false => self.read_by_name(written),
        };
        read.map_err(|error| {
            self.bytes.truncate(from);
            let what = "what was written cannot be read back";
            Error::invalid_argument(what).with_source(error)
        })
    }

    fn read_by_name(&self, written: &[u8]) -> Result<()> {
        read_as(self.codec, &mut &*written, &self.shape)?;
        match (self.codec.decode)(&mut &*written) {
            Err(error) if error.kind() == ErrorKind::Unsupported => Err(error),
            // Not every type is read as it is written: it is read by name then.
            _ => Ok(()),
        }
    }

    /// Appends the shape and all that was written to `out`.
    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        write(&self.shape, &[&self.bytes], out);
    }
}

/// What several wrote of one type: the shape of all, `head`, and the bytes of one behind
/// those of the other.
///
/// # Errors
/// If no record can have all of their shapes.
pub(crate) fn joined<T>(head: &[u8], writers: &[RecordWriter<T>]) -> Result<Vec<u8>> {
    let mut shape = Shape::Unknown;
    for writer in writers {
        shape.merge(&writer.shape).map_err(|_| {
            let one = &writer.shape;
            Error::invalid_argument(format!(
                "records have no shape in common: {shape} and {one}"
            ))
        })?;
    }
    let mut parts = vec![head];
    parts.extend(writers.iter().map(|writer| &*writer.bytes));
    let mut out = Vec::new();
    write(&shape, &parts, &mut out);
    Ok(out)
}

fn write(shape: &Shape, parts: &[&[u8]], out: &mut Vec<u8>) {
    let len = parts.iter().map(|part| part.len()).sum();
    // There are records without bytes, which have a shape.
    if len > 0 || *shape != Shape::Unknown {
        shape.write(out);
        out.reserve_exact(len);
        parts.iter().for_each(|part| out.extend_from_slice(part));
    }
}

fn read_plain<T>(codec: RecordCodec<T>, mut written: &[u8]) -> Result<()> {
    (codec.decode)(&mut written)?;
    match written.len() {
        0 => Ok(()),
        left => {
            let what = format!("{left} of its bytes were not read");
            Err(Error::new(ErrorKind::Corrupt, what))
        }
    }
}

/// Reads a record by the names in a shape. Of a type that nests in itself the shape tells only
/// how it begins, so by name it is read only if nothing seems to differ, as an alias of a field
/// does. What is read as the type of now is written counts then, if it has that shape and would
/// be written as it was.
fn read_as<T>(codec: RecordCodec<T>, input: &mut &[u8], shape: &Shape) -> Result<T> {
    let before = *input;
    (codec.decode_as)(input, shape).or_else(|error| {
        if error.kind() == ErrorKind::Corrupt {
            return Err(error);
        }
        let mut rest = before;
        let Ok(record) = (codec.decode)(&mut rest) else {
            return Err(error);
        };
        let (mut now, mut again) = (Shape::Unknown, Vec::new());
        let is_same = (codec.describe)(&record, &mut now).is_ok()
            && shape.has(&now)
            && (codec.encode)(&record, &mut again).is_ok()
            && again == before[..before.len() - rest.len()];
        if !is_same {
            return Err(error);
        }
        *input = rest;
        Ok(record)
    })
}

/// Reads records that were written beside their shape.
pub(crate) struct RecordReader<T> {
    codec: RecordCodec<T>,
    saved: Shape,
    /// That of the records that were read, as the type of now has it.
    now: Shape,
    how: How,
}

/// How the next record is read.
enum How {
    /// By name, and looked at.
    Trying,
    /// As the type of now is written: nothing has changed.
    Plain,
    /// By the names in the shape that was saved.
    ByName,
}

impl<T> RecordReader<T> {
    /// Takes the shape off the front of what was written.
    ///
    /// # Errors
    /// Of kind [`ErrorKind::Corrupt`].
    pub(crate) fn new(codec: RecordCodec<T>, input: &mut &[u8]) -> Result<Self> {
        Ok(Self {
            codec,
            saved: Shape::take(input)?,
            now: Shape::Unknown,
            how: How::Trying,
        })
    }

    /// Takes a record off the front of `input`.
    ///
    /// # Errors
    /// If what was saved is none of the type of now: which field, and both sides. Of kind
    /// [`ErrorKind::Corrupt`], if the bytes are no record at all.
    pub(crate) fn read(&mut self, input: &mut &[u8]) -> Result<T> {
        match self.how {
            How::Plain => (self.codec.decode)(input),
            How::Trying => self.find_out(input),
            How::ByName => (self.codec.decode_as)(input, &self.saved),
        }
    }

    /// Reads all records that `input` has, which is nothing else.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn read_all(&mut self, mut input: &[u8], mut each: impl FnMut(T)) -> Result<()> {
        while !input.is_empty() {
            let before = input.len();
            each(self.read(&mut input)?);
            if input.len() == before {
                // It would go on for ever.
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    "bytes are left behind the records",
                ));
            }
        }
        Ok(())
    }

    #[cold]
    fn find_out(&mut self, input: &mut &[u8]) -> Result<T> {
        let before = *input;
        let record = read_as(self.codec, input, &self.saved)?;
        let bytes = &before[..before.len() - input.len()];
        if !self.is_as_saved(&record, bytes) {
            self.how = How::ByName;
        }
        Ok(record)
    }

    /// Whether a record that was read from these bytes has the shape that was saved.
    fn is_as_saved(&mut self, record: &T, bytes: &[u8]) -> bool {
        match (self.codec.describe)(record, &mut self.now) {
            Ok(false) => true,
            Ok(true) if self.saved.has(&self.now) && self.is_plain(record, bytes) => {
                if self.now.has(&self.saved) {
                    self.how = How::Plain;
                }
                true
            }
            _ => false,
        }
    }

    /// Whether a record is the same if it is read as it is written now: serde may be told to
    /// skip a field when it writes and not when it reads, and it numbers variants in one way to
    /// write them and in another to read them, if it has to skip one.
    fn is_plain(&self, record: &T, mut bytes: &[u8]) -> bool {
        let Ok(other) = (self.codec.decode)(&mut bytes) else {
            return false;
        };
        if !bytes.is_empty() {
            return false;
        }
        let [mut one, mut two] = [const { Shape::Unknown }; 2];
        let one_is = (self.codec.describe)(record, &mut one);
        let two_is = (self.codec.describe)(&other, &mut two);
        one_is.is_ok() && two_is.is_ok() && one.has(&two) && two.has(&one)
    }
}
