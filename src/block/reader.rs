//! Lines of a byte source that can be read from the beginning to the end: a file,
//! or what comes out of a decompressor.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;

use super::line::{end_with_feed, first_line};
use super::{TextBlock, TextRange};

/// Bytes of a block, unless a long line needs more: as many as stay in the cache
/// from being read until the lines are used.
const BLOCK: usize = 256 << 10;

/// What a block can hold, and a bit less.
const MAX_LINE: usize = 1 << 30;

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Which lines a [`LineReader`] gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineRules {
    /// The bytes that a line may have without its terminator; a longer one is
    /// dropped.
    pub(crate) max_line: usize,
    /// Lines that start before this offset are not given...
    pub(crate) from: u64,
    /// ... nor those that start here or later.
    pub(crate) until: u64,
    /// How many bytes are expected: a small block will do for them.
    pub(crate) expected: u64,
}

/// Cuts a source into ranges of whole lines.
///
/// `\n`, `\r` and `\r\n` end a line; a last line may lack its terminator. A UTF-8
/// byte order mark at the beginning is left out. The parts of a source that is
/// read by several readers, `from` one's `until`, have each line in one part.
///
/// A block is filled again once nobody holds what was given of it before.
pub(crate) struct LineReader<R> {
    source: R,
    block: TextBlock,
    size: usize,
    max_line: usize,
    until: u64,
    /// What was read and not given yet is `start..filled` of the block.
    start: usize,
    filled: usize,
    /// The offset in the source of what will be read next.
    position: u64,
    /// Inside a line that is not given: up to its end.
    skipping: bool,
    /// The last byte read was a `\r` that ended its line.
    carriage: bool,
    done: bool,
    oversize: u64,
    given: u64,
}

impl<R: Read> LineReader<R> {
    /// Reads a source that stands at [`start_of`](Self::start_of)`(from)`.
    pub(crate) fn new(source: R, rules: LineRules) -> Self {
        // One more, to see the end of the source; a mark has to fit.
        let size = rules.expected.max(MARK.len() as u64).saturating_add(1);
        let size = size.min(BLOCK as u64) as usize;
        Self {
            source,
            block: TextBlock::zeroed(size),
            size,
            max_line: rules.max_line.min(MAX_LINE),
            until: rules.until,
            start: 0,
            filled: 0,
            position: Self::start_of(rules.from),
            skipping: rules.from > 0,
            carriage: false,
            done: rules.from >= rules.until,
            oversize: 0,
            given: 0,
        }
    }

    /// Where to begin reading for the lines that start at `from` or later: whether
    /// one starts there, the byte before tells.
    pub(crate) fn start_of(from: u64) -> u64 {
        from.saturating_sub(1)
    }

    /// The next whole lines; none behind the last ones.
    ///
    /// # Errors
    /// Those of the source.
    pub(crate) fn next(&mut self) -> io::Result<Option<TextRange>> {
        while !self.done {
            if let Some((start, end)) = self.read()? {
                self.given = self.position - (self.filled - start) as u64;
                return Ok(Some(TextRange::at_rest(self.block.clone(), start, end)));
            }
        }
        Ok(None)
    }

