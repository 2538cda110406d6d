//! The digest of a result: the same for all engines, in whatever order and in however
//! many pieces they give it.
//!
//! Each record adds its value times a hash of its key, so the digests of pieces add up
//! to that of the whole, and so do counts of one key in several batches.

use std::ops::AddAssign;

use crate::generate;

/// What a result amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// How many records it has.
    pub count: u64,
    /// The sum over its records, modulo 2^64.
    pub sum: u64,
}

impl Digest {
    /// Takes in the value of a key.
    #[inline]
    pub fn key(&mut self, key: u64, value: i64) {
        self.count += 1;
        self.sum = self
            .sum
            .wrapping_add(mix(key).wrapping_mul(value.cast_unsigned()));
    }

    /// That of a result which comes `n` times.
    #[must_use]
    pub fn times(self, n: u64) -> Self {
        Self {
            count: self.count * n,
            sum: self.sum.wrapping_mul(n),
        }
    }

    /// Takes in the value of a word.
    #[inline]
    pub fn word(&mut self, word: &[u8], value: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(hash(word).wrapping_mul(value));
    }
}

impl AddAssign for Digest {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// Spreads a number over all 64 bits, one to one: the next number of a `SplitMix64`
/// that is there.
#[inline]
#[must_use]
pub fn mix(x: u64) -> u64 {
    generate::spread(x)
}

/// The hash of a text: of its length, then of 8 bytes at a time in little-endian order.
#[inline]
#[must_use]
pub fn hash(text: &[u8]) -> u64 {
    let (chunks, rest) = text.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let mut hash = text.len() as u64;
    for chunk in chunks {
        hash = mix(hash ^ u64::from_le_bytes(*chunk));
    }
    mix(hash ^ u64::from_le_bytes(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up() {
        let mut whole = Digest::default();
        whole.word(b"to", 5);
        whole.word(b"transcendental", 1);
        let (mut a, mut b) = (Digest::default(), Digest::default());
        b.word(b"transcendental", 1);
        a.word(b"to", 2);
        b.word(b"to", 3);
        b += a;
        assert_eq!((b.count, b.sum), (3, whole.sum));
        let twice = b.times(2);
        b += b;
        assert_eq!(b, twice);
    }

    // The programs for the JVM have to come to the same.
    #[test]
    fn known_values() {
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(hash(b""), mix(0));
        assert_eq!(hash(b"stream"), mix(6 ^ 0x6d61_6572_7473));
        assert_ne!(hash(b"a"), hash(b"a\0"));
    }
}
