//! A range of a text block that nobody writes to any more.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::ring::Taken;
use super::{Lease, Memory, Str, TextBlock};
use crate::arch;

/// Whole lines at rest in a block.
///
/// Made only of what a cut took from a ring, or of text that was copied into a
/// block of its own: both are published for good, so reading it is safe.
pub(crate) struct TextRange {
    block: TextBlock,
    start: usize,
    end: usize,
    /// How many lines there are, if somebody counted them.
    count: Option<usize>,
    /// Goes behind `block`, so that a writer that is woken finds the block free.
    taken: Option<Taken<TextBlock>>,
}

impl TextRange {
    /// Copies a text of whole lines; the last one may lack its terminator.
    pub(crate) fn copy_of(text: &[u8]) -> Self {
        Self {
            block: TextBlock::copy_of(text),
            start: 0,
            end: text.len(),
            count: Some(count_lines(text)),
            taken: None,
        }
    }

    /// Whole lines in a block that is not written to before the range is gone.
    pub(super) fn at_rest(block: TextBlock, start: usize, end: usize) -> Self {
        Self {
            block,
            start,
            end,
            count: None,
            taken: None,
        }
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// How many lines there are.
    pub(crate) fn count(&self) -> usize {
        self.count.unwrap_or_else(|| count_lines(self.bytes()))
    }

    /// See [`Taken::home`].
    pub(crate) fn home(&self) -> Option<usize> {
        self.taken.as_ref()?.home()
    }

    /// See [`Taken::keep`].
    pub(crate) fn keep(&self, memory: &Arc<Memory>) {
        if let Some(taken) = &self.taken {
            taken.keep(memory);
        }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the range was published before this was made.
        unsafe { self.block.slice(self.start, self.end) }
    }

    /// References for the lines that this thread will make; see
    /// [`TextBlock::lease`].
    pub(crate) fn lease(&self) -> Lease<'_> {
        self.block.lease()
    }

    /// Where the first line begins at `at` or behind it. All parts of the range that
    /// are told by this begin and end with lines.
    pub(crate) fn line_from(&self, at: usize) -> usize {
        let bytes = self.bytes();
        if at == 0 || at >= bytes.len() {
            return at.min(bytes.len());
        }
        // The line that the byte before belongs to, with its end.
        match memchr::memchr2(b'\n', b'\r', &bytes[at - 1..]) {
            Some(behind) if bytes[at - 1 + behind..].starts_with(b"\r\n") => at + behind + 1,
            Some(behind) => at + behind,
            None => bytes.len(),
        }
    }

    /// Hands over the lines in a part that begins and ends with lines, without
    /// their terminators, until `each` says `false`. Bytes that are not UTF-8
    /// become U+FFFD, as in Spark.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn lines_in(&self, part: Range<usize>, each: impl FnMut(Str) -> bool) {
        self.lines_or(part, each, |_, _| Mend::Replace);
    }

    /// As [`lines_in`](Self::lines_in); `invalid` is told where a line begins that is
    /// not UTF-8, and where in it the first wrong byte is, and says what to do.
    #[inline]
    pub(crate) fn lines_or(
        &self,
        part: Range<usize>,
        mut each: impl FnMut(Str) -> bool,
        mut invalid: impl FnMut(usize, usize) -> Mend,
    ) {
        let first = part.start;
        arch::lines(&self.bytes()[part], |start, end, ascii| {
            let line = first + start..first + end;
            let line = match ascii {
                // SAFETY: published as part of the range, and ASCII.
                true => Ok(unsafe { self.slice(line) }),
                false => self.checked(line, &mut invalid),
            };
            // Once, so that it becomes a part of the loop.
            match line {
                Ok(line) => each(line),
                Err(goes_on) => goes_on,
            }
        });
    }

    /// A line of the range that may have anything but ASCII; or whether to go on
    /// without it.
    #[inline(never)]
    fn checked(
        &self,
        line: Range<usize>,
        mut invalid: impl FnMut(usize, usize) -> Mend,
    ) -> Result<Str, bool> {
        let bytes = &self.bytes()[line.clone()];
        let Err(error) = std::str::from_utf8(bytes) else {
            // SAFETY: published as part of the range, and just checked.
            return Ok(unsafe { self.slice(line) });
        };
        match invalid(line.start, error.valid_up_to()) {
            Mend::Replace => Ok(Str::from(String::from_utf8_lossy(bytes).into_owned())),
            Mend::Skip => Err(true),
            Mend::Stop => Err(false),
        }
    }

    /// A part of the range as a string.
    ///
    /// # Safety
    /// It is UTF-8.
    #[inline]
    unsafe fn slice(&self, part: Range<usize>) -> Str {
        // SAFETY: the range was published; the caller knows the rest.
        unsafe { Str::slice_of(&self.block, self.start + part.start, self.start + part.end) }
    }

    /// How many lines end before a place at which one begins.
    pub(crate) fn lines_before(&self, at: usize) -> usize {
        count_lines(&self.bytes()[..at])
    }
}

/// What is done with a line that is not UTF-8.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mend {
    /// Bytes that are not UTF-8 become U+FFFD.
    Replace,
    /// It is not handed over.
    Skip,
    /// Neither it nor those behind it are handed over.
    Stop,
}

impl From<Taken<TextBlock>> for TextRange {
    /// What a cut took; dropped, it gives its bytes back to the ring.
    fn from(taken: Taken<TextBlock>) -> Self {
        Self {
            block: taken.block().clone(),
            start: taken.start(),
            end: taken.end(),
            count: Some(taken.records()),
            taken: Some(taken),
        }
    }
}

