//! Rings of text: received bytes, published line by line.

use std::fmt;
use std::sync::Arc;

use super::RingOptions;
use super::budget::{Budget, Closed};
use super::segment::{Block, Cutter, Measure, Outlet, Progress, Segment, ring};
use super::spent::Spent;
use crate::arch;
use crate::block::TextBlock;
use crate::block::line::{behind_terminator, end_with_feed, first_line};

impl Block for TextBlock {
    fn measure(extent: usize, tally: usize) -> Measure {
        Measure {
            records: tally,
            bytes: extent,
        }
    }

    unsafe fn drop_records(&mut self, _end: usize) {}
}

impl super::Taken<TextBlock> {
    /// The bytes of the range: whole lines with their terminators.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the range was published, so nobody writes to it any more.
        unsafe { self.block().slice(self.start(), self.end()) }
    }
}

impl AsRef<[u8]> for super::Taken<TextBlock> {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

/// Makes a ring of lines, each of at most `max_line_bytes` without its
/// terminator.
pub(crate) fn text_ring(
    options: RingOptions,
    max_line_bytes: usize,
) -> (TextWriter, Cutter<TextBlock>, Arc<Budget>) {
    let (outlet, mut cutter, budget) = ring(options.bound, options.queue);
    let block = options.block.clamp(MIN_BLOCK, Progress::MAX_END);
    let spent = Arc::new(Spent::new((options.bound / block).saturating_add(2)));
    let unused = Arc::clone(&spent);
    cutter.when_at_rest(move || unused.give_back());
    let writer = TextWriter {
        outlet,
        block,
        max_line: max_line_bytes.min(MAX_LINE),
        spent,
        open: None,
        skipping: false,
        carriage: false,
        oversize: 0,
        lossy: options.lossy,
        dropping: false,
        scratch: Vec::new(),
    };
    (writer, cutter, budget)
}

/// The last byte of a block is kept for the terminator that
/// [`TextWriter::finish`] may add; one more is needed to receive anything.
const RESERVED: usize = 1;
const MIN_BLOCK: usize = RESERVED + 1;

/// Bytes that are read at a time to be dropped.
const SCRATCH: usize = 64 << 10;

/// Half of what a block can hold, so that a longest line always finds room
/// behind a block's worth of lines.
const MAX_LINE: usize = Progress::MAX_END / 2;

/// The end of a ring that text is received into.
///
/// ```text
///   spare  ->  filled  ->  publish  ->  (cut)
///
///   | published lines | waiting lines | partial line | spare ... | 1 |
///   0             published       complete         filled     capacity
/// ```
///
/// `\n`, `\r` and `\r\n` end a line. A `\r` at the end of what was received ends
/// its line at once; a `\n` that comes next belongs to it and is removed. So
/// every published range starts where a line starts and ends behind a
/// terminator. Where bytes may be removed behind a `\r`, it is made a `\n`: an
/// empty line that follows must not look like the second half of its end.
pub(crate) struct TextWriter {
    outlet: Outlet<TextBlock>,
    /// Bytes of a block, unless a long line needs more.
    block: usize,
    max_line: usize,
    spent: Arc<Spent>,
    open: Option<Open>,
    /// Inside a line that was too long and dropped: up to its end.
    skipping: bool,
    /// The last byte received was a `\r` that ended its line.
    carriage: bool,
    oversize: u64,
    /// Whether lines are dropped where there is no room, in place of waiting.
    lossy: bool,
    /// The last spare bytes were `scratch`.
    dropping: bool,
    /// Empty until something is dropped.
    scratch: Vec<u8>,
}

/// The block that is being filled.
struct Open {
    segment: Arc<Segment<TextBlock>>,
    /// Behind the last published line.
    published: usize,
    /// Published lines.
    records: usize,
    /// Behind the last complete line.
    complete: usize,
    /// Complete lines that are not published.
    waiting: usize,
    /// Behind the last byte received.
    filled: usize,
    /// How much was offered by the last `spare`.
    offered: usize,
}

impl Open {
    fn capacity(&self) -> usize {
        self.segment.block().capacity()
    }

    /// Room for further bytes.
    fn room(&self) -> usize {
        // `finish` may have used the reserved byte.
        (self.capacity() - RESERVED).saturating_sub(self.filled)
    }

    fn progress(&self) -> Progress {
        Progress::new(self.published, self.records)
    }

    /// Everything from the offset `from` on, which is not before `published`.
    fn own(&mut self, from: usize) -> &mut [u8] {
        assert!(
            (self.published..=self.capacity()).contains(&from),
            "published bytes are shared"
        );
        let start = self.segment.block().as_ptr().wrapping_add(from);
        // SAFETY: blocks are zeroed when they are made; what is not published
        // is known to this one writer only, which is borrowed for as long; and
        // the segment keeps the block.
        unsafe { std::slice::from_raw_parts_mut(start, self.capacity() - from) }
    }

