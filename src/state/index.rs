//! Where the row of a key is: the index of a table.

use std::fmt;

use super::size::room;
use crate::arch;

/// Places by the hashes of their keys: open addressing in slots of 8 bytes, each
/// with 32 bits of a hash and a place.
///
/// Against hashbrown's table it asks for one cache line where that asks for two, one
/// behind the other, and the address of that line follows from the hash alone: so
/// those of many keys can be asked for at once. And it grows without the keys.
#[derive(Default)]
pub(super) struct Index {
    /// `tag << 32 | place + 1`, or zero. None, or a power of two that is larger than
    /// the number of places.
    slots: Vec<u64>,
    len: usize,
}

/// The bits of a hash that do not tell the partition (see
/// [`HashPartitioner`](crate::rdd::HashPartitioner)): those differ least within one.
#[inline(always)]
fn tag(hash: u64) -> u32 {
    hash.rotate_left(8) as u32
}

#[inline(always)]
fn place_in(slot: u64) -> u32 {
    (slot as u32).wrapping_sub(1)
}

/// Fewer slots are not worth it.
const LEAST: usize = 8;

impl Index {
    /// With room for so many places.
    pub(super) fn with_capacity(len: usize) -> Self {
        let mut index = Self::default();
        index.reserve(len);
        index
    }

    /// For how many places there is room.
    pub(super) fn capacity(&self) -> usize {
        self.slots.len() / 4 * 3
    }

    /// For how many bytes there is memory.
    pub(super) fn bytes(&self) -> u64 {
        room::<u64>(self.slots.capacity())
    }

    /// Makes room for `more` places.
    pub(super) fn reserve(&mut self, more: usize) {
        let len = self.len + more;
        if len > self.capacity() {
            self.grow(len);
        }
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        // The fewest that have room: a table that is fitted is no larger than it was.
        let slots = (4 * len).div_ceil(3).next_power_of_two().max(LEAST);
        let old = std::mem::replace(&mut self.slots, vec![0; slots]);
        for slot in old {
            if slot != 0 {
                self.put(slot);
            }
        }
    }

    /// Where the search for a tag begins; there must be slots.
    #[inline(always)]
    fn home(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.slots.len() as u64) >> 32) as usize
    }

    #[inline(always)]
    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    fn put(&mut self, slot: u64) {
        let mut at = self.home((slot >> 32) as u32);
        while self.slots[at] != 0 {
            at = self.next(at);
        }
        self.slots[at] = slot;
    }

    /// Asks for the cache line in which the search for a hash begins.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u64) {
        if let Some(slot) = self.slots.get(self.home(tag(hash))) {
            arch::prefetch(slot);
        }
    }

    /// The first slot with the tag of a hash of whose place `is_it` says that it is.
    #[inline(always)]
    fn search(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let tag = tag(hash);
        let mut at = self.home(tag);
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if (slot >> 32) as u32 == tag && is_it(place_in(slot)) {
                return Some(at);
            }
            at = self.next(at);
        }
    }

    /// The first place with this hash, as far as that is kept, of which `is_it` says
    /// that it is the right one.
    #[inline(always)]
    pub(super) fn find(&self, hash: u64, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let at = self.search(hash, is_it)?;
        Some(place_in(self.slots[at]))
    }

    /// Adds a place that is not there; below `u32::MAX`.
    pub(super) fn insert(&mut self, hash: u64, place: u32) {
        self.reserve(1);
        self.put(u64::from(tag(hash)) << 32 | u64::from(place + 1));
        self.len += 1;
    }

    /// Takes a place out; says whether it was there.
    pub(super) fn remove(&mut self, hash: u64, place: u32) -> bool {
        let Some(mut hole) = self.search(hash, |at| at == place) else {
            return false;
        };
        // Those behind move up, unless their search would then begin behind them.
        let distance = |from: usize, to: usize, slots: usize| to.wrapping_sub(from) & (slots - 1);
        let mut at = self.next(hole);
        while self.slots[at] != 0 {
            let (slot, slots) = (self.slots[at], self.slots.len());
            let home = self.home((slot >> 32) as u32);
            if distance(home, at, slots) >= distance(hole, at, slots) {
                self.slots[hole] = slot;
                hole = at;
            }
            at = self.next(at);
        }
        self.slots[hole] = 0;
        self.len -= 1;
        true
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("len", &self.len)
            .field("slots", &self.slots.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_index_has_no_slots() {
        let index = Index::default();
        assert_eq!(index.capacity(), 0);
        index.prefetch(7);
        assert_eq!(index.find(7, |_| true), None);
        assert!(!Index::default().remove(7, 0));
    }

    #[test]
    fn there_is_room_for_what_was_reserved() {
        for len in 0..1000 {
            let mut index = Index::with_capacity(len);
            let room = index.capacity();
            assert!(room >= len && room <= LEAST.max(4 * len), "{len}: {room}");
            (0..len as u32).for_each(|place| index.insert(u64::from(place) << 56, place));
            assert_eq!(index.capacity(), room);
        }
    }

    proptest! {
        /// Few hashes, so that many places have the same; they are near both ends, so
        /// that searches go on at the beginning.
        #[test]
        fn equals_a_plain_map(
            changes in proptest::collection::vec((any::<bool>(), 0..40_u64, any::<bool>()), 0..600)
        ) {
            let mut index = Index::default();
            let mut plain = BTreeMap::new();
            for (number, (is_new, hash, high)) in (0..).zip(changes) {
                let hash = if high { hash.wrapping_neg().rotate_right(8) } else { hash << 12 };
                if is_new {
                    index.insert(hash, number);
                    plain.insert(number, hash);
                } else {
                    let of_hash = plain.iter().find(|&(_, &of)| of == hash);
                    let removed = of_hash.map(|(&place, _)| place);
                    match removed {
                        Some(place) => {
                            prop_assert!(index.remove(hash, place));
                            plain.remove(&place);
                        }
                        None => prop_assert!(!index.remove(hash, 0)),
                    }
                }
                prop_assert_eq!(index.len, plain.len());
                for (&place, &hash) in &plain {
                    prop_assert_eq!(index.find(hash, |at| at == place), Some(place));
                }
            }
        }
    }
}
