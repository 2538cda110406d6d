//! Lines of text: a partition that is a range of a received block.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use super::partition::Partition;
use super::pipe::Chunk;
use crate::block::{Memory, Str, Taken, TextBlock, TextRange};
use crate::error::Result;

/// Lines that are handed over at a time: few enough for the nearest cache, many
/// enough to forget the call.
const CHUNK: usize = 256;

/// Bytes that one worker takes at a time, where several share a block: some tenths
/// of a millisecond of work.
const PIECE: usize = 64 * 1024;

/// Whole lines in a range of a block.
#[derive(Debug)]
pub(crate) struct Lines(TextRange);

impl From<TextRange> for Lines {
    fn from(range: TextRange) -> Self {
        Self(range)
    }
}

impl From<Taken<TextBlock>> for Lines {
    /// The lines that a cut took.
    fn from(taken: Taken<TextBlock>) -> Self {
        Self(TextRange::from(taken))
    }
}

impl Lines {
    /// The lines of a copy of `text`.
    pub(crate) fn copy_of(text: &[u8]) -> Self {
        Self(TextRange::copy_of(text))
    }

    /// The lines of a part, which begins and ends with lines.
    fn hand_over(
        &self,
        range: Range<usize>,
        each: &mut dyn FnMut(Chunk<'_, Str>) -> ControlFlow<()>,
    ) {
        // All strings of this thread that point into the block are counted here.
        let _lease = self.0.lease();
        let mut lines = Vec::with_capacity(CHUNK);
        self.0.lines_in(range, |line| {
            lines.push(line);
            if lines.len() < CHUNK {
                return true;
            }
            let flow = each(Chunk::Owned(&mut lines));
            lines.clear();
            flow.is_continue()
        });
        if !lines.is_empty() {
            let _ = each(Chunk::Owned(&mut lines));
        }
    }
}

impl Partition<Str> for Lines {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, Str>) -> ControlFlow<()>) -> Result<()> {
        self.hand_over(0..self.0.len(), each);
        Ok(())
    }

    fn pieces(&self) -> usize {
        self.0.len().div_ceil(PIECE)
    }

    fn piece(
        &self,
        index: usize,
        each: &mut dyn FnMut(Chunk<'_, Str>) -> ControlFlow<()>,
    ) -> Result<()> {
        let start = self.0.line_from(index * PIECE);
        let end = self.0.line_from((index + 1) * PIECE);
        self.hand_over(start..end, each);
        Ok(())
    }

    fn count(&self) -> Option<usize> {
        Some(self.0.count())
    }

    fn weight(&self) -> usize {
        // Most programs work on words.
        self.0.len() / 8
    }

    fn home(&self) -> Option<usize> {
        self.0.home()
    }

    fn keep(&self, memory: &Arc<Memory>) {
        self.0.keep(memory);
    }
}
