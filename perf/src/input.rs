//! The inputs of the workloads, as the laboratory writes them to files and the
//! engines read them.
//!
//! A text is lines of words. Keys are a file of 32-bit ranks in little-endian order;
//! the key is [`mix`] of its rank, as keys of real programs are spread over all bits.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::digest::mix;
use crate::protocol::Words;

/// Keys with their values.
pub type Pairs = Vec<(u64, i64)>;

/// Reads the file `name`, and names it in an error.
///
/// # Errors
/// If it cannot be read.
pub fn read(name: impl AsRef<Path>) -> Result<Vec<u8>> {
    let name = name.as_ref();
    fs::read(name).map_err(|error| format!("{}: {error}", name.display()).into())
}

/// The text that `order` names.
///
/// # Errors
/// If it cannot be read.
pub fn text(order: &Words) -> Result<Vec<u8>> {
    read(order.text("input")?)
}

/// The first lines of a text, `lines` of them at a time; what is over is left out.
#[must_use]
pub fn portions(text: &[u8], lines: usize) -> Vec<&[u8]> {
    let (mut portions, mut start) = (Vec::new(), 0);
    let ends = memchr::memchr_iter(b'\n', text).skip(lines - 1);
    for end in ends.step_by(lines) {
        portions.push(&text[start..=end]);
        start = end + 1;
    }
    portions
}

/// Ranks from the bytes of their file.
#[must_use]
pub fn ranks(bytes: &[u8]) -> Vec<u32> {
    let (ranks, _) = bytes.as_chunks::<4>();
    ranks.iter().map(|rank| u32::from_le_bytes(*rank)).collect()
}

/// What the records of a batch count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Each one.
    Ones,
    /// From 1 to 100, by their place in the batch.
    ByPlace,
}

impl Values {
    /// The value at a place of a batch.
    #[inline]
    #[must_use]
    pub fn at(self, place: usize) -> i64 {
        match self {
            Self::Ones => 1,
            Self::ByPlace => 1 + (place % 100) as i64,
        }
    }
}

/// The batches of keys with values that `order` names.
///
/// # Errors
/// If the file cannot be read or is too short.
pub fn batches(order: &Words, values: Values) -> Result<Vec<Pairs>> {
    let (batch, batches) = (order.number("batch")?, order.number("batches")?);
    let ranks = ranks(&read(order.text("input")?)?);
    if ranks.len() < batch * batches {
        return Err(format!("{} has too few records", order.text("input")?).into());
    }
    let pair = |(place, &rank): (usize, &u32)| (mix(u64::from(rank)), values.at(place));
    let batches = ranks.chunks(batch).take(batches);
    Ok(batches
        .map(|ranks| ranks.iter().enumerate().map(pair).collect())
        .collect())
}

/// All keys, each with nothing.
#[must_use]
pub fn zeros(keys: usize) -> Pairs {
    (0..keys as u64).map(|rank| (mix(rank), 0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_are_whole_lines() {
        let text = b"a\nb\nc\nd\ne\n";
        assert_eq!(portions(text, 2), [&b"a\nb\n"[..], b"c\nd\n"]);
        assert_eq!(portions(text, 5), [&text[..]]);
        assert_eq!(portions(text, 6), [&[0_u8; 0][..]; 0]);
    }
}
