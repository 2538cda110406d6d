//! A set of places.

use std::mem;

use super::size::room;
use super::table::Table;

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

    /// Whether the place was there.
    #[inline]
    pub(super) fn remove(&mut self, place: u32) -> bool {
        let Some(word) = self.0.get_mut(place as usize / 64) else {
            return false;
        };
        let bit = 1 << (place % 64);
        let was_there = *word & bit != 0;
        *word &= !bit;
        was_there
    }

    /// Removes the first place from `from` on.
    pub(super) fn take_from(&mut self, from: u32) -> Option<u32> {
        let mut above = u64::MAX << (from % 64);
        for (i, word) in self.0.iter_mut().enumerate().skip(from as usize / 64) {
            let found = *word & above;
            if found != 0 {
                // The lowest bit.
                *word &= !(found & found.wrapping_neg());
                return Some(i as u32 * 64 + found.trailing_zeros());
            }
            above = u64::MAX;
        }
        None
    }

    /// The rows have moved together: `moved` has the new place of each old one.
    pub(super) fn rows_moved(&mut self, moved: &[u32]) {
        let old = mem::take(self);
        for (place, &new) in (0..).zip(moved) {
            if new != Table::<(), ()>::GONE && old.contains(place) {
                self.insert(new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_a_plain_set(
            changes in proptest::collection::vec((0..300_u32, 0..4), 0..200),
            gone in proptest::collection::btree_set(0..300_u32, 0..250),
        ) {
            let (mut bits, mut plain) = (Bits::default(), BTreeSet::new());
            for (place, change) in changes {
                match change {
                    0 => prop_assert_eq!(bits.remove(place), plain.remove(&place)),
                    1 => {
                        let first = plain.range(place..).next().copied();
                        prop_assert_eq!(bits.take_from(place), first);
                        first.map(|first| plain.remove(&first));
                    }
                    _ => prop_assert_eq!(bits.insert(place), plain.insert(place)),
                }
                prop_assert_eq!(bits.contains(place), plain.contains(&place));
            }
            // The rows that stay move together.
            let mut next = 0..;
            let moved: Vec<u32> = (0..300)
                .map(|place| match gone.contains(&place) {
                    true => Table::<(), ()>::GONE,
                    false => next.next().unwrap(),
                })
                .collect();
            bits.rows_moved(&moved);
            let kept = plain.difference(&gone).map(|&place| moved[place as usize]);
            for place in kept {
                prop_assert_eq!(bits.take_from(0), Some(place));
            }
            prop_assert_eq!(bits.take_from(0), None);
        }
    }
}
