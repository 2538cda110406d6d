//! Blocks of text that were filled, to be filled again.

use std::collections::VecDeque;
use std::fmt;

use crate::block::TextBlock;

/// Blocks that a search for a free one looks at. The oldest are free first, unless
/// somebody keeps strings of them.
const LOOK_AT: usize = 8;

/// One that so many younger ones overtook is given up: somebody keeps a string of it.
const OVERTAKEN: usize = LOOK_AT / 2;

/// So many blocks after each other show how many are needed.
const ROUND: usize = 256;

/// Blocks that were filled, oldest first, to be used again once nobody else holds
/// them.
///
/// To fill new memory costs as much again as to receive into it, so a ring keeps as
/// many blocks as it may have bytes in flight; those that a peak leaves behind go as
/// others are filled.
pub(super) struct Spent {
    blocks: VecDeque<TextBlock>,
    max: usize,
    /// The fewest blocks that were left free in this round, and how long it is.
    unused: usize,
    turns: usize,
}

impl Spent {
    pub(super) fn new(max: usize) -> Self {
        Self {
            blocks: VecDeque::new(),
            max,
            unused: usize::MAX,
            turns: 0,
        }
    }

    /// Takes out a block that nobody else holds.
    pub(super) fn take(&mut self) -> Option<TextBlock> {
        let mut oldest = self.blocks.iter().take(LOOK_AT);
        let at = oldest.position(TextBlock::is_unique)?;
        let block = self.blocks.remove(at);
        if at > OVERTAKEN {
            self.blocks.pop_front();
        }
        block
    }

    /// Keeps a filled block. When there are too many the oldest is given up:
    /// somebody keeps a string of it, and may do so for ever.
    pub(super) fn put(&mut self, block: TextBlock) {
        if self.blocks.len() == self.max {
            self.blocks.pop_front();
        }
        self.blocks.push_back(block);
        self.turns += 1;
        if self.turns.is_multiple_of(ROUND / 8) {
            let free = self.blocks.iter().filter(|block| block.is_unique()).count();
            self.unused = self.unused.min(free);
        }
        if self.turns == ROUND {
            self.trim();
        }
    }

    /// Gives up blocks that were free all the time.
    fn trim(&mut self) {
        // One is on its way to be used.
        for _ in 1..self.unused {
            match self.take() {
                Some(block) => drop(block),
                None => break,
            }
        }
        (self.unused, self.turns) = (usize::MAX, 0);
    }
}

impl fmt::Debug for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spent")
            .field("blocks", &self.blocks.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 64;

    /// A block from the list, or a new one; counts the new ones.
    fn take(spent: &mut Spent, new: &mut usize) -> TextBlock {
        spent.take().unwrap_or_else(|| {
            *new += 1;
            TextBlock::zeroed(SIZE)
        })
    }

    #[test]
    fn blocks_go_round() {
        let (mut spent, mut new) = (Spent::new(100), 0);
        let mut held = VecDeque::new();
        for _ in 0..10_000 {
            let block = take(&mut spent, &mut new);
            held.push_back(block.clone());
            spent.put(block);
            if held.len() > 50 {
                held.pop_front();
            }
        }
        assert_eq!(new, 51);
    }

    #[test]
    fn a_block_that_is_kept_is_in_nobodys_way() {
        let (mut spent, mut new) = (Spent::new(100), 0);
        let mut kept = Vec::new();
        for turn in 0..10_000 {
            let block = take(&mut spent, &mut new);
            if turn % 1000 == 0 {
                kept.push(block.clone());
            }
            spent.put(block);
        }
        assert_eq!(new, 11);
        assert!(spent.blocks.len() <= 12);
    }

    #[test]
    fn a_peak_leaves_nothing_behind() {
        let (mut spent, mut new) = (Spent::new(100), 0);
        let peak: Vec<_> = (0..80).map(|_| take(&mut spent, &mut new)).collect();
        for block in peak {
            spent.put(block);
        }
        for _ in 0..3 * ROUND {
            let block = take(&mut spent, &mut new);
            spent.put(block);
        }
        assert_eq!(new, 80);
        assert!(spent.blocks.len() <= 2, "{}", spent.blocks.len());
    }

    #[test]
    fn there_are_never_more_than_may_be() {
        let mut spent = Spent::new(10);
        let mut held = Vec::new();
        for _ in 0..1000 {
            let block = TextBlock::zeroed(SIZE);
            held.push(block.clone());
            spent.put(block);
            assert!(spent.blocks.len() <= 10);
        }
    }
}
