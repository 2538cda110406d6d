//! Blocks of text that were filled, to be filled again.

use std::collections::VecDeque;
use std::fmt;

use crate::block::TextBlock;
use crate::sync::{Mutex, MutexGuard, unpoisoned};

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
///
/// Only a ring at rest shares them with its cutter.
pub(super) struct Spent {
    kept: Mutex<Kept>,
}

struct Kept {
    blocks: VecDeque<TextBlock>,
    max: usize,
    /// The fewest blocks that were left free in this round, and how long it is.
    unused: usize,
    turns: usize,
}

impl Spent {
    pub(super) fn new(max: usize) -> Self {
        let kept = Kept {
            blocks: VecDeque::new(),
            max,
            unused: usize::MAX,
            turns: 0,
        };
        Self {
            kept: Mutex::new(kept),
        }
    }

    /// Takes out a block that nobody else holds.
    pub(super) fn take(&self) -> Option<TextBlock> {
        self.kept().take()
    }

    /// Keeps a filled block. When there are too many the oldest is given up:
    /// somebody keeps a string of it, and may do so for ever.
    pub(super) fn put(&self, block: TextBlock) {
        let old = self.kept().put(block);
        // Memory is given back behind the lock.
        drop(old);
    }

    /// Gives the memory of one block back, or lets go of one that somebody keeps.
    pub(super) fn give_back(&self) {
        let oldest = self.kept().blocks.pop_front();
        drop(oldest);
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn len(&self) -> usize {
        self.kept().blocks.len()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        unpoisoned(self.kept.lock())
    }
}

impl Kept {
    fn take(&mut self) -> Option<TextBlock> {
        let mut oldest = self.blocks.iter().take(LOOK_AT);
        let at = oldest.position(TextBlock::is_unique)?;
        let block = self.blocks.remove(at);
        if at > OVERTAKEN {
            self.blocks.pop_front();
        }
        block
    }

    /// Gives what is not needed any more.
    fn put(&mut self, block: TextBlock) -> Vec<TextBlock> {
        let mut old = Vec::new();
        if self.blocks.len() == self.max {
            old.extend(self.blocks.pop_front());
        }
        self.blocks.push_back(block);
        self.turns += 1;
        if self.turns.is_multiple_of(ROUND / 8) {
            let free = self.blocks.iter().filter(|block| block.is_unique()).count();
            self.unused = self.unused.min(free);
        }
        if self.turns == ROUND {
            // Those that were free all the time; one is on its way to be used.
            let unused = (1..self.unused).map_while(|_| self.take());
            old.extend(unused);
            (self.unused, self.turns) = (usize::MAX, 0);
        }
        old
    }
}

impl fmt::Debug for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spent")
            .field("blocks", &self.kept().blocks.len())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SIZE: usize = 64;

    /// A block from the list, or a new one; counts the new ones.
    fn take(spent: &Spent, new: &mut usize) -> TextBlock {
        spent.take().unwrap_or_else(|| {
            *new += 1;
            TextBlock::zeroed(SIZE)
        })
    }

    #[test]
    fn blocks_go_round() {
        let (spent, mut new) = (Spent::new(100), 0);
        let mut held = VecDeque::new();
        for _ in 0..10_000 {
            let block = take(&spent, &mut new);
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
        let (spent, mut new) = (Spent::new(100), 0);
        let mut kept = Vec::new();
        for turn in 0..10_000 {
            let block = take(&spent, &mut new);
            if turn % 1000 == 0 {
                kept.push(block.clone());
            }
            spent.put(block);
        }
        assert_eq!(new, 11);
        assert!(spent.len() <= 12);
    }

    #[test]
    fn a_peak_leaves_nothing_behind() {
        let (spent, mut new) = (Spent::new(100), 0);
        let peak: Vec<_> = (0..80).map(|_| take(&spent, &mut new)).collect();
        for block in peak {
            spent.put(block);
        }
        for _ in 0..3 * ROUND {
            let block = take(&spent, &mut new);
            spent.put(block);
        }
        assert_eq!(new, 80);
        assert!(spent.len() <= 2, "{}", spent.len());
    }

    #[test]
    fn there_are_never_more_than_may_be() {
        let spent = Spent::new(10);
        let mut held = Vec::new();
        for _ in 0..1000 {
            let block = TextBlock::zeroed(SIZE);
            held.push(block.clone());
            spent.put(block);
            assert!(spent.len() <= 10);
        }
    }
}
