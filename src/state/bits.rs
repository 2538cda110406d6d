//! A set of places.

use super::size::room;

/// A bit for each place; those behind the end are not set.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// The places below `len`.
    pub(super) fn all_below(len: usize) -> Self {
        let mut words = vec![u64::MAX; len.div_ceil(64)];
        if let Some(last) = words.last_mut()
            && !len.is_multiple_of(64)
        {
            *last = (1 << (len % 64)) - 1;
        }
        Self(words)
    }

    /// How many places there are of the `len` from `first` on, both multiples
    /// of 64.
    pub(super) fn count(&self, first: usize, len: usize) -> usize {
        let words = self.0.iter().skip(first / 64).take(len / 64);
        words.map(|word| word.count_ones() as usize).sum()
    }

    /// For how many bytes there is memory.
    pub(super) fn bytes(&self) -> u64 {
        room::<u64>(self.0.capacity())
    }

    #[inline]
    pub(super) fn contains(&self, place: u32) -> bool {
        let word = self.0.get(place as usize / 64);
        word.is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Whether the place is new.
    #[inline]
    pub(super) fn insert(&mut self, place: u32) -> bool {
        let (word, bit) = (place as usize / 64, 1 << (place % 64));
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }

    #[inline]
    pub(super) fn remove(&mut self, place: u32) {
        if let Some(word) = self.0.get_mut(place as usize / 64) {
            *word &= !(1 << (place % 64));
        }
    }
}