    /// Reads once; gives the range of the block that has whole lines then.
    fn read(&mut self) -> io::Result<Option<(usize, usize)>> {
        let partial = self.filled - self.start;
        // A long line doubles its block, but no further than it may go.
        let size = self.size.max((2 * partial).min(self.max_line + 1));
        let bytes = with_room(&mut self.block, self.start..self.filled, size);
        self.start = 0;
        self.filled = partial;
        let n = match self.source.read(&mut bytes[partial..]) {
            Ok(n) => n,
            Err(cause) if cause.kind() == ErrorKind::Interrupted => return Ok(None),
            Err(cause) => return Err(cause),
        };
        if n == 0 {
            // What is left is a last line without a terminator.
            self.done = true;
            if self.skipping {
                // It began before, and might have been a mark.
                self.start = self.filled;
            }
            self.drop_oversize_partial();
            return Ok((self.start < self.filled).then_some((self.start, self.filled)));
        }
        let before = self.position;
        self.position += n as u64;
        self.filled += n;
        let bytes = &mut bytes[..self.filled];
        if before < MARK.len() as u64 && self.position == self.filled as u64 {
            if bytes.len() < MARK.len() && MARK.starts_with(bytes) {
                return Ok(None);
            }
            if bytes.starts_with(MARK) {
                // The line behind it is the one that starts at the beginning.
                self.start = MARK.len();
                self.until = self.until.max(self.start as u64 + 1);
            }
        }
        let (position, filled) = (self.position, self.filled);
        let offset = |at| position - (filled - at) as u64;
        if std::mem::replace(&mut self.carriage, bytes.ends_with(b"\r")) && bytes[0] == b'\n' {
            self.start = 1;
        }
        if self.skipping {
            let end = first_line(&bytes[self.start..]).map(|line| line.next);
            self.skipping = end.is_none();
            self.start = end.map_or(self.filled, |end| self.start + end);
        }
        if offset(self.start) >= self.until {
            self.done = true;
            return Ok(None);
        }
        let scan = self.start.max(partial);
        let Some(last) = memchr::memrchr2(b'\n', b'\r', &bytes[scan..]) else {
            self.drop_oversize_partial();
            return Ok(None);
        };
        let mut lines = self.start..scan + last + 1;
        self.start = lines.end;
        if offset(lines.end) >= self.until {
            // The last line that starts before `until` ends with the first
            // terminator from the byte before it on.
            let before = lines.start + (self.until - 1 - offset(lines.start)) as usize;
            let line = first_line(&bytes[before..lines.end]);
            lines.end = line.map_or(lines.end, |line| before + line.next);
            self.done = true;
        }
        if lines.len() > self.max_line {
            let kept = drop_oversize(&mut bytes[lines.clone()], self.max_line);
            self.oversize += kept.dropped;
            lines.end = lines.start + kept.bytes;
        }
        if !self.done {
            self.drop_oversize_partial();
        }
        Ok((!lines.is_empty()).then_some((lines.start, lines.end)))
    }

    /// A line that is too long already is not kept until it ends.
    fn drop_oversize_partial(&mut self) {
        if self.filled - self.start > self.max_line {
            self.oversize += 1;
            self.skipping = true;
            self.start = self.filled;
        }
    }

    /// How many lines were dropped because they were too long.
    pub(crate) fn oversize_lines(&self) -> u64 {
        self.oversize
    }

    /// The offset in the source of what was given last; lines that were dropped in it
    /// are missing behind that.
    pub(crate) fn given(&self) -> u64 {
        self.given
    }

    pub(crate) fn source(&self) -> &R {
        &self.source
    }
}

/// All bytes of a block that nobody else holds, with those of `partial` at the
/// front and room behind them: the same block, or a new one.
fn with_room(block: &mut TextBlock, partial: Range<usize>, size: usize) -> &mut [u8] {
    let len = partial.len();
    match block.get_mut() {
        Some(bytes) if len < bytes.len() => bytes.copy_within(partial, 0),
        _ => {
            let mut next = TextBlock::zeroed(size);
            let to = next.get_mut().expect("nobody else has the new block");
            // SAFETY: read before, and written to only by the one owner of a block,
            // which nobody is now.
            let from = unsafe { block.slice(partial.start, partial.end) };
            to[..len].copy_from_slice(from);
            *block = next;
        }
    }
    block.get_mut().expect("nobody else has the block")
}

/// What is left of some lines.
struct Kept {
    bytes: usize,
    dropped: u64,
}

