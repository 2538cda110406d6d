//! Whose turn it is: the rules by which a file belongs to a batch.
//!
//! At the batch time `t`, a file is taken that was modified at `m` with
//! `threshold < m <= t`, and whose path was not taken by a batch of
//! `t - window` or later. The threshold is the later of `t - window` and of the
//! time before which all files are old. So the paths of one window are enough to
//! take each file once: one that is older cannot come again, unless somebody
//! writes to it.
//!
//! A pass serves several times at once: a file goes to the first of them that may
//! have it, as if they had been asked one by one.
//!
//! When a process goes on from a checkpoint, the batches that the one before may have
//! made get what was noted of them, and no look at the directories. So the first look
//! takes `t` to be the last batch before them, to find what has come meanwhile.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashTable;

use super::listing::{Found, Reason};
use crate::hash::KeyHash;
use crate::time::{BatchTime, Duration};

/// What is known of the files from one pass to the next.
#[derive(Debug)]
pub(super) struct Selection {
    /// Files that were modified then or before are old.
    initial: i64,
    window: Duration,
    /// The last batch that the directories were looked at for, until they are looked at
    /// again by a process that goes on from a checkpoint.
    behind: Option<BatchTime>,
    /// The files that were taken within the window, by path and in order.
    taken: HashTable<Taken>,
    in_order: VecDeque<(BatchTime, Arc<Path>)>,
    /// Hashes of the paths of all other files that were seen by the last pass:
    /// they were counted already.
    noted: HashTable<u64>,
}

#[derive(Debug)]
struct Taken {
    hash: u64,
    path: Arc<Path>,
    time: BatchTime,
}

/// A file of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) path: Arc<Path>,
    pub(super) found: Found,
}

/// Files that were not seen before and are not read.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    counts: [u64; Reason::ALL.len()],
    /// One file of each kind.
    examples: [Option<Arc<Path>>; Reason::ALL.len()],
}

impl Ignored {
    fn add(&mut self, reason: Reason, path: &Path) {
        self.counts[reason as usize] += 1;
        self.examples[reason as usize].get_or_insert_with(|| Arc::from(path));
    }

    pub(super) fn is_any(&self) -> bool {
        self.examples.iter().any(Option::is_some)
    }

    /// What there is, with how many and one of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Reason, u64, &Path)> {
        Reason::ALL.into_iter().filter_map(|reason| {
            let example = self.examples[reason as usize].as_deref()?;
            Some((reason, self.counts[reason as usize], example))
        })
    }
}

impl Selection {
    pub(super) fn new(initial: i64, window: Duration) -> Self {
        Self {
            initial,
            window,
            behind: None,
            taken: HashTable::new(),
            in_order: VecDeque::new(),
            noted: HashTable::new(),
        }
    }

    /// Begins to choose the files of `times`, which are in order.
    pub(super) fn pass<'s>(&'s mut self, times: &'s [BatchTime]) -> Pass<'s> {
        Pass {
            choices: Vec::new(),
            noted: HashTable::with_capacity(self.noted.len()),
            ignored: Ignored::default(),
            waiting: 0,
            selection: self,
            times,
        }
    }

    fn taken_at(&self, hash: u64, path: &Path) -> Option<BatchTime> {
        let taken = self.taken.find(hash, |taken| *taken.path == *path);
        taken.map(|taken| taken.time)
    }

    pub(super) fn take(&mut self, path: &Arc<Path>, time: BatchTime) {
        let hash = hash_of(path);
        // It may have been taken before the window, and be taken again.
        if let Ok(before) = self.taken.find_entry(hash, |taken| taken.path == *path) {
            before.remove();
        }
        let taken = Taken {
            hash,
            path: Arc::clone(path),
            time,
        };
        self.taken.insert_unique(hash, taken, |taken| taken.hash);
        self.in_order.push_back((time, Arc::clone(path)));
    }

    /// Forgets what no batch needs from `first` on, and no checkpoint of one.
    pub(super) fn forget(&mut self, first: BatchTime) {
        let time = first - self.window;
        while let Some((taken, path)) = self.in_order.pop_front_if(|(taken, _)| *taken < time) {
            let same = |other: &Taken| other.path == path && other.time == taken;
            if let Ok(old) = self.taken.find_entry(hash_of(&path), same) {
                old.remove();
            }
        }
        if self.taken.is_empty() {
            // A great many files at once should not leave their room behind.
            self.taken = HashTable::new();
            self.in_order = VecDeque::new();
        }
    }

    /// What has to be known to go on behind `time`: when files are old, for which batch
    /// the directories were looked at, and which files were taken up to then.
    pub(super) fn save(&self, time: BatchTime) -> (i64, BatchTime, Vec<(i64, &Path)>) {
        let taken = self.in_order.iter().take_while(|(taken, _)| *taken <= time);
        let taken = taken.map(|(taken, path)| (taken.as_millis(), &**path));
        (self.initial, self.behind.unwrap_or(time), taken.collect())
    }

