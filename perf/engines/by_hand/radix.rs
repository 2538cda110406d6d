//! Sums by key with what is still possible: records are first brought to one of 64
//! parts by their hash, so that the table of a part fits a cache near the core, and a
//! table is asked for what is needed 16 records later.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use perf_lab::input::Pairs;

use crate::yardstick::{Team, mix, range_of};

/// Parts of all hashes. 16 to 64 were as good, more than 128 lost.
const PARTS: usize = 64;

/// How many records ahead the table is asked.
const AHEAD: usize = 16;

/// An open-addressed table with linear probing. No key is zero: that marks a free slot.
struct Table {
    slots: Vec<(u64, i64)>,
    used: usize,
    /// Whether keys whose sum is zero may go.
    forgets: bool,
}

impl Table {
    fn new(forgets: bool) -> Self {
        Self {
            slots: vec![(0, 0); 64],
            used: 0,
            forgets,
        }
    }

    /// Adds `sign` times the values.
    fn add_all(&mut self, pairs: &Pairs, sign: i64) {
        for (i, &(key, value)) in pairs.iter().enumerate() {
            if let Some(&(later, _)) = pairs.get(i + AHEAD) {
                prefetch(&self.slots[self.slot(later)]);
            }
            self.add(key, sign * value);
        }
    }

    #[inline(always)]
    fn slot(&self, key: u64) -> usize {
        mix(key) as usize & (self.slots.len() - 1)
    }

    #[inline(always)]
    fn add(&mut self, key: u64, value: i64) {
        let mut at = self.slot(key);
        while self.slots[at].0 != key {
            if self.slots[at].0 == 0 {
                self.slots[at].0 = key;
                self.slots[at].1 = value;
                self.used += 1;
                if self.used * 2 > self.slots.len() {
                    self.rebuild();
                }
                return;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at].1 += value;
    }

    /// Leaves out what may go, and doubles the table if that is not much.
    #[cold]
    fn rebuild(&mut self) {
        let old = std::mem::take(&mut self.slots);
        let forgets = self.forgets;
        let stays = |&&(key, sum): &&(u64, i64)| key != 0 && !(forgets && sum == 0);
        self.used = old.iter().filter(stays).count();
        let len = if self.used * 3 > old.len() {
            old.len() * 2
        } else {
            old.len()
        };
        self.slots = vec![(0, 0); len];
        for &(key, sum) in old.iter().filter(stays) {
            let mut at = self.slot(key);
            while self.slots[at].0 != 0 {
                at = (at + 1) & (len - 1);
            }
            self.slots[at] = (key, sum);
        }
    }
}

#[inline(always)]
fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: it is the address of something, and nothing is read.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// What a thread brings to each part: `[thread][part]`.
type Exchange = Vec<Vec<Mutex<Pairs>>>;

/// A thread, the tables of its parts, and what their windows hold.
struct Member {
    thread: usize,
    exchange: Arc<Exchange>,
    /// Of each part that is this thread's, by `part / threads`.
    tables: Vec<Table>,
    /// Batches in the window, if sums slide.
    window: Option<usize>,
    /// What is in the window: of each batch the lists that were brought to each part.
    panes: VecDeque<Vec<Pairs>>,
}

#[derive(Clone)]
enum Work {
    /// Bring this thread's share of a batch to the parts.
    Scatter(Arc<Pairs>),
    /// Add what was brought to the parts of this thread.
    Gather,
}

impl Member {
    fn new(thread: usize, exchange: &Arc<Exchange>, window: Option<usize>) -> Self {
        let parts = (thread..PARTS).step_by(exchange.len());
        Self {
            thread,
            exchange: Arc::clone(exchange),
            tables: parts.map(|_| Table::new(window.is_some())).collect(),
            window,
            panes: VecDeque::new(),
        }
    }

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
        let full = self.window.is_some_and(|length| self.panes.len() == length);
        let leaving = full.then(|| self.panes.pop_front()).flatten();
        let mut leaving = leaving.unwrap_or_default().into_iter();
        let mut pane = Vec::new();
        for (part, table) in (self.thread..PARTS)
            .step_by(self.exchange.len())
            .zip(&mut self.tables)
        {
            for thread in self.exchange.iter() {
                let mut old = leaving.next().unwrap_or_default();
                table.add_all(&old, -1);
                old.clear();
                // The list that left is filled next.
                let new = std::mem::replace(&mut *lock(&thread[part]), old);
                table.add_all(&new, 1);
                pane.push(new);
            }
        }
        match self.window {
            Some(_) => self.panes.push_back(pane),
            None => self.give_back(pane),
        }
    }

    /// Lists are filled again, where no window keeps them.
    fn give_back(&self, pane: Vec<Pairs>) {
        let mut pane = pane.into_iter();
        for part in (self.thread..PARTS).step_by(self.exchange.len()) {
            for (thread, mut list) in self.exchange.iter().zip(&mut pane) {
                list.clear();
                *lock(&thread[part]) = list;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sums by key, of all batches or of the last ones.
pub(crate) struct Radix(Team<Member, Work>);

impl Radix {
    pub(crate) fn new(threads: usize, window: Option<usize>) -> Self {
        let lists = |_| (0..PARTS).map(|_| Mutex::default()).collect();
        let exchange: Arc<Exchange> = Arc::new((0..threads).map(lists).collect());
        let member = |thread| Member::new(thread, &exchange, window);
        Self(Team::new((0..threads).map(member), Member::work))
    }

    /// One batch enters; the oldest one of a full window leaves.
    pub(crate) fn step(&mut self, batch: &Arc<Pairs>) {
        self.0.each(&Work::Scatter(Arc::clone(batch)));
        self.0.each(&Work::Gather);
    }

    /// Calls `f` with all keys and their sums.
    pub(crate) fn rows(&self, mut f: impl FnMut(u64, i64)) {
        for member in self.0.parts() {
            let slots = member.tables.iter().flat_map(|table| &table.slots);
            for &(key, sum) in slots.filter(|slot| slot.0 != 0) {
                f(key, sum);
            }
        }
    }
}
