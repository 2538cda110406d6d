//! Lines out of bytes, however these come.

use std::io::{ErrorKind, Read, Result};

use super::take;
use crate::block::{LineReader, LineRules, naive};

/// Reads the lines that start in a part of a text, in reads of all lengths; they are those
/// that the rules give byte by byte.
pub fn line_split(mut input: &[u8]) {
    let [max_line, from, len, expected] = take(&mut input);
    let lengths: [u8; 4] = take(&mut input);
    let max_line = usize::from(max_line % 64);
    let from = u64::from(from);
    // The last part has no end.
    let until = match len {
        u8::MAX => u64::MAX,
        len => from + u64::from(len),
    };
    let rules = LineRules {
        max_line,
        from,
        until,
        expected: u64::from(expected),
    };
    let start = LineReader::<Pieces<'_>>::start_of(from) as usize;
    let pieces = Pieces {
        bytes: input.get(start..).unwrap_or_default(),
        lengths,
        reads: 0,
    };
    let mut reader = LineReader::new(pieces, rules);
    let mut lines = Vec::new();
    while let Some(range) = reader.next().expect("the source gives no error") {
        range.lines_in(0..range.len(), |line| {
            lines.push(line);
            true
        });
    }
    let given = (lines, reader.oversize_lines());
    assert_eq!(given, naive::lines_between(input, max_line, from, until));
}

/// Gives the bytes in pieces of these lengths, again and again; for a length of nothing it
/// is interrupted.
struct Pieces<'b> {
    bytes: &'b [u8],
    lengths: [u8; 4],
    reads: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        let length = usize::from(self.lengths[self.reads % self.lengths.len()]);
        self.reads += 1;
        // Not for ever.
        if length == 0 && self.lengths != [0; 4] {
            return Err(ErrorKind::Interrupted.into());
        }
        let n = length.max(1).min(to.len()).min(self.bytes.len());
        to[..n].copy_from_slice(&self.bytes[..n]);
        self.bytes = &self.bytes[n..];
        Ok(n)
    }
}
