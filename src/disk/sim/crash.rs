//! What a crash leaves.

use std::collections::BTreeSet;
use std::path::Path;

use super::Change;
use super::contents::{Contents, FileId};

/// What a crash spares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Survives {
    /// All that was written: a crash of the process.
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
    /// The length of the file says that they are there.
    Zeros,
    Garbage,
}

struct Chance {
    survives: Survives,
    state: u64,
}

impl Chance {
    fn new(survives: Survives) -> Self {
        let state = match survives {
            Survives::Some(seed) => seed,
            _ => 0,
        };
        Self { survives, state }
    }

    /// The generator `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn is_kept(&mut self) -> bool {
        match self.survives {
            Survives::Written => true,
            Survives::Durable => false,
            Survives::Some(_) => self.next().is_multiple_of(2),
        }
    }

    fn fate(&mut self, len: usize) -> Fate {
        match self.survives {
            Survives::Written => Fate::Kept,
            Survives::Durable => Fate::Lost,
            Survives::Some(_) => match self.next() % 8 {
                0..=2 => Fate::Kept,
                3 | 4 => Fate::Lost,
                5 => Fate::Cut(self.next() as usize % len),
                6 => Fate::Zeros,
                _ => Fate::Garbage,
            },
        }
    }
}

/// The disk after these changes and a crash.
pub(super) fn image(mut contents: Contents, changes: &[Change], survives: Survives) -> Contents {
    let durable = durable(changes);
    let mut chance = Chance::new(survives);
    let mut lengths: Vec<(FileId, usize)> = Vec::new();
    for (change, durable) in changes.iter().zip(durable) {
        match change {
            Change::Append(file, bytes) => {
                let at = match lengths.iter().position(|(known, _)| known == file) {
                    Some(at) => at,
                    None => {
                        lengths.push((*file, contents.bytes(*file).len()));
                        lengths.len() - 1
                    }
                };
                let offset = lengths[at].1;
                lengths[at].1 += bytes.len();
                let fate = if durable {
                    Fate::Kept
                } else {
                    chance.fate(bytes.len())
                };
                match fate {
                    Fate::Kept => contents.write_at(*file, offset, bytes),
                    Fate::Lost => {}
                    Fate::Cut(kept) => contents.write_at(*file, offset, &bytes[..kept]),
                    Fate::Zeros => contents.write_at(*file, offset, &vec![0; bytes.len()]),
                    Fate::Garbage => {
                        let garbage: Vec<u8> = bytes.iter().map(|_| chance.next() as u8).collect();
                        contents.write_at(*file, offset, &garbage);
                    }
                }
            }
            _ => {
                if let Change::Create(_, file) = change {
                    // Also without its name: it may get another one.
                    contents.make_file(*file);
                }
                if durable || chance.is_kept() {
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
            Change::Create(path, _) | Change::CreateDir(path) | Change::Remove(path) => {
                is_synced(path)
            }
            Change::Rename(from, to, _) => is_synced(from) && is_synced(to),
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
            Change::SyncDirFailed(dir) => {
                synced_dirs.remove(dir.as_path());
            }
            _ => {}
        }
    }
    durable.reverse();
    durable
}