/// Drops the lines that are too long and moves the others up.
#[cold]
fn drop_oversize(lines: &mut [u8], max_line: usize) -> Kept {
    let mut at = 0;
    let mut kept = Kept {
        bytes: 0,
        dropped: 0,
    };
    while let Some(line) = first_line(&lines[at..]) {
        if line.len <= max_line {
            lines.copy_within(at..at + line.next, kept.bytes);
            kept.bytes += line.next;
            end_with_feed(&mut lines[..kept.bytes]);
        } else {
            kept.dropped += 1;
        }
        at += line.next;
    }
    kept
}

impl<R> fmt::Debug for LineReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineReader")
            .field("position", &self.position)
            .field("oversize", &self.oversize)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::super::{Str, naive};
    use super::*;

    /// Gives the bytes in pieces of the lengths that it was told, again and again.
    struct Pieces<'b> {
        bytes: &'b [u8],
        lengths: Vec<usize>,
        reads: usize,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let length = self.lengths[self.reads % self.lengths.len()];
            self.reads += 1;
            if length == 0 {
                return Err(ErrorKind::Interrupted.into());
            }
            let n = length.min(to.len()).min(self.bytes.len());
            to[..n].copy_from_slice(&self.bytes[..n]);
            self.bytes = &self.bytes[n..];
            Ok(n)
        }
    }

    fn rules(max_line: usize) -> LineRules {
        LineRules {
            max_line,
            from: 0,
            until: u64::MAX,
            expected: 10,
        }
    }

    /// The lines that start in `from..until`, and how many of them were too long.
    fn lines(bytes: &[u8], lengths: &[usize], rules: LineRules, keep: bool) -> (Vec<Str>, u64) {
        let start = LineReader::<Pieces<'_>>::start_of(rules.from) as usize;
        let pieces = Pieces {
            bytes: bytes.get(start..).unwrap_or_default(),
            lengths: lengths.to_vec(),
            reads: 0,
        };
        let mut reader = LineReader::new(pieces, rules);
        let (mut all, mut kept) = (Vec::new(), Vec::new());
        while let Some(range) = reader.next().expect("it gives no error") {
            range.lines_in(0..range.len(), |line| {
                all.push(if keep { line } else { line.compact() });
                true
            });
            if keep {
                kept.push(range);
            }
        }
        (all, reader.oversize_lines())
    }

    #[test]
    fn lines_of_all_ends() {
        let text = b"\xef\xbb\xbfto be\r\nor\n\r\rnot to be, that is the question\nb\xffd";
        let expected = [
            "to be",
            "or",
            "",
            "",
            "not to be, that is the question",
            "b\u{fffd}d",
        ];
        let (lines, oversize) = lines(text, &[1000], rules(100), false);
        assert_eq!(lines, expected);
        assert_eq!(oversize, 0);
    }

    /// Found by fuzzing: a mark was a part of the first line if it came in pieces, as out
    /// of a small member of a compressed file, and that line was lost if a part ended in it.
    #[test]
    fn a_mark_in_pieces_is_left_out_and_its_line_is_in_the_first_part() {
        let text = b"\xef\xbb\xbfto\nbe";
        for length in 1..5 {
            for until in 1..5 {
                let part = |from, until| LineRules {
                    from,
                    until,
                    ..rules(100)
                };
                let first = lines(text, &[length], part(0, until), false);
                assert_eq!(first, (vec![Str::from("to")], 0), "{length} {until}");
                let second = lines(text, &[length], part(until, u64::MAX), false);
                assert_eq!(second, (vec![Str::from("be")], 0), "{length} {until}");
            }
        }
        // A file that is no more than the beginning of one.
        let broken = lines(b"\xef\xbb", &[1], rules(100), false);
        assert_eq!(broken, (vec![Str::from("\u{fffd}")], 0));
        assert_eq!(lines(b"\xef\xbb", &[1], rules(1), false), (vec![], 1));
        // It is in the first part only.
        for max_line in [0, 100] {
            let behind = LineRules {
                from: 1,
                ..rules(max_line)
            };
            let second = lines(b"\xef\xbb", &[1], behind, false);
            assert_eq!(second, (vec![], 0));
        }
    }

    #[test]
    fn an_empty_source_has_no_lines() {
        assert_eq!(lines(b"", &[1], rules(10), false), (vec![], 0));
        let nothing = LineRules {
            until: 0,
            ..rules(10)
        };
        assert_eq!(lines(b"a\n", &[1], nothing, false), (vec![], 0));
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_a_line_may() {
        const MAX: usize = if cfg!(miri) { 1 << 10 } else { 1 << 20 };
        let text = vec![b'x'; 3 * MAX];
        let pieces = Pieces {
            bytes: &text,
            lengths: vec![usize::MAX],
            reads: 0,
        };
        let mut reader = LineReader::new(pieces, rules(MAX));
        assert!(reader.next().unwrap().is_none());
        assert_eq!(reader.oversize_lines(), 1);
        assert!(reader.block.capacity() <= MAX + 1);
        assert_eq!(reader.position, 3 * MAX as u64);
    }

    #[test]
    fn a_block_is_filled_again_when_nobody_holds_it() {
        let text = b"short\n".repeat(10);
        let pieces = Pieces {
            bytes: &text,
            lengths: vec![6],
            reads: 0,
        };
        let mut reader = LineReader::new(pieces, rules(100));
        let at = reader.block.as_ptr();
        for _ in 0..5 {
            reader.next().unwrap().unwrap();
            assert_eq!(reader.block.as_ptr(), at);
        }
        let kept = reader.next().unwrap().unwrap();
        reader.next().unwrap().unwrap();
        assert_ne!(reader.block.as_ptr(), at);
        drop(kept);
    }

    #[test]
    fn an_error_of_the_source_comes_out() {
        struct Torn;
        impl Read for Torn {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("torn"))
            }
        }
        let error = LineReader::new(Torn, rules(10)).next().unwrap_err();
        assert_eq!(error.to_string(), "torn");
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            3 => Just(b'\n'),
            3 => Just(b'\r'),
            6 => b'a'..=b'c',
            1 => Just(0xc3),
            1 => Just(0xa9),
            1 => Just(0),
        ];
        let bytes = prop::collection::vec(byte, 0..60);
        (any::<bool>(), bytes).prop_map(|(marked, bytes)| {
            let mark: &[u8] = if marked { b"\xef\xbb\xbf" } else { b"" };
            [mark, &bytes].concat()
        })
    }

    proptest! {
        #[test]
        fn any_reads_give_the_plain_lines(
            text in text(),
            lengths in prop::collection::vec(0_usize..9, 1..4),
            max_line in 1_usize..12,
            keep in any::<bool>(),
        ) {
            // Not interrupted for ever.
            let lengths = [&lengths[..], &[1]].concat();
            prop_assert_eq!(
                lines(&text, &lengths, rules(max_line), keep),
                naive::lines_between(&text, max_line, 0, u64::MAX)
            );
        }

        #[test]
        fn each_line_is_in_the_part_where_it_starts(
            text in text(),
            cuts in prop::collection::vec(1_u64..70, 0..6),
            length in 1_usize..9,
            max_line in 1_usize..12,
        ) {
            let mut ends = cuts;
            ends.sort_unstable();
            ends.push(u64::MAX);
            let (mut from, mut all, mut dropped) = (0, Vec::new(), 0);
            for until in ends {
                let rules = LineRules { from, until, ..rules(max_line) };
                let (part, oversize) = lines(&text, &[length], rules, false);
                let expected = naive::lines_between(&text, max_line, from, until);
                prop_assert_eq!((&part, oversize), (&expected.0, expected.1));
                all.extend(part);
                dropped += oversize;
                from = until;
            }
            prop_assert_eq!((all, dropped), naive::lines_between(&text, max_line, 0, u64::MAX));
        }
    }
}
