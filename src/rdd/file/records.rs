//! Files of any form: the program reads the records.

use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{BatchFile, InputFile, InputFormat, Once};
use crate::error::{Error, Result};
use crate::rdd::partition::{CHUNK, Partition};
use crate::rdd::pipe::{Chunk, Data};

/// Reads the records of a file, for
/// [`file_stream`](crate::StreamingContext::file_stream).
///
/// A closure that takes an [`InputFile`] and gives an iterator over results is
/// one; their errors are those of this crate or of [`std::io`].
///
/// # Examples
/// ```
/// use std::io::{BufRead, BufReader};
///
/// use millstream::prelude::*;
/// use millstream::rdd::{FileReader, InputFile};
///
/// /// Fields that end with a semicolon, and the file that they stand in.
/// struct Fields;
///
/// impl FileReader<(String, String)> for Fields {
///     fn read(
///         &self,
///         file: InputFile,
///     ) -> millstream::Result<impl Iterator<Item = millstream::Result<(String, String)>>> {
///         let name = file.path().display().to_string();
///         Ok(BufReader::new(file).split(b';').map(move |field| {
///             let field = String::from_utf8(field?)
///                 .map_err(|cause| millstream::Error::invalid_argument("a field").with_source(cause))?;
///             Ok((name.clone(), field))
///         }))
///     }
/// }
///
/// # fn main() -> millstream::Result<()> {
/// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
/// let fields = ssc.file_stream("/var/spool/fields", Fields)?;
/// fields.map(|(_, field)| field).count_by_value().print();
/// # Ok(())
/// # }
/// ```
pub trait FileReader<T>: Send + Sync + 'static {
    /// The records of a file, in order. Runs on a worker, which it should not hold
    /// up but for reading.
    ///
    /// # Errors
    /// Whatever keeps the file from being read, here or behind any record: its
    /// batch fails.
    fn read(&self, file: InputFile) -> Result<impl Iterator<Item = Result<T>>>;
}

impl<T, F, I, E> FileReader<T> for F
where
    F: Fn(InputFile) -> Result<I> + Send + Sync + 'static,
    I: Iterator<Item = Result<T, E>>,
    E: Into<Error>,
{
    fn read(&self, file: InputFile) -> Result<impl Iterator<Item = Result<T>>> {
        Ok(self(file)?.map(|record| record.map_err(Into::into)))
    }
}

/// Records that a reader of the program's own finds.
pub(crate) struct ReaderFiles<T, R> {
    reader: R,
    record: PhantomData<fn() -> T>,
}

impl<T, R> ReaderFiles<T, R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader,
            record: PhantomData,
        }
    }
}

impl<T: Data, R: FileReader<T>> InputFormat<T> for ReaderFiles<T, R> {
    fn split(self: Arc<Self>, file: BatchFile, into: &mut Vec<Arc<dyn Partition<T>>>) {
        into.push(Arc::new(RecordsPart {
            format: self,
            file,
            once: Once::default(),
        }));
    }
}

/// One file.
struct RecordsPart<T, R> {
    format: Arc<ReaderFiles<T, R>>,
    file: BatchFile,
    once: Once,
}

impl<T, R> RecordsPart<T, R> {
    /// Runs the reader's code: what goes wrong names the file, and how much of it
    /// was read then.
    fn guard<U>(&self, position: &AtomicU64, code: impl FnOnce() -> Result<U>) -> Result<U> {
        Error::caught("the reader", code).map_err(|error| {
            let (path, offset) = (&self.file.path, position.load(Ordering::Relaxed));
            let message = format!("{path:?} cannot be read, near byte {offset}");
            Error::new(error.kind(), message).with_source(error)
        })
    }
}

impl<T: Data, R: FileReader<T>> Partition<T> for RecordsPart<T, R> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, T>) -> ControlFlow<()>) -> Result<()> {
        let file = self.file.open()?;
        let position = file.shared_position();
        let mut records = self.guard(&position, || self.format.reader.read(file))?;
        let (mut made, mut count) = (Vec::with_capacity(CHUNK), 0);
        loop {
            let more = self.guard(&position, || fill(&mut made, &mut records))?;
            count += made.len() as u64;
            if !made.is_empty() && each(Chunk::Owned(&mut made)).is_break() {
                return Ok(());
            }
            made.clear();
            if !more {
                break;
            }
        }
        self.once.count(&self.file.tally, count);
        self.file.compare_named();
        Ok(())
    }

    fn count(&self) -> Option<usize> {
        None
    }

    fn weight(&self) -> usize {
        // Nobody knows how large a record is.
        usize::try_from(self.file.len / 16).unwrap_or(usize::MAX / 2) + 256
    }
}

/// Makes up to a chunk of records; whether there may be more.
fn fill<T>(made: &mut Vec<T>, records: &mut impl Iterator<Item = Result<T>>) -> Result<bool> {
    while made.len() < CHUNK {
        match records.next() {
            Some(record) => made.push(record?),
            None => return Ok(false),
        }
    }
    Ok(true)
}
