//! Where the row of a key is: the index of a table.

use std::fmt;

use super::size::room;
use crate::arch;

/// Places by the hashes of their keys: open addressing in cache lines of eight places, each
/// with 32 bits of a hash.
///
/// Against hashbrown's table it asks for one cache line where that asks for two, one
/// behind the other, and the address of that line follows from the hash alone: so
/// those of many keys can be asked for at once. And it grows without the keys. The eight are
/// compared at once, so a look-up has no loop whose end is hard to foretell.
#[derive(Default)]
pub(super) struct Index {
    /// None, or a power of two that has more room than there are places.
    lines: Vec<Line>,
    len: usize,
}

/// Those of a line stand at its beginning. A place stands in the line in which the search for
/// its tag begins, or behind it, with full lines in between.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line {
    /// Zero where nothing is.
    tags: [u32; LINE],
    places: [u32; LINE],
}

const LINE: usize = 8;

impl Line {
    fn is_full(&self) -> bool {
        self.tags[LINE - 1] != 0
    }

    /// The first free slot.
    fn free(&self) -> Option<usize> {
        first(arch::equal(&self.tags, 0))
    }

    fn used(&self) -> usize {
        self.free().unwrap_or(LINE)
    }
}

/// The lowest bit of a set of slots.
#[inline(always)]
fn first(slots: u8) -> Option<usize> {
    // Below eight in any case, for who compiles the access to a line.
    (slots != 0).then_some(slots.trailing_zeros() as usize % LINE)
}

/// The bits of a hash that do not tell the partition (see
/// [`HashPartitioner`](crate::rdd::HashPartitioner)): those differ least within one. Never
/// zero.
#[inline(always)]
fn tag(hash: u64) -> u32 {
    hash.rotate_left(8) as u32 | 1
}

impl Index {
    /// With room for so many places.
    pub(super) fn with_capacity(len: usize) -> Self {
        let mut index = Self::default();
        index.reserve(len);
        index
    }

    /// For how many places there is room.
    pub(super) fn capacity(&self) -> usize {
        self.lines.len() * LINE / 4 * 3
    }

    /// For how many bytes there is memory.
    pub(super) fn bytes(&self) -> u64 {
        room::<Line>(self.lines.capacity())
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
        let lines = (4 * len).div_ceil(3 * LINE).next_power_of_two();
        let old = std::mem::replace(&mut self.lines, vec![Line::default(); lines]);
        for line in old {
            for slot in 0..line.used() {
                self.put(line.tags[slot], line.places[slot]);
            }
        }
    }

    /// The line in which the search for a tag begins; there must be lines.
    #[inline(always)]
    fn home(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.lines.len() as u64) >> 32) as usize
    }

    #[inline(always)]
    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.lines.len() - 1)
    }

    fn put(&mut self, tag: u32, place: u32) {
        let mut at = self.home(tag);
        loop {
            let line = &mut self.lines[at];
            if let Some(slot) = line.free() {
                line.tags[slot] = tag;
                line.places[slot] = place;
                return;
            }
            at = self.next(at);
        }
    }

    /// Asks for the cache line in which the search for a hash begins.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u64) {
        if let Some(line) = self.lines.get(self.home(tag(hash))) {
            arch::prefetch(line);
        }
    }

    /// The line and the slot of the first place with the tag of a hash of which `is_it` says
    /// that it is the one.
    #[inline(always)]
    fn search(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<(usize, usize)> {
        if self.lines.is_empty() {
            return None;
        }
        let tag = tag(hash);
        let mut at = self.home(tag);
        loop {
            let line = &self.lines[at];
            let mut same = arch::equal(&line.tags, tag);
            while let Some(slot) = first(same) {
                if is_it(line.places[slot]) {
                    return Some((at, slot));
                }
                same &= same - 1;
            }
            if !line.is_full() {
                return None;
            }
            at = self.next(at);
        }
    }

    /// The first place with this hash, as far as that is kept, of which `is_it` says
    /// that it is the right one.
    #[inline(always)]
    pub(super) fn find(&self, hash: u64, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let (line, slot) = self.search(hash, is_it)?;
        Some(self.lines[line].places[slot])
    }

    /// Adds a place that is not there.
    pub(super) fn insert(&mut self, hash: u64, place: u32) {
        self.reserve(1);
        self.put(tag(hash), place);
        self.len += 1;
    }

    /// Takes a place out; says whether it was there.
    pub(super) fn remove(&mut self, hash: u64, place: u32) -> bool {
        let Some((mut line, mut hole)) = self.search(hash, |at| at == place) else {
            return false;
        };
        while let Some((from, slot)) = self.displaced_from(line) {
            let Line { tags, places } = self.lines[from];
            self.lines[line].tags[hole] = tags[slot];
            self.lines[line].places[hole] = places[slot];
            (line, hole) = (from, slot);
        }
        let line = &mut self.lines[line];
        let last = line.used() - 1;
        line.tags[hole] = line.tags[last];
        line.places[hole] = line.places[last];
        line.tags[last] = 0;
        self.len -= 1;
        true
    }

    /// The next slot behind a line whose search begins in it or before it: there is none if
    /// the line is not full.
    fn displaced_from(&self, line: usize) -> Option<(usize, usize)> {
        let distance = |from: usize, to: usize| to.wrapping_sub(from) & (self.lines.len() - 1);
        let mut at = line;
        while self.lines[at].is_full() {
            at = self.next(at);
            let tags = &self.lines[at].tags;
            let is_displaced =
                |&tag: &u32| tag != 0 && distance(self.home(tag), at) >= distance(line, at);
            if let Some(slot) = tags.iter().position(is_displaced) {
                return Some((at, slot));
            }
        }
        None
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("len", &self.len)
            .field("lines", &self.lines.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_index_has_no_lines() {
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
            assert!(room >= len && room <= LINE.max(4 * len), "{len}: {room}");
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
                // The lowest bit of a tag is always set.
                let hash = if high { (2 * hash).wrapping_neg().rotate_right(8) } else { hash << 12 };
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
