//! Lines of text: a partition that is a range of a received block.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::partition::Partition;
use super::pipe::Chunk;
use crate::block::{Memory, Mend, Str, Taken, TextBlock, TextRange};
use crate::conf::InvalidUtf8;
use crate::error::{Error, ErrorKind, Result};

/// Lines that are handed over at a time: few enough for the nearest cache, many
/// enough to forget the call.
const CHUNK: usize = 256;

/// Bytes that one worker takes at a time, where several share a block: some tenths
/// of a millisecond of work.
const PIECE: usize = 64 * 1024;

/// How a stream of lines is read.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// What becomes of a line that is not UTF-8.
    pub(crate) invalid: InvalidUtf8,
    /// The name of the stream, for errors.
    pub(crate) stream: String,
}

/// Whole lines in a range of a block.
#[derive(Debug)]
pub(crate) struct Lines {
    range: TextRange,
    reading: Arc<Reading>,
    invalid: OnceLock<Box<Invalid>>,
}

impl Lines {
    /// The lines that a cut took.
    pub(crate) fn taken(taken: Taken<TextBlock>, reading: &Arc<Reading>) -> Self {
        Self::new(TextRange::from(taken), reading)
    }

    /// The lines of a copy of `text`.
    pub(crate) fn copy_of(text: &[u8], reading: &Arc<Reading>) -> Self {
        Self::new(TextRange::copy_of(text), reading)
    }

    fn new(range: TextRange, reading: &Arc<Reading>) -> Self {
        Self {
            range,
            reading: Arc::clone(reading),
            invalid: OnceLock::new(),
        }
    }

    /// The lines of a part, which begins and ends with lines.
    fn read(
        &self,
        part: Range<usize>,
        each: &mut dyn FnMut(Chunk<'_, Str>) -> ControlFlow<()>,
    ) -> Result<()> {
        hand_over(&self.range, part, each, |start, wrong| {
            self.count_invalid(start);
            mend(self.reading.invalid, || {
                let line = self.range.lines_before(start) + 1;
                let what = format!("line {line} of a block is not UTF-8 from its byte {wrong} on");
                Error::new(ErrorKind::Corrupt, what).with_stream(&*self.reading.stream)
            })
        })
    }

    #[cold]
    fn count_invalid(&self, start: usize) {
        let invalid = self.invalid.get_or_init(|| Invalid::new(self.pieces()));
        invalid.count(start);
    }
}

/// Hands over the lines of a part of a range; `invalid` says what becomes of those
/// that are not UTF-8, as [`TextRange::lines_or`] has it.
pub(super) fn hand_over(
    range: &TextRange,
    part: Range<usize>,
    each: &mut dyn FnMut(Chunk<'_, Str>) -> ControlFlow<()>,
    mut invalid: impl FnMut(usize, usize) -> Result<Mend>,
) -> Result<()> {
    // All strings of this thread that point into the block are counted here.
    let _lease = range.lease();
    let mut lines = Vec::with_capacity(CHUNK);
    let mut failed = None;
    let push = |line| {
        lines.push(line);
        if lines.len() < CHUNK {
            return true;
        }
        let flow = each(Chunk::Owned(&mut lines));
        lines.clear();
        flow.is_continue()
    };
    range.lines_or(part, push, |start, wrong| match invalid(start, wrong) {
        Ok(mend) => mend,
        Err(error) => {
            failed = Some(error);
            Mend::Stop
        }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    if !lines.is_empty() {
        let _ = each(Chunk::Owned(&mut lines));
    }
    Ok(())
}

/// What the setting means for a line.
pub(super) fn mend(setting: InvalidUtf8, error: impl FnOnce() -> Error) -> Result<Mend> {
    match setting {
        InvalidUtf8::Replace => Ok(Mend::Replace),
        InvalidUtf8::Skip => Ok(Mend::Skip),
        InvalidUtf8::Error => Err(error()),
    }
}

/// The lines that were found not to be UTF-8, each counted once however often and
/// by how many workers at a time it is read.
///
/// Whoever reads a piece meets its lines in their order. So a line was counted
/// already if it is not behind the last one of its piece that was.
#[derive(Debug)]
struct Invalid {
    lines: AtomicU64,
    /// For each piece the place behind the beginning of the last line counted.
    counted: Box<[AtomicUsize]>,
}

impl Invalid {
    fn new(pieces: usize) -> Box<Self> {
        Box::new(Self {
            lines: AtomicU64::new(0),
            counted: (0..pieces).map(|_| AtomicUsize::new(0)).collect(),
        })
    }

    /// Relaxed: counters that nothing else depends on.
    fn count(&self, start: usize) {
        // A line belongs to the piece that it begins in.
        let counted = &self.counted[start / PIECE];
        if counted.fetch_max(start + 1, Ordering::Relaxed) <= start {
            self.lines.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Partition<Str> for Lines {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, Str>) -> ControlFlow<()>) -> Result<()> {
        self.read(0..self.range.len(), each)
    }

    fn pieces(&self) -> usize {
        self.range.len().div_ceil(PIECE)
    }

    fn piece(
        &self,
        index: usize,
        each: &mut dyn FnMut(Chunk<'_, Str>) -> ControlFlow<()>,
    ) -> Result<()> {
        let start = self.range.line_from(index * PIECE);
        let end = self.range.line_from((index + 1) * PIECE);
        self.read(start..end, each)
    }

    fn count(&self) -> Option<usize> {
        // Otherwise that is known when they were read.
        (self.reading.invalid == InvalidUtf8::Replace).then(|| self.range.count())
    }

    fn weight(&self) -> usize {
        // Most programs work on words.
        self.range.len() / 8
    }

    fn home(&self) -> Option<usize> {
        self.range.home()
    }

    fn keep(&self, memory: &Arc<Memory>) {
        self.range.keep(memory);
    }

    fn invalid_lines(&self) -> u64 {
        let invalid = self.invalid.get();
        invalid.map_or(0, |invalid| invalid.lines.load(Ordering::Relaxed))
    }
}
