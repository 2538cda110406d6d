//! Inputs that are files.

use std::panic::Location;
use std::sync::Arc;

use super::StreamingContext;
use crate::block::Str;
use crate::dstream::DStream;
use crate::dstream::input::file::{Directory, FileDirect};
use crate::error::{Error, Result};
use crate::rdd::file::{FileReader, FixedLengthFiles, InputFormat, Limits, ReaderFiles, TextFiles};
use crate::rdd::pipe::Data;

/// # Input streams
impl StreamingContext {
    /// The lines of new text files in a directory, or in all directories that
    /// match a pattern such as `/logs/app-*`: UTF-8, ended by `\n`, `\r` or
    /// `\r\n`; bytes that are not UTF-8 become U+FFFD, unless `invalid_utf8` says
    /// otherwise; a byte order mark at the beginning is left out. A line of more than
    /// `max_line_bytes` is dropped and reported. With the feature `gzip`, files whose
    /// names end in `.gz` are decompressed; without it their batch fails.
    ///
    /// Guide: Basic Sources, File Streams. Each file is in one batch: the first
    /// one whose time is not before the file's modification time. Write it
    /// elsewhere and *rename* it into the directory when it is done; what is
    /// appended later is not read. Names that begin with `.` or `_` or end with
    /// `.tmp`, directories in the directory, pipes and broken links are left out.
    /// So are files that turn up later than `file_stream_min_remember_duration`
    /// (60 s) after they were modified. What is left out is counted, and told in
    /// the log and in [`InputInfo`](crate::listener::InputInfo). [`Directory`] has
    /// a filter, and takes files that are there already. A directory that is
    /// missing gives empty batches until it is there.
    ///
    /// A batch has one partition per file, more for files of more than
    /// `block_bytes` that are not compressed. Each action on a batch reads its
    /// files, on the workers, some chunks at a time, so they have to stay until
    /// then; windows and [`cache`](crate::DStream::cache) read them once and keep
    /// the lines. A file that is gone or damaged fails the batch, and the error
    /// names it. The directories are listed on the thread that runs the job, at
    /// most once per batch; that takes a microsecond or two for every file that is
    /// in them, so move away what was read.
    ///
    /// # Errors
    /// If the context was started, or the pattern is not one.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let errors = ssc.text_file_stream("/var/log/app")?.filter(|line| line.contains("ERROR"));
    /// errors.count().print();
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "textFileStream")]
    #[track_caller]
    pub fn text_file_stream(&self, directory: impl Into<Directory>) -> Result<DStream<Str>> {
        let conf = &self.inner.conf;
        let lines = TextFiles {
            part_bytes: conf.block_bytes,
            max_line_bytes: conf.max_line_bytes,
            invalid: conf.invalid_utf8,
            gzip: Limits {
                max_ratio: conf.max_inflate_ratio as u64,
                max_bytes: conf.max_inflated_bytes as u64,
            },
        };
        let place = ("text_file_stream", Location::caller());
        self.files(place, directory.into(), lines)
    }

    /// The records that `reader` finds in new files of a directory. Which files
    /// those are, and when they are read:
    /// [`text_file_stream`](Self::text_file_stream). One partition per file; no
    /// file is decompressed.
    ///
    /// # Errors
    /// If the context was started, or the pattern is not one.
    ///
    /// # Examples
    /// ```
    /// use std::io::{BufRead, BufReader};
    ///
    /// use millstream::prelude::*;
    /// use millstream::InputFile;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let fields = ssc.file_stream("/var/spool/fields", |file: InputFile| {
    ///     Ok(BufReader::new(file).split(b';'))
    /// })?;
    /// fields.count().print();
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "fileStream")]
    #[track_caller]
    pub fn file_stream<T: Data>(
        &self,
        directory: impl Into<Directory>,
        reader: impl FileReader<T>,
    ) -> Result<DStream<T>> {
        let place = ("file_stream", Location::caller());
        self.files(place, directory.into(), ReaderFiles::new(reader))
    }

    /// The records of `record_length` bytes in new files of a directory. Which
    /// files those are, and when they are read:
    /// [`text_file_stream`](Self::text_file_stream). A file whose length is no
    /// multiple of that of a record fails its batch. Each record is an allocation
    /// of its own; [`file_stream`](Self::file_stream) can make them numbers at
    /// once.
    ///
    /// # Errors
    /// If the context was started, the pattern is not one, or the length is zero.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let samples = ssc.binary_records_stream("/var/spool/samples", 8)?;
    /// let numbers = samples.map(|bytes| bytes.iter().fold(0, |n, &byte| n << 8 | u64::from(byte)));
    /// numbers.reduce(u64::max).print();
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "binaryRecordsStream")]
    #[track_caller]
    pub fn binary_records_stream(
        &self,
        directory: impl Into<Directory>,
        record_length: usize,
    ) -> Result<DStream<Arc<[u8]>>> {
        let site = Location::caller();
        if record_length == 0 {
            let rule = "binary_records_stream: record_length is 0; it must be at least 1";
            return Err(Error::invalid_argument(rule).at(site));
        }
        let records = FixedLengthFiles {
            record_length,
            part_bytes: self.inner.conf.block_bytes,
        };
        let place = ("binary_records_stream", site);
        self.files(place, directory.into(), records)
    }

    fn files<T: Data>(
        &self,
        place: (&'static str, &'static Location<'static>),
        directory: Directory,
        format: impl InputFormat<T>,
    ) -> Result<DStream<T>> {
        let inner = &self.inner;
        let min_remember = inner.conf.file_stream_min_remember_duration;
        FileDirect::declare(
            &inner.graph,
            &inner.clock,
            place,
            directory,
            min_remember,
            format,
        )
    }
}
