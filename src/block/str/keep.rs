//! Strings that outlive their batch.

use super::{Shared, Str};
use crate::block::text::{self, TextBlock};

/// Bytes that are copied into one block, unless a longer string needs more.
const BLOCK: usize = 1 << 20;

impl Str {
    /// How much text stands in a block.
    fn shared_len(&self) -> usize {
        self.as_shared().map_or(0, |shared| shared.len())
    }

    /// Bytes that it has beside itself if it is [`compact`](Str::compact): a block of
    /// its own, unless it is inline.
    pub(crate) fn own_bytes(&self) -> usize {
        match self.shared_len() {
            0 => 0,
            len => text::HEADER + len,
        }
    }

    /// How large the block is that it stands in.
    fn block_len(&self) -> usize {
        // SAFETY: the string has a reference to its block.
        let len = |shared: Shared| unsafe { text::capacity_of(shared.header) };
        self.as_shared().map_or(0, len)
    }

    /// Copies the text of long strings if it is less than half of the blocks that it
    /// stands in, so that these can go. Gives the bytes of their text.
    pub(crate) fn keep_small(texts: &mut [Self]) -> usize {
        let (mut text, mut blocks, mut last) = (0, 0, None);
        for long in texts.iter() {
            let Some(shared) = long.as_shared() else {
                continue;
            };
            text += shared.len();
            if last.replace(shared.header) != Some(shared.header) {
                blocks += long.block_len();
            }
        }
        if blocks / 2 > text {
            copy(texts);
        }
        text
    }
}

fn copy(texts: &mut [Str]) {
    let mut rest = texts;
    while !rest.is_empty() {
        let mut len = 0;
        let mut fits = |text: &Str| {
            let more = text.shared_len();
            let fits = len == 0 || len + more <= BLOCK;
            len += if fits { more } else { 0 };
            fits
        };
        let n = rest.iter().take_while(|text| fits(text)).count();
        let (some, others) = rest.split_at_mut(n);
        copy_into_one(some, len);
        rest = others;
    }
}

/// Moves the text of long strings, `len` bytes altogether, into one block.
fn copy_into_one(texts: &mut [Str], len: usize) {
    let mut block = TextBlock::zeroed(len);
    let bytes = block.get_mut().expect("nobody else has the new block");
    let mut at = 0;
    for text in texts.iter().filter(|text| text.shared_len() > 0) {
        bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
        at += text.len();
    }
    let _lease = block.lease();
    let mut at = 0;
    for text in texts.iter_mut().filter(|text| text.shared_len() > 0) {
        let end = at + text.len();
        // SAFETY: this very text was copied there, and nobody writes to it any more.
        *text = unsafe { Str::slice_of(&block, at, end) };
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::TextRange;

    fn lines(text: &str) -> Vec<Str> {
        let mut lines = Vec::new();
        let range = TextRange::copy_of(text.as_bytes());
        range.lines_in(0..range.len(), |line| {
            lines.push(line);
            true
        });
        lines
    }

    /// Bytes of the blocks that strings keep, if neighbours share one.
    fn blocks(texts: &[Str]) -> usize {
        let long = texts.iter().filter(|text| text.shared_len() > 0);
        let mut long: Vec<_> = long.collect();
        long.dedup_by_key(|text| text.low);
        long.into_iter().map(Str::block_len).sum()
    }

    #[test]
    fn few_lines_of_a_block_let_go_of_it() {
        let text: String = (0..20_000)
            .map(|n| format!("line number {n} of the block\nshort\n"))
            .collect();
        let mut few: Vec<_> = lines(&text).into_iter().step_by(99).collect();
        let (before, long) = (few.clone(), |text: &&Str| text.len() > 15);
        let bytes: usize = few.iter().filter(long).map(|text| text.len()).sum();
        assert_eq!(Str::keep_small(&mut few), bytes);
        assert_eq!(few, before);
        assert_eq!(blocks(&few), bytes);
        // Again there is nothing to do.
        let place = few[2].as_ptr();
        Str::keep_small(&mut few);
        assert_eq!(few[2].as_ptr(), place);
    }

    #[test]
    fn most_lines_of_a_block_stay_where_they_are() {
        let text = "a line that is longer than fits inline\n".repeat(100);
        let mut all = lines(&text);
        let first = all[0].as_ptr();
        assert_eq!(Str::keep_small(&mut all), 100 * 38);
        assert_eq!(all[0].as_ptr(), first);
    }

    #[test]
    fn much_text_is_copied_into_several_blocks() {
        let lengths = [BLOCK / 3, 2 * BLOCK, BLOCK / 3, 5, BLOCK / 3, BLOCK / 2, 7];
        let mut texts: Vec<_> = lengths.iter().map(|&n| Str::from("x".repeat(n))).collect();
        let before = texts.clone();
        copy(&mut texts);
        assert_eq!(texts, before);
        let (third, half) = (BLOCK / 3, BLOCK / 2);
        assert_eq!(blocks(&texts), third + 2 * BLOCK + 2 * third + half);
        assert_eq!(Str::keep_small(&mut []), 0);
    }
}
