//! Lines of text: a partition that is a range of a received block.

use std::fmt;
use std::ops::ControlFlow;

use super::partition::Partition;
use super::pipe::Chunk;
use crate::arch;
use crate::block::{Str, Taken, TextBlock};
use crate::error::Result;

/// Lines that are handed over at a time: few enough for the nearest cache, many
/// enough to forget the call.
const CHUNK: usize = 256;

/// Whole lines in a range of a block.
pub(crate) struct Lines<H> {
    block: TextBlock,
    start: usize,
    end: usize,
    count: usize,
    /// What is released when nobody needs the lines any more.
    _hold: H,
}

impl<H> Lines<H> {
    /// The `count` lines in `start..end` of a block.
    ///
    /// # Safety
    /// The range was published: nobody writes to it any more.
    pub(crate) unsafe fn new(
        block: TextBlock,
        start: usize,
        end: usize,
        count: usize,
        hold: H,
    ) -> Self {
        Self {
            block,
            start,
            end,
            count,
            _hold: hold,
        }
    }
}

impl Lines<Taken<TextBlock>> {
    /// The lines that a cut took; gone, they give their bytes back to the ring.
    pub(crate) fn received(taken: Taken<TextBlock>) -> Self {
        let (block, start, end) = (taken.block().clone(), taken.start(), taken.end());
        // SAFETY: a cut takes only what was published.
        unsafe { Self::new(block, start, end, taken.records(), taken) }
    }
}

impl<H> Lines<H> {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the constructor was given a published range.
        unsafe { self.block.slice(self.start, self.end) }
    }

    /// The line at `start..end` of the range; bytes that are not UTF-8 become
    /// U+FFFD, as in Spark.
    #[inline]
    fn line(&self, start: usize, end: usize, ascii: bool) -> Str {
        if !ascii {
            let line = String::from_utf8_lossy(&self.bytes()[start..end]);
            if let std::borrow::Cow::Owned(mended) = line {
                return Str::from(mended);
            }
        }
        // SAFETY: published by the constructor's contract, and just checked.
        unsafe { Str::slice_of(&self.block, self.start + start, self.start + end) }
    }
}

impl<H: Send + Sync> Partition<Str> for Lines<H> {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, Str>) -> ControlFlow<()>) -> Result<()> {
        // All strings of this thread that point into the block are counted here.
        let _lease = self.block.lease();
        let bytes = self.bytes();
        let mut lines = Vec::with_capacity(CHUNK);
        arch::lines(bytes, |start, end, ascii| {
            lines.push(self.line(start, end, ascii));
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
        Ok(())
    }

    fn count(&self) -> Option<usize> {
        Some(self.count)
    }

    fn weight(&self) -> usize {
        // Most programs work on words.
        (self.end - self.start) / 8
    }
}

impl<H> fmt::Debug for Lines<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines")
            .field("bytes", &(self.end - self.start))
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
