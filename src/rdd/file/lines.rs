//! Text files: each line a record.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::gzip::{Inflated, Limits};
use super::{BatchFile, InputFile, InputFormat, Once, parts};
use crate::block::{LineReader, LineRules, Str};
use crate::conf::InvalidUtf8;
use crate::error::{Error, ErrorKind, Result};
use crate::rdd::lines::{hand_over, mend};
use crate::rdd::partition::Partition;
use crate::rdd::pipe::Chunk;

/// Lines of UTF-8 text.
#[derive(Debug)]
pub(crate) struct TextFiles {
    /// About how many bytes a partition has.
    pub(crate) part_bytes: usize,
    /// A longer line is dropped.
    pub(crate) max_line_bytes: usize,
    pub(crate) invalid: InvalidUtf8,
    pub(crate) gzip: Limits,
}

impl InputFormat<Str> for TextFiles {
    fn split(self: Arc<Self>, file: BatchFile, into: &mut Vec<Arc<dyn Partition<Str>>>) {
        let compressed = is_gzip(&file.path);
        let file = Arc::new(file);
        let size = if compressed {
            u64::MAX
        } else {
            self.part_bytes as u64
        };
        into.extend(parts(file.len, size, 1).map(|(from, until)| {
            Arc::new(TextPart {
                format: Arc::clone(&self),
                file: Arc::clone(&file),
                compressed,
                from,
                until,
                once: Once::default(),
            }) as Arc<dyn Partition<Str>>
        }));
    }
}

/// By its name, as what it holds is not looked at before its batch runs.
fn is_gzip(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}

/// The lines that start in a part of a file.
struct TextPart {
    format: Arc<TextFiles>,
    file: Arc<BatchFile>,
    compressed: bool,
    from: u64,
    until: u64,
    once: Once,
}

/// The text in a file.
enum Content {
    Plain(InputFile),
    Inflated(Box<Inflated>),
}

impl Content {
    fn file(&self) -> &InputFile {
        match self {
            Self::Plain(file) => file,
            Self::Inflated(inflated) => inflated.file(),
        }
    }

    /// How much of the file was used.
    fn offset(&self) -> u64 {
        match self {
            Self::Plain(file) => file.position(),
            Self::Inflated(inflated) => inflated.offset(),
        }
    }
}

impl Read for Content {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(to),
            Self::Inflated(inflated) => inflated.read(to),
        }
    }
}

impl TextPart {
    fn is_last(&self) -> bool {
        self.until == u64::MAX
    }

    /// How many bytes of the file it has, as far as is known.
    fn len(&self) -> u64 {
        self.until.min(self.file.len) - self.from
    }

    fn open(&self) -> Result<LineReader<Content>> {
        let mut expected = self.len();
        let whole = self.from == 0 && self.is_last();
        let mut file = if whole {
            self.file.open()?
        } else {
            self.file.open_part()?
        };
        let content = if self.compressed {
            expected = u64::MAX;
            Content::Inflated(Box::new(Inflated::new(file, self.format.gzip)?))
        } else {
            let start = LineReader::<Content>::start_of(self.from);
            if start > 0 {
                file.seek(SeekFrom::Start(start))
                    .map_err(|cause| self.file.failed(start, cause))?;
            }
            Content::Plain(file)
        };
        let rules = LineRules {
            max_line: self.format.max_line_bytes,
            from: self.from,
            until: self.until,
            expected,
        };
        Ok(LineReader::new(content, rules))
    }

    /// The line that begins at `start` of what was read last is not UTF-8.
    #[cold]
    fn invalid(&self, reader: &LineReader<Content>, start: usize, wrong: usize) -> Error {
        let (path, offset) = (&self.file.path, reader.given() + start as u64);
        let at = if reader.oversize_lines() > 0 {
            "near"
        } else {
            "at"
        };
        let what = format!(
            "{path:?}: the line {at} byte {offset} of the text is not UTF-8 from its byte {wrong} \
             on"
        );
        Error::new(ErrorKind::Corrupt, what)
    }

    /// All lines were read.
    fn finish(&self, reader: &LineReader<Content>, lines: u64, invalid: u64) -> Result<()> {
        let oversize = reader.oversize_lines();
        if oversize > 0 {
            tracing::warn!(
                file = ?self.file.path,
                lines = oversize,
                "lines were longer than max_line_bytes and dropped"
            );
        }
        let tally = &self.file.tally;
        if self.once.count(tally, lines) {
            tally.oversize.fetch_add(oversize, Ordering::Relaxed);
            tally.invalid.fetch_add(invalid, Ordering::Relaxed);
        }
        if self.is_last() {
            self.file.compare_open(reader.source().file())?;
        }
        Ok(())
    }
}

impl Partition<Str> for TextPart {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, Str>) -> ControlFlow<()>) -> Result<()> {
        let mut reader = self.open()?;
        let (mut lines, mut invalid) = (0, 0);
        loop {
            let range = match reader.next() {
                Ok(Some(range)) => range,
                Ok(None) => return self.finish(&reader, lines, invalid),
                Err(cause) => return Err(self.file.failed(reader.source().offset(), cause)),
            };
            let mut flow = ControlFlow::Continue(());
            let mut counted = |chunk: Chunk<'_, Str>| {
                lines += chunk.len() as u64;
                flow = each(chunk);
                flow
            };
            hand_over(&range, 0..range.len(), &mut counted, |start, wrong| {
                invalid += 1;
                mend(self.format.invalid, || self.invalid(&reader, start, wrong))
            })?;
            if flow.is_break() {
                return Ok(());
            }
        }
    }

    fn count(&self) -> Option<usize> {
        None
    }

    fn weight(&self) -> usize {
        // As lines at rest, and something for opening the file.
        usize::try_from(self.len() / 8).unwrap_or(usize::MAX / 2) + 256
    }
}
