//! Making the backs of many keys their fronts, or the newer part of them.

use super::entries::{Entries, Stacks, join};
use crate::rdd::op::reduce_by_key::Reducer;
use crate::rdd::pipe::Data;
use crate::state::spare::clear;

/// Keys that are walked at the same time.
const TOGETHER: usize = 16;

/// Keys whose backs are made the newer part of their fronts, or are about to be.
#[derive(Default)]
pub(super) struct Flips {
    /// Their rows, and how many of the newest entries of each.
    pub(super) keys: Vec<(u32, u32)>,
    /// How many of them were begun.
    begun: usize,
    /// Those at work: first all are joined, and then walked.
    joins: Vec<Join>,
    walks: Vec<Walk>,
}

/// A walk from the oldest entry of a key's front to the newest: each is joined with the back.
struct Join {
    place: u32,
    at: u32,
    newest: u32,
}

/// A walk along the entries of a key's back, from `at` over `left` more.
struct Walk {
    place: u32,
    at: u32,
    left: u32,
    /// The entry behind, which has its joined value.
    newer: Option<u32>,
}

impl Flips {
    /// Does what is left to do. Each call of the function is one that changes nothing, or an
    /// entry and how far its walk has come.
    pub(super) fn run<V, F>(
        &mut self,
        keys: &mut [Stacks<V>],
        entries: &mut Entries<V>,
        combine: &Reducer<F>,
    ) where
        V: Data,
        F: Fn(V, V) -> V,
    {
        loop {
            while !self.joins.is_empty() {
                step_each(&mut self.joins, |join| join.step(keys, entries, combine));
            }
            while !self.walks.is_empty() {
                step_each(&mut self.walks, |walk| walk.step(keys, entries, combine));
            }
            let left = &self.keys[self.begun..];
            let some = &left[..left.len().min(TOGETHER)];
            if some.is_empty() {
                break;
            }
            self.joins.extend(some.iter().filter_map(|&(place, _)| {
                let key = &keys[place as usize];
                Some(Join {
                    place,
                    at: key.oldest,
                    newest: key.front?,
                })
            }));
            self.walks.extend(some.iter().map(|&(place, left)| Walk {
                place,
                at: keys[place as usize].newest,
                left,
                newer: None,
            }));
            self.begun += some.len();
        }
    }

    /// Whether any of them was begun.
    pub(super) fn is_begun(&self) -> bool {
        self.begun > 0
    }

    /// All were run, and what they had to be run for is done.
    pub(super) fn end(&mut self) {
        clear(&mut self.keys);
        self.begun = 0;
    }
}

/// Takes a step with each, and lets those go that have no further one.
#[inline(always)]
fn step_each<T>(all: &mut Vec<T>, mut step: impl FnMut(&mut T) -> bool) {
    let mut i = 0;
    while i < all.len() {
        if step(&mut all[i]) {
            i += 1;
        } else {
            all.swap_remove(i);
        }
    }
}

impl Join {
    #[inline(always)]
    fn step<V, F>(
        &mut self,
        keys: &[Stacks<V>],
        entries: &mut Entries<V>,
        combine: &Reducer<F>,
    ) -> bool
    where
        V: Data,
        F: Fn(V, V) -> V,
    {
        let Some(back) = &keys[self.place as usize].back else {
            return false;
        };
        let entry = entries.at_mut(self.at);
        entry.value = join(&entry.value, back, combine);
        let more = self.at != self.newest;
        self.at = entry.link;
        if more {
            entries.prefetch(self.at);
        }
        more
    }
}

impl Walk {
    #[inline(always)]
    fn step<V, F>(
        &mut self,
        keys: &mut [Stacks<V>],
        entries: &mut Entries<V>,
        combine: &Reducer<F>,
    ) -> bool
    where
        V: Data,
        F: Fn(V, V) -> V,
    {
        let older = entries.at(self.at).link;
        if let Some(newer) = self.newer {
            let joined = join(
                &entries.at(self.at).value,
                &entries.at(newer).value,
                combine,
            );
            let entry = entries.at_mut(self.at);
            entry.value = joined;
            entry.link = newer;
        }
        self.left -= 1;
        if self.left == 0 {
            keys[self.place as usize].flipped(self.at, entries);
            return false;
        }
        self.newer = Some(self.at);
        self.at = older;
        entries.prefetch(older);
        true
    }
}