    /// Removes received bytes.
    fn remove(&mut self, from: usize, count: usize) {
        let (filled, start) = (self.filled, self.published);
        self.own(start)
            .copy_within(from - start + count..filled - start, from - start);
        self.filled -= count;
    }
}

impl TextWriter {
    /// Where the next received bytes go: at least one byte, and at most `limit`
    /// (if that is not zero). Waits while there is no room in the ring, unless it may
    /// drop lines: then what comes is counted, line by line, and forgotten.
    ///
    /// Complete lines that were not published yet are carried along when the
    /// block changes, so publish them first.
    ///
    /// # Errors
    /// When the ring is closed.
    pub(crate) fn spare(&mut self, limit: usize) -> Result<&mut [u8], Closed> {
        let held = self
            .open
            .as_ref()
            .map_or(0, |open| open.filled - open.published);
        let opens = self.open.as_ref().is_none_or(|open| open.room() == 0);
        self.dropping = self.lossy && self.outlet.is_full(held, 1, opens);
        if self.dropping {
            self.scratch.resize(SCRATCH, 0);
            return Ok(&mut self.scratch[..SCRATCH.min(limit.max(1))]);
        }
        let allowed = self.outlet.intake.room(held, 1)?;
        if opens {
            self.open_next()?;
        }
        let open = self.open.as_mut().ok_or(Closed)?;
        let len = open.room().min(allowed).min(limit.max(1));
        open.offered = len;
        let filled = open.filled;
        Ok(&mut open.own(filled)[..len])
    }

    /// Takes the first `n` bytes of the last [`spare`](Self::spare) as received.
    /// Returns how many complete lines wait to be published.
    ///
    /// # Panics
    /// If the spare had fewer bytes.
    pub(crate) fn filled(&mut self, n: usize) -> usize {
        if std::mem::take(&mut self.dropping) {
            self.drop_lines(n);
            return self.open.as_ref().map_or(0, |open| open.waiting);
        }
        let Some(open) = &mut self.open else {
            assert!(n == 0, "no spare bytes were asked for");
            return 0;
        };
        assert!(n <= open.offered, "more bytes filled than were spare");
        open.offered = 0;
        let from = open.filled;
        open.filled += n;
        if n == 0 {
            return open.waiting;
        }
        let received = &open.own(from)[..n];
        let ended_here = received[n - 1] == b'\r';
        if std::mem::replace(&mut self.carriage, ended_here) && received[0] == b'\n' {
            open.remove(from, 1);
        }
        if self.skipping {
            let received = open.filled - from;
            let end = first_line(&open.own(from)[..received]).map(|line| line.next);
            open.remove(from, end.unwrap_or(received));
            self.skipping = end.is_none();
        }
        if open.filled - open.complete > self.max_line {
            self.drop_oversize();
        } else {
            let received = open.filled - from;
            let found = arch::terminators(&open.own(from)[..received]);
            if found.count > 0 {
                end_with_feed(&mut open.own(from)[..found.end]);
                open.complete = from + found.end;
                open.waiting += found.count;
            }
        }
        self.open.as_ref().map_or(0, |open| open.waiting)
    }

    /// Publishes up to `max` of the waiting lines: they are in every cut that
    /// begins after this. Returns how many.
    pub(crate) fn publish(&mut self, max: usize) -> usize {
        let Some(open) = &mut self.open else { return 0 };
        let lines = open.waiting.min(max);
        if lines == 0 {
            return 0;
        }
        let start = open.published;
        let end = if lines == open.waiting {
            open.complete
        } else {
            let waiting = open.complete - start;
            start + end_of_lines(&open.own(start)[..waiting], lines)
        };
        open.published = end;
        open.records += lines;
        open.waiting -= lines;
        self.outlet.intake.take(end - start);
        open.segment.publish(open.progress());
        lines
    }

    /// Takes the end of the stream: a last line without a terminator becomes a
    /// line. Returns how many complete lines wait to be published.
    pub(crate) fn finish(&mut self) -> usize {
        self.skipping = false;
        self.carriage = false;
        let Some(open) = &mut self.open else { return 0 };
        if open.filled > open.complete {
            let end = open.filled;
            open.own(end)[0] = b'\n';
            open.filled += 1;
            open.complete = open.filled;
            open.waiting += 1;
        }
        open.waiting
    }

    /// Drops what was received of an unfinished line, as before a new
    /// connection. Returns how many bytes that were.
    pub(crate) fn discard_partial(&mut self) -> usize {
        self.skipping = false;
        self.carriage = false;
        let Some(open) = &mut self.open else { return 0 };
        let partial = open.filled - open.complete;
        open.filled = open.complete;
        partial
    }

    /// How many lines were dropped because they were too long.
    pub(crate) fn oversize_lines(&self) -> u64 {
        self.oversize
    }