fn count_lines(text: &[u8]) -> usize {
    let mut count = 0;
    arch::lines(text, |_, _, _| {
        count += 1;
        true
    });
    count
}

impl fmt::Debug for TextRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextRange")
            .field("len", &self.len())
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::super::{RingOptions, text_ring};
    use super::*;

    const ONE_BLOCK: RingOptions = RingOptions {
        block: 4096,
        bound: 4096,
        queue: 4,
        lossy: false,
    };

    fn lines(range: &TextRange) -> Vec<Str> {
        let mut lines = Vec::new();
        range.lines_in(0..range.len(), |line| {
            lines.push(line);
            true
        });
        lines
    }

    #[test]
    fn a_copied_text_has_its_lines() {
        let range = TextRange::copy_of(b"to be\r\nor\n\nnot to be or what else");
        assert_eq!((range.len(), range.count()), (33, 4));
        assert_eq!(lines(&range), ["to be", "or", "", "not to be or what else"]);
        assert_eq!(TextRange::copy_of(b"").count(), 0);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        let range = TextRange::copy_of(b"caf\xc3\xa9 and more of it\nb\xffd\n\xc3");
        assert_eq!(
            lines(&range),
            ["caf\u{e9} and more of it", "b\u{fffd}d", "\u{fffd}"]
        );
    }

    #[test]
    fn lines_that_are_not_utf8_may_be_left_out_or_end_it() {
        let range = TextRange::copy_of(b"one\nca\xff\xfe\ncaf\xc3\xa9\n\xc3\nlast");
        let read = |mend: fn(usize) -> Mend| {
            let (mut lines, mut invalid) = (Vec::new(), Vec::new());
            let each = |line| {
                lines.push(line);
                true
            };
            range.lines_or(0..range.len(), each, |start, wrong| {
                invalid.push((start, wrong));
                mend(start)
            });
            (lines, invalid)
        };
        let (lines, invalid) = read(|_| Mend::Skip);
        assert_eq!(lines, ["one", "caf\u{e9}", "last"]);
        assert_eq!(invalid, [(4, 2), (15, 0)]);
        assert_eq!(range.lines_before(15), 3);
        let (lines, _) = read(|start| {
            if start == 4 {
                Mend::Replace
            } else {
                Mend::Stop
            }
        });
        assert_eq!(lines, ["one", "ca\u{fffd}\u{fffd}", "caf\u{e9}"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 8 } else { 512 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn parts_have_the_lines_of_the_whole(
            text in prop::collection::vec(prop::sample::select(b"ab\n\r".as_slice()), 0..60),
            mut cuts in prop::collection::vec(0..70_usize, 0..8),
        ) {
            let range = TextRange::copy_of(&text);
            cuts.sort_unstable();
            let mut start = 0;
            let mut found = Vec::new();
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let end = range.line_from(cut);
                range.lines_in(start..end, |line| {
                    found.push(line);
                    true
                });
                start = end;
            }
            prop_assert_eq!(found, lines(&range));
        }
    }

    #[test]
    fn lines_end_when_the_reader_has_enough() {
        let mut seen = 0;
        TextRange::copy_of(b"a\nb\nc\n").lines_in(0..6, |_| {
            seen += 1;
            seen < 2
        });
        assert_eq!(seen, 2);
    }

    #[test]
    fn a_taken_range_gives_its_bytes_back_and_its_lines_stay() {
        let (mut writer, mut cutter, budget) = text_ring(ONE_BLOCK, 1024);
        let text = b"first line, not short\nsecond line, not short\n";
        writer.spare(text.len()).unwrap()[..text.len()].copy_from_slice(text);
        assert_eq!(writer.filled(text.len()), 2);
        assert_eq!(writer.publish(2), 2);
        let mut taken = Vec::new();
        cutter.cut(&mut taken);
        let range = TextRange::from(taken.remove(0));
        assert_eq!((range.len(), range.count()), (text.len(), 2));
        let kept = lines(&range);
        assert_eq!(budget.used(), text.len());
        drop(range);
        assert_eq!(budget.used(), 0);
        assert_eq!(kept, ["first line, not short", "second line, not short"]);
    }

    #[test]
    fn a_kept_range_gives_its_bytes_back_to_the_ring_if_memory_has_room() {
        let (mut writer, mut cutter, budget) = text_ring(ONE_BLOCK, 1024);
        let mut take = |text: &[u8]| {
            writer.spare(text.len()).unwrap()[..text.len()].copy_from_slice(text);
            writer.filled(text.len());
            writer.publish(1);
            let mut taken = Vec::new();
            cutter.cut(&mut taken);
            TextRange::from(taken.remove(0))
        };
        let memory = Arc::new(Memory::with_room(10));
        let (first, second) = (take(b"a line\n"), take(b"another\n"));
        first.keep(&memory);
        first.keep(&memory);
        second.keep(&memory);
        assert_eq!((budget.used(), memory.used()), (8, 7));
        drop(first);
        assert_eq!((budget.used(), memory.used()), (8, 0));
        second.keep(&memory);
        assert_eq!((budget.used(), memory.used()), (0, 8));
        assert_eq!(lines(&second), ["another"]);
        drop(second);
        assert_eq!((budget.used(), memory.used()), (0, 0));
    }
}
