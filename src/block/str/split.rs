//! Splitting: the parts of a text, and of many texts at once.

use memchr::memchr_iter;

use super::{Shared, Str};
use crate::arch::{self, Buffer, Cursor};

/// The iterator of [`Str::split`].
///
/// `for_each`, `fold` and everything built on them (a `flat_map` of a stream
/// among them) run the vector kernel over the whole text at once.
#[derive(Clone, Debug)]
#[must_use = "iterators do nothing unless they are consumed"]
pub struct Split {
    text: Str,
    separator: char,
    /// Where the next part starts; [`DONE`] behind the last part.
    next: u32,
}

/// No text is so long.
const DONE: u32 = u32::MAX;

impl Split {
    #[inline]
    pub(super) fn new(text: Str, separator: char) -> Self {
        Self {
            text,
            separator,
            next: 0,
        }
    }

    /// The parts of many texts.
    pub(crate) fn all<I: Iterator<Item = Self>>(splits: I) -> SplitAll<I> {
        SplitAll { splits, open: None }
    }

    /// The text, if it is a slice of a block of which no part was taken yet.
    #[inline]
    fn whole(&self) -> Option<Shared> {
        self.text.as_shared().filter(|_| self.next == 0)
    }
}

impl Iterator for Split {
    type Item = Str;

    fn next(&mut self) -> Option<Str> {
        if self.next == DONE {
            return None;
        }
        let start = self.next as usize;
        let rest = &self.text.as_str()[start..];
        let end = match rest.find(self.separator) {
            Some(at) => {
                // In 32 bits, as the length of a text.
                self.next = (start + at + self.separator.len_utf8()) as u32;
                start + at
            }
            None => {
                self.next = DONE;
                self.text.len()
            }
        };
        Some(self.text.part(start, end))
    }

    #[inline]
    fn fold<B, F>(self, init: B, mut f: F) -> B
    where
        F: FnMut(B, Str) -> B,
    {
        if self.next == DONE {
            return init;
        }
        let from = self.next as usize;
        fold_parts(&self.text, from, By::Char(self.separator), init, &mut f)
    }
}

impl std::iter::FusedIterator for Split {}

/// What a text is split by.
#[derive(Clone, Copy)]
enum By {
    Char(char),
    /// A byte, or the end of a line.
    ByteOrFeed(u8),
}

#[inline(always)]
fn fold_parts<B>(text: &Str, from: usize, by: By, init: B, f: &mut impl FnMut(B, Str) -> B) -> B {
    let hay = &text.as_str()[from..];
    let mut pieces = Buffer::new();
    let mut cursor = Cursor::default();
    let mut folded = init;
    while !cursor.done {
        match by {
            By::Char(separator) => arch::split(hay, separator, &mut cursor, &mut pieces),
            By::ByteOrFeed(separator) => {
                let separators = [separator, b'\n'];
                arch::split_bytes(hay.as_bytes(), separators, &mut cursor, &mut pieces);
            }
        }
        for &piece in pieces.entries() {
            let part = match piece.as_long() {
                None => Str::inline(piece),
                Some((start, len)) => text.part(from + start, from + start + len),
            };
            // The one call of `f`: a second one, and it is not inlined.
            folded = f(folded, part);
        }
    }
    folded
}

/// The parts of many texts; see [`Split::all`].
///
/// Lines that stand one behind the other in their block are split as one text: a
/// line of a few words is over before the kernel and the loop over its words are
/// at full speed.
pub(crate) struct SplitAll<I> {
    splits: I,
    /// Begun by [`next`](Iterator::next).
    open: Option<Split>,
}

/// Texts that are looked at together.
const BATCH: usize = 64;

impl<I: Iterator<Item = Split>> Iterator for SplitAll<I> {
    type Item = Str;

    fn next(&mut self) -> Option<Str> {
        loop {
            if let Some(part) = self.open.as_mut().and_then(Split::next) {
                return Some(part);
            }
            self.open = Some(self.splits.next()?);
        }
    }

    #[inline(always)]
    fn fold<B, F>(mut self, init: B, mut f: F) -> B
    where
        F: FnMut(B, Str) -> B,
    {
        let mut batch = Vec::with_capacity(BATCH);
        batch.extend(self.open);
        let mut folded = init;
        loop {
            batch.extend(self.splits.by_ref().take(BATCH - batch.len()));
            let mut rest = &batch[..];
            if rest.is_empty() {
                return folded;
            }
            while let [first, ..] = rest {
                let lines = lines_in_one(rest);
                let (text, from, by, count) = match &lines {
                    Some(lines) => (&lines.text, 0, By::ByteOrFeed(lines.by), lines.count),
                    None => (&first.text, first.next, By::Char(first.separator), 1),
                };
                if from != DONE {
                    folded = fold_parts(text, from as usize, by, folded, &mut f);
                }
                rest = &rest[count..];
            }
            batch.clear();
        }
    }
}

/// Some texts that are neighbouring lines of one block.
struct Lines {
    /// All of them, with the ends of the lines between them.
    text: Str,
    by: u8,
    count: usize,
}