    /// The files that were taken at `time`, which is one of the last ones.
    pub(super) fn taken_by(&self, time: BatchTime) -> impl Iterator<Item = &Path> {
        let last = self.in_order.iter().rev();
        let last = last.take_while(move |(taken, _)| *taken >= time);
        let of_it = last.filter(move |(taken, _)| *taken == time);
        of_it.map(|(_, path)| &**path)
    }

    /// Goes on where that was told.
    pub(super) fn restore(
        &mut self,
        initial: i64,
        behind: BatchTime,
        taken: impl IntoIterator<Item = (i64, PathBuf)>,
    ) {
        self.initial = initial;
        self.behind = Some(behind);
        for (time, path) in taken {
            self.take(&Arc::from(path), BatchTime::from_millis(time));
        }
    }

    /// How many paths are kept, and how many hashes.
    #[cfg(test)]
    pub(super) fn retained(&self) -> (usize, usize) {
        (self.in_order.len(), self.noted.len())
    }
}

fn hash_of(path: &Path) -> u64 {
    KeyHash::get().hash_bytes(path.as_os_str().as_encoded_bytes())
}

/// One look at the directories.
#[derive(Debug)]
pub(super) struct Pass<'s> {
    selection: &'s mut Selection,
    times: &'s [BatchTime],
    /// With the index of their times.
    choices: Vec<(usize, Choice)>,
    noted: HashTable<u64>,
    pub(super) ignored: Ignored,
    /// Files that are dated later than `now`, seen for the first time.
    pub(super) waiting: u64,
}

impl Pass<'_> {
    /// A file that is not read, whatever the time.
    pub(super) fn ignore(&mut self, path: &Path, reason: Reason) {
        if self.note(hash_of(path)) {
            self.ignored.add(reason, path);
        }
    }

    /// A file that one of the batches may have, if `filter` says yes. `now` is
    /// when files cannot have been modified later.
    pub(super) fn offer(
        &mut self,
        path: &Path,
        found: Found,
        now: i64,
        filter: impl FnOnce(&Path) -> bool,
    ) {
        let hash = hash_of(path);
        let taken = self.selection.taken_at(hash, path);
        // No earlier batch may have it again.
        let blocked = taken.map(|time| time + self.selection.window);
        let first = self.times.partition_point(|&time| {
            time.as_millis() < found.modified || blocked.is_some_and(|blocked| time <= blocked)
        });
        let Some(&time) = self.times.get(first) else {
            if found.modified > now && self.note(hash) {
                self.waiting += 1;
            }
            return;
        };
        let Selection {
            initial,
            window,
            behind,
            ..
        } = *self.selection;
        let looked_at = behind.map_or(time, |behind| behind.min(time));
        let is_done = behind.is_some() && taken.is_some_and(|at| found.modified <= at.as_millis());
        if is_done || found.modified <= initial.max((looked_at - window).as_millis()) {
            let unseen = self.note(hash);
            // One that was taken is done, and will be forgotten.
            if unseen && taken.is_none() {
                let reason = if found.modified <= initial {
                    Reason::BeforeStart
                } else {
                    Reason::TooOld
                };
                self.ignored.add(reason, path);
            }
        } else if filter(path) {
            let path = Arc::from(path);
            self.choices.push((first, Choice { path, found }));
        } else if self.note(hash) {
            self.ignored.add(Reason::Refused, path);
        }
    }

    /// Notes that a file is there; whether it was not known before.
    fn note(&mut self, hash: u64) -> bool {
        let same = |other: &u64| *other == hash;
        if self.noted.find(hash, same).is_none() {
            self.noted.insert_unique(hash, hash, |hash| *hash);
            return self.selection.noted.find(hash, same).is_none();
        }
        false
    }

    /// The files of each time, oldest first. Only now they count as taken.
    /// `complete` tells whether everything was seen that is there.
    pub(super) fn finish(mut self, complete: bool) -> Vec<Vec<Choice>> {
        // A directory that changes while it is read may name a file twice.
        self.choices.sort_by(|a, b| a.1.path.cmp(&b.1.path));
        self.choices.dedup_by(|a, b| a.1.path == b.1.path);
        let key = |choice: &(usize, Choice)| (choice.0, choice.1.found.modified);
        self.choices.sort_by_key(key);
        let selection = self.selection;
        selection.behind = None;
        let mut batches = vec![Vec::new(); self.times.len()];
        for (i, choice) in self.choices {
            selection.take(&choice.path, self.times[i]);
            batches[i].push(choice);
        }
        if !complete {
            for &hash in &selection.noted {
                if self.noted.find(hash, |other| *other == hash).is_none() {
                    self.noted.insert_unique(hash, hash, |hash| *hash);
                }
            }
        }
        selection.noted = self.noted;
        batches
    }
}
