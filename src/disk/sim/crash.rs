//! What a crash leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Change;
use super::contents::{Contents, FileId};
use super::random::Random;

/// What a crash spares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Survives {
    /// All that was written: a crash of the process. A crash of the machine that comes
    /// later may still take what was not durable.
    Written,
    /// What was durable, and nothing else.
    Durable,
    /// What was durable, and any part of the rest, chosen by this seed: of each
    /// append all, nothing, or the front; in place of what is lost there may be
    /// zeros or anything else. Which names stand in a directory is chosen for each
    /// change of one.
    Some(u64),
}

/// What becomes of bytes that are not durable.
enum Fate {
    Kept,
    Lost,
    /// This many bytes at the front are kept.
    Cut(usize),
    /// The length of the file says that they are there, and these are.
    Replaced(Vec<u8>),
}

/// Chooses; without chance, always the loss.
struct Choice(Option<Random>);

impl Choice {
    fn is_kept(&mut self) -> bool {
        self.0.as_mut().is_some_and(|chance| chance.below(2) == 0)
    }

    fn fate(&mut self, len: usize) -> Fate {
        let Some(chance) = &mut self.0 else {
            return Fate::Lost;
        };
        match chance.below(8) {
            0..=2 => Fate::Kept,
            3 | 4 => Fate::Lost,
            5 => Fate::Cut(chance.below(len)),
            6 => Fate::Replaced(vec![0; len]),
            _ => Fate::Replaced((0..len).map(|_| chance.next() as u8).collect()),
        }
    }
}

/// The disk after these changes and a crash of the machine.
pub(super) fn image(mut contents: Contents, changes: &[Change], survives: Survives) -> Contents {
    let durable = durable(changes);
    let mut choice = Choice(match survives {
        Survives::Some(seed) => Some(Random::new(seed)),
        Survives::Durable | Survives::Written => None,
    });
    // As they were before the crash.
    let mut lengths: BTreeMap<FileId, usize> = BTreeMap::new();
    for (change, durable) in changes.iter().zip(durable) {
        match change {
            Change::Append(file, bytes) => {
                let length = lengths
                    .entry(*file)
                    .or_insert_with(|| contents.bytes(*file).len());
                let offset = *length;
                *length += bytes.len();
                let fate = if durable {
                    Fate::Kept
                } else {
                    choice.fate(bytes.len())
                };
                match fate {
                    Fate::Kept => contents.write_at(*file, offset, bytes),
                    Fate::Lost => {}
                    Fate::Cut(kept) => contents.write_at(*file, offset, &bytes[..kept]),
                    Fate::Replaced(bytes) => contents.write_at(*file, offset, &bytes),
                }
            }
            _ => {
                if let Change::Create(_, file) = change {
                    // Also without its name: it may get another one.
                    contents.make_file(*file);
                }
                if durable || choice.is_kept() {
                    contents.apply(change);
                }
            }
        }
    }
    contents.prune();
    contents
}

/// For each change, whether it was durable after all of them.
fn durable(changes: &[Change]) -> Vec<bool> {
    let mut synced_files: BTreeSet<FileId> = BTreeSet::new();
    let mut synced_dirs: BTreeSet<&Path> = BTreeSet::new();
    let mut durable: Vec<bool> = Vec::with_capacity(changes.len());
    for change in changes.iter().rev() {
        let is_synced = |path: &Path| path.parent().is_some_and(|dir| synced_dirs.contains(dir));
        let is_durable = match change {
            Change::Append(file, _) => synced_files.contains(file),
            Change::Create(path, _)
            | Change::CreateDir(path)
            | Change::Remove(path)
            | Change::RemoveDir(path) => is_synced(path),
            Change::Rename(from, to, _) | Change::RenameDir(from, to) => {
                is_synced(from) && is_synced(to)
            }
            _ => true,
        };
        durable.push(is_durable);
        match change {
            Change::Sync(file) => {
                synced_files.insert(*file);
            }
            Change::SyncFailed(file) => {
                synced_files.remove(file);
            }
            Change::SyncDir(dir) => {
                synced_dirs.insert(dir);
            }
            _ => {}
        }
    }
    durable.reverse();
    durable
}
