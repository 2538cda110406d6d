//! What is in a directory.

use std::fs::{self, DirEntry, FileType, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::rdd::file::Identity;

/// Why a file is not read. In the order in which it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Hidden,
    Temporary,
    Directory,
    NotRegular,
    BrokenLink,
    Unreadable,
    BeforeStart,
    TooOld,
    Refused,
}

impl Reason {
    pub(super) const ALL: [Self; 9] = [
        Self::Hidden,
        Self::Temporary,
        Self::Directory,
        Self::NotRegular,
        Self::BrokenLink,
        Self::Unreadable,
        Self::BeforeStart,
        Self::TooOld,
        Self::Refused,
    ];

    /// What such a file is.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Temporary => "temporary",
            Self::Directory => "a directory",
            Self::NotRegular => "no regular file",
            Self::BrokenLink => "a broken link",
            Self::Unreadable => "not readable",
            Self::BeforeStart => "older than the stream",
            Self::TooOld => "older than the remember window",
            Self::Refused => "refused by the filter",
        }
    }

    /// Whether somebody should look into it.
    pub(super) fn is_odd(self) -> bool {
        matches!(
            self,
            Self::NotRegular | Self::BrokenLink | Self::Unreadable | Self::TooOld
        )
    }
}

/// A regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// When it was modified last, in milliseconds since the epoch.
    pub(super) modified: i64,
    pub(super) len: u64,
    pub(super) identity: Identity,
}

/// Hands over everything that is in a directory. Opens nothing but the directory.
pub(super) fn list(
    directory: &Path,
    by_name: impl Fn(&[u8]) -> Option<Reason>,
    mut take: impl FnMut(&Path, Result<Found, Reason>),
) -> io::Result<()> {
    let mut path = directory.to_owned();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let what = match by_name(name.as_encoded_bytes()) {
            Some(reason) => Some(Err(reason)),
            None => look_at(&entry),
        };
        if let Some(what) = what {
            path.push(name);
            take(&path, what);
            path.pop();
        }
    }
    Ok(())
}

/// The files that nobody asked for by a filter of his own.
pub(super) fn usual_names(name: &[u8]) -> Option<Reason> {
    if name.starts_with(b".") {
        Some(Reason::Hidden)
    } else if name.starts_with(b"_") || name.ends_with(b".tmp") {
        Some(Reason::Temporary)
    } else {
        None
    }
}

/// A file that was chosen before, as it is now.
pub(super) fn found(path: &Path) -> io::Result<Found> {
    regular(&fs::metadata(path)?).map_err(|reason| io::Error::other(reason.describe()))
}

/// None if it is gone by now.
fn look_at(entry: &DirEntry) -> Option<Result<Found, Reason>> {
    // Mostly known without a call of the system.
    let metadata = match entry.file_type() {
        Ok(kind) if kind.is_symlink() => match fs::metadata(entry.path()) {
            Ok(metadata) => metadata,
            Err(_) => return Some(Err(Reason::BrokenLink)),
        },
        Ok(kind) if unfit(kind).is_some() => return unfit(kind).map(Err),
        _ => match entry.metadata() {
            Ok(metadata) => metadata,
            Err(cause) if cause.kind() == ErrorKind::NotFound => return None,
            Err(_) => return Some(Err(Reason::Unreadable)),
        },
    };
    Some(regular(&metadata))
}

fn unfit(kind: FileType) -> Option<Reason> {
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some(Reason::Directory)
    } else {
        Some(Reason::NotRegular)
    }
}

fn regular(metadata: &Metadata) -> Result<Found, Reason> {
    if let Some(reason) = unfit(metadata.file_type()) {
        return Err(reason);
    }
    let Ok(modified) = metadata.modified() else {
        return Err(Reason::Unreadable);
    };
    let millis = match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        // Rounded down on this side, too.
        Err(before) => {
            let millis = before.duration().as_nanos().div_ceil(1_000_000);
            i64::try_from(millis).map_or(i64::MIN, |millis| -millis)
        }
    };
    Ok(Found {
        modified: millis,
        len: metadata.len(),
        identity: Identity::of(metadata),
    })
}