    /// Drops the first `n` bytes of the scratch, and the line that they go on with.
    /// A line counts as dropped when its start is.
    #[cold]
    fn drop_lines(&mut self, n: usize) {
        let mut received = &self.scratch[..n];
        let Some(&last) = received.last() else { return };
        if std::mem::replace(&mut self.carriage, last == b'\r') && received[0] == b'\n' {
            received = &received[1..];
        }
        let mut dropped = 0;
        if let Some(open) = &mut self.open
            && open.filled > open.complete
            && !received.is_empty()
        {
            open.filled = open.complete;
            self.skipping = true;
            dropped += 1;
        }
        if self.skipping && !received.is_empty() {
            let line = first_line(received);
            self.skipping = line.is_none();
            received = line.map_or(&[], |line| &received[line.next..]);
        }
        let found = arch::terminators(received);
        dropped += found.count;
        if found.end < received.len() {
            self.skipping = true;
            dropped += 1;
        }
        self.outlet.intake.count_dropped(dropped as u64);
    }

    /// Looks at the lines behind `complete` one by one and drops those that are
    /// too long. What is behind them is moved up, so that published ranges are
    /// whole lines only.
    #[cold]
    fn drop_oversize(&mut self) {
        let Some(open) = &mut self.open else { return };
        let base = open.complete;
        let received = open.filled - base;
        let bytes = &mut open.own(base)[..received];
        let (mut at, mut kept, mut lines) = (0, 0, 0);
        while let Some(line) = first_line(&bytes[at..]) {
            if line.len <= self.max_line {
                bytes.copy_within(at..at + line.next, kept);
                kept += line.next;
                end_with_feed(&mut bytes[..kept]);
                lines += 1;
            } else {
                self.oversize += 1;
            }
            at += line.next;
        }
        let mut partial = received - at;
        if partial > self.max_line {
            self.oversize += 1;
            self.skipping = true;
            partial = 0;
        }
        bytes.copy_within(at..at + partial, kept);
        open.complete = base + kept;
        open.waiting += lines;
        open.filled = open.complete + partial;
    }

    /// Opens a block, with what is not yet published at its front.
    #[cold]
    fn open_next(&mut self) -> Result<(), Closed> {
        self.outlet.wait()?;
        let Some(mut old) = self.open.take() else {
            let block = self.fresh(self.block);
            self.open = Some(self.opened(block, 0, 0, 0));
            return Ok(());
        };
        let carried = old.filled - old.published;
        let complete = old.complete - old.published;
        let block = self.fresh(self.capacity_for(complete, carried));
        let mut next = self.opened(block, complete, old.waiting, carried);
        let from = old.published;
        next.own(0)[..carried].copy_from_slice(&old.own(from)[..carried]);
        // Only now: a cut that finds the old block sealed finds the new one.
        old.segment.publish(old.progress().sealed());
        self.retire(old.segment.block().clone());
        self.open = Some(next);
        Ok(())
    }

    fn opened(&self, block: TextBlock, complete: usize, waiting: usize, filled: usize) -> Open {
        let segment = self.outlet.open(block, Progress::default());
        Open {
            segment,
            published: 0,
            records: 0,
            complete,
            waiting,
            filled,
            offered: 0,
        }
    }

    /// How large a block must be that starts with `carried` bytes, of which the
    /// first `complete` are whole lines.
    fn capacity_for(&self, complete: usize, carried: usize) -> usize {
        // A long line doubles its block, so that it is not copied for each
        // received piece; but no further than the longest line can go.
        let longest = complete + self.max_line + MIN_BLOCK;
        self.block
            .max((2 * carried).clamp(carried + MIN_BLOCK, longest))
    }

    /// How many blocks are kept for reuse.
    #[cfg(all(test, not(loom)))]
    pub(super) fn spent(&self) -> usize {
        self.spent.len()
    }

    /// A block that nobody else holds.
    fn fresh(&self, capacity: usize) -> TextBlock {
        let spent = (capacity == self.block).then(|| self.spent.take());
        spent
            .flatten()
            .unwrap_or_else(|| TextBlock::zeroed(capacity))
    }

    /// Keeps a filled block for later.
    fn retire(&self, block: TextBlock) {
        if block.capacity() == self.block {
            self.spent.put(block);
        }
    }
}

impl fmt::Debug for TextWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextWriter")
            .field("outlet", &self.outlet)
            .field("oversize_lines", &self.oversize)
            .finish_non_exhaustive()
    }
}

/// Where the first `lines` lines of `bytes` end; there are more than these.
fn end_of_lines(bytes: &[u8], lines: usize) -> usize {
    let (mut seen, mut last) = (0, 0);
    arch::lines(bytes, |_, end, _| {
        seen += 1;
        last = end;
        seen < lines
    });
    behind_terminator(bytes, last)
}