/// As many of the first texts as are neighbouring lines.
#[inline]
fn lines_in_one(splits: &[Split]) -> Option<Lines> {
    let (first, others) = splits.split_first()?;
    let by = arch::as_byte(first.separator)?;
    let mut all = first.whole()?;
    let mut count = 1;
    for next in others {
        let end = all.offset + all.length;
        let Some(line) = next.whole() else { break };
        if line.header != all.header || line.offset != end + 1 || next.separator != first.separator
        {
            break;
        }
        let ended = Shared {
            length: all.length + 1,
            ..all
        };
        // SAFETY: both texts are alive, so everything up to the end of the second
        // one was published.
        if unsafe { ended.bytes() }.last() != Some(&b'\n') {
            break;
        }
        all.length = line.offset + line.length - all.offset;
        count += 1;
    }
    // SAFETY: from one published text to the end of another.
    let bytes = unsafe { all.bytes() };
    // A text that is not a line may hold line ends of its own.
    if count == 1 || memchr_iter(b'\n', bytes).count() != count - 1 {
        return None;
    }
    // SAFETY: as above; valid texts with ASCII between them.
    let text = unsafe { Str::shared(all.header, all.offset as usize, all.len()) };
    Some(Lines { text, by, count })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::block::TextRange;

    /// Parts of one text, as neighbours in its block; short ones stand inline.
    fn parts(text: &str, cut: char) -> Vec<Str> {
        Str::from(text).split(cut).collect()
    }

    fn joined(texts: &[Str], separator: char) -> usize {
        let splits: Vec<_> = texts.iter().map(|t| t.clone().split(separator)).collect();
        lines_in_one(&splits).map_or(1, |lines| lines.count)
    }

    const THREE: &str =
        "a line of some words\nand one more of the same\nand a third line, the last";

    #[test]
    fn neighbouring_lines_are_split_as_one_text() {
        let lines = parts(THREE, '\n');
        assert_eq!(joined(&lines, ' '), 3);
        assert_eq!(joined(&lines[1..], ','), 2);
        assert_eq!(joined(&lines[..1], ' '), 1);
        // Not these.
        assert_eq!(joined(&parts(&THREE.replace('\n', ","), ','), ' '), 1);
        assert_eq!(joined(&[lines[0].clone(), lines[2].clone()], ' '), 1);
        assert_eq!(joined(&lines, 'ß'), 1);
        let copies: Vec<_> = lines.iter().map(|line| Str::from(line.as_str())).collect();
        assert_eq!(joined(&copies, ' '), 1);
        let lines = THREE.replace('\n', "\r\n");
        let range = TextRange::copy_of(lines.as_bytes());
        let mut lines = Vec::new();
        range.lines_in(0..range.len(), |line| {
            lines.push(line);
            true
        });
        assert_eq!((lines.len(), joined(&lines, ' ')), (3, 1));
        let short = "a line of some words\nshort\nand a third line, the last";
        assert_eq!(joined(&parts(short, '\n'), ' '), 1);
    }

    #[test]
    fn a_split_that_was_begun_or_differs_ends_the_lines() {
        let lines = parts(THREE, '\n');
        let mut splits: Vec<_> = lines.iter().map(|line| line.clone().split(' ')).collect();
        splits[2].next();
        assert_eq!(lines_in_one(&splits).map(|lines| lines.count), Some(2));
        splits[1] = lines[1].clone().split(',');
        assert!(lines_in_one(&splits).is_none());
    }

    #[test]
    fn texts_with_line_ends_of_their_own_are_not_lines() {
        let block = Str::from("to be\nor not to be\nthat is the question");
        let texts = [block.part(0, 18), block.part(19, block.len())];
        assert_eq!(joined(&texts, ' '), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 8 } else { 512 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn many_texts_have_the_parts_of_each(
            text in prop::collection::vec(
                prop::sample::select(vec!["some words", "x", " ", " ", ",", "\n", "\n", "\r", "ß"]),
                0..if cfg!(miri) { 40 } else { 300 },
            ),
            cut in prop::sample::select(vec!['\n', ',', 'ß']),
            // Which texts are left out, and which are split by something else.
            odd in prop::collection::vec(0_u8..30, 1..40),
            begun in 0..4_usize,
        ) {
            let texts = parts(&text.concat(), cut);
            let splits = || texts.iter().zip(odd.iter().cycle()).filter_map(|(text, odd)| {
                let by = match odd {
                    0 => return None,
                    1 => ',',
                    2 => '\n',
                    3 => 'ß',
                    _ => ' ',
                };
                Some(text.clone().split(by))
            });
            let naive: Vec<Str> = splits()
                .flat_map(|split| {
                    let parts = split.text.as_str().split(split.separator);
                    parts.map(Str::from).collect::<Vec<_>>()
                })
                .collect();
            prop_assert_eq!(&Split::all(splits()).collect::<Vec<_>>(), &naive);
            let mut all = Split::all(splits());
            let mut found: Vec<Str> = all.by_ref().take(begun).collect();
            all.for_each(|part| found.push(part));
            prop_assert_eq!(&found, &naive);
        }
    }
}
