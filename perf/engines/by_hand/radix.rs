//! Keyed work with what is still possible: records are first brought to one of 64 parts
//! by their hash, so that the table of a part fits a cache near the core, and memory is
//! asked for what is needed 16 records later. What is in a window is known by its place
//! in the table, so that what leaves need not be looked for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use perf_lab::input::Pairs;

use crate::yardstick::{Team, mix, range_of};

/// Parts of all hashes. 16 to 64 were as good, more than 128 lost.
const PARTS: usize = 64;

/// How many records ahead memory is asked.
const AHEAD: usize = 16;

/// Records for which there has to be room at once.
const CHUNK: usize = 2048;

/// An open-addressed table with linear probing. No key is zero: that marks a free slot.
struct Table {
    slots: Vec<(u64, i64)>,
    used: usize,
}

impl Table {
    fn new() -> Self {
        Self {
            slots: vec![(0, 0); 64],
            used: 0,
        }
    }

    #[inline(always)]
    fn home(&self, key: u64) -> usize {
        mix(key) as usize & (self.slots.len() - 1)
    }

    #[inline(always)]
    fn prefetch(&self, at: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let place = std::ptr::from_ref(&self.slots[at]).cast();
            // SAFETY: it is the address of something, and nothing is read.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(place) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = at;
    }

    /// Adds the values of `pairs`, and calls `f` with the places of their keys. Has room
    /// for all of them.
    fn add(&mut self, pairs: &[(u64, i64)], mut f: impl FnMut(usize)) {
        for (i, &(key, value)) in pairs.iter().enumerate() {
            if let Some(&(later, _)) = pairs.get(i + AHEAD) {
                self.prefetch(self.home(later));
            }
            let at = self.place(key);
            self.slots[at].1 += value;
            f(at);
        }
    }

    /// Where a key is, or is from now on.
    #[inline(always)]
    fn place(&mut self, key: u64) -> usize {
        let mut at = self.home(key);
        while self.slots[at].0 != key {
            if self.slots[at].0 == 0 {
                self.slots[at].0 = key;
                self.used += 1;
                break;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    /// Takes one from each of some places.
    fn leave(&mut self, places: &[u32]) {
        for (i, &at) in places.iter().enumerate() {
            if let Some(&later) = places.get(i + AHEAD) {
                self.prefetch(later as usize);
            }
            self.slots[at as usize].1 -= 1;
        }
    }

    /// Makes room for so many more keys if there is none. Keys go, if they may, whose
    /// value is zero. Gives the new place of each old one if they changed.
    fn make_room(&mut self, more: usize, forget: bool) -> Option<Vec<u32>> {
        if (self.used + more) * 4 <= self.slots.len() * 3 {
            return None;
        }
        let old = std::mem::take(&mut self.slots);
        let stays = |&(key, value): &(u64, i64)| key != 0 && !(forget && value == 0);
        let live = old.iter().filter(|slot| stays(slot)).count();
        let len = ((live + more) * 2).next_power_of_two();
        self.slots = vec![(0, 0); len];
        self.used = 0;
        let mut moved = vec![0; old.len()];
        for (slot, new) in old.iter().zip(&mut moved) {
            if stays(slot) {
                let at = self.place(slot.0);
                self.slots[at].1 = slot.1;
                *new = at as u32;
            }
        }
        Some(moved)
    }
}

/// A part of the keys, and the places of what is in its window, a list for each batch.
struct Part {
    table: Table,
    panes: VecDeque<Vec<u32>>,
}

impl Part {
    fn new() -> Self {
        Self {
            table: Table::new(),
            panes: VecDeque::new(),
        }
    }

    /// The oldest batch leaves if the window is full.
    fn leave(&mut self, window: usize) {
        let full = self.panes.len() == window;
        let mut pane = match full.then(|| self.panes.pop_front()).flatten() {
            Some(places) => {
                self.table.leave(&places);
                places
            }
            None => Vec::new(),
        };
        pane.clear();
        self.panes.push_back(pane);
    }

    /// More records of the batch that enters.
    fn enter(&mut self, pairs: &Pairs) {
        let Self { table, panes } = self;
        for some in pairs.chunks(CHUNK) {
            if let Some(moved) = table.make_room(some.len(), !panes.is_empty()) {
                for place in panes.iter_mut().flatten() {
                    *place = moved[*place as usize];
                }
            }
            match panes.back_mut() {
                Some(pane) => table.add(some, |at| pane.push(at as u32)),
                None => table.add(some, |_| {}),
            }
        }
    }
}

/// What each thread brings to each part: `[thread][part]`.
type Exchange = Vec<Vec<Mutex<Pairs>>>;

/// A thread with its parts.
struct Member {
    thread: usize,
    exchange: Arc<Exchange>,
    /// Those of each `threads`th number, from the thread's own on.
    parts: Vec<Part>,
    /// Batches in the window, if there is one.
    window: Option<usize>,
}

#[derive(Clone)]
enum Work {
    /// Bring this thread's share of a batch to the parts.
    Scatter(Arc<Pairs>),
    /// Take in what was brought to the parts of this thread.
    Gather,
}

impl Member {
    fn work(&mut self, work: Work) {
        match work {
            Work::Scatter(batch) => self.scatter(&batch),
            Work::Gather => self.gather(),
        }
    }

    fn scatter(&mut self, batch: &Pairs) {
        let (thread, threads) = (self.thread, self.exchange.len());
        let share = batch.len() * thread / threads..batch.len() * (thread + 1) / threads;
        let mut parts: Vec<_> = self.exchange[thread].iter().map(lock).collect();
        for &(key, value) in &batch[share] {
            parts[range_of(mix(key), PARTS)].push((key, value));
        }
    }

    fn gather(&mut self) {
        let numbers = (self.thread..PARTS).step_by(self.exchange.len());
        for (number, part) in numbers.zip(&mut self.parts) {
            if let Some(window) = self.window {
                part.leave(window);
            }
            for thread in self.exchange.iter() {
                let mut list = lock(&thread[number]);
                part.enter(&list);
                list.clear();
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sums by key, or counts by key in a window.
pub(crate) struct Radix(Team<Member, Work>);

impl Radix {
    /// Sums of all batches.
    pub(crate) fn sums(threads: usize) -> Self {
        Self::new(threads, None)
    }

    /// Counts of the last `length` batches, whose values are all 1.
    pub(crate) fn counts(threads: usize, length: usize) -> Self {
        Self::new(threads, Some(length))
    }

    fn new(threads: usize, window: Option<usize>) -> Self {
        let lists = |_| (0..PARTS).map(|_| Mutex::default()).collect();
        let exchange: Arc<Exchange> = Arc::new((0..threads).map(lists).collect());
        let member = |thread| Member {
            thread,
            exchange: Arc::clone(&exchange),
            parts: (thread..PARTS)
                .step_by(threads)
                .map(|_| Part::new())
                .collect(),
            window,
        };
        Self(Team::new((0..threads).map(member), Member::work))
    }

    /// One batch enters; the oldest one of a full window leaves.
    pub(crate) fn step(&mut self, batch: &Arc<Pairs>) {
        self.0.each(&Work::Scatter(Arc::clone(batch)));
        self.0.each(&Work::Gather);
    }

    /// Calls `f` with all keys and their values; those that left a window have zero.
    pub(crate) fn rows(&self, mut f: impl FnMut(u64, i64)) {
        for member in self.0.parts() {
            let slots = member.parts.iter().flat_map(|part| &part.table.slots);
            for &(key, value) in slots.filter(|slot| slot.0 != 0) {
                f(key, value);
            }
        }
    }
}
