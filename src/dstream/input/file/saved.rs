//! What a checkpoint has of a file stream.
//!
//! ```text
//! saved    initial  8 bytes, little-endian: files that were modified then or before
//!                   are old (ms)
//!          behind   8 bytes, little-endian: the last batch for which the directories
//!                   were looked at (ms)
//!          files    up to the end
//! file     time     8 bytes, little-endian: the batch that took it (ms)
//!          path
//! path     length   4 bytes, little-endian
//!          bytes    `length` bytes, as the system spells it
//! ```
//!
//! And what is noted of a batch: its paths, up to the end.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::selection::Selection;
use crate::error::{Error, ErrorKind, Result};
use crate::time::BatchTime;

/// What has to be known to go on behind the batch `time`.
pub(super) fn write(selection: &Selection, time: BatchTime) -> Vec<u8> {
    let (initial, behind, taken) = selection.save(time);
    let mut bytes = initial.to_le_bytes().to_vec();
    bytes.extend(behind.as_millis().to_le_bytes());
    for (time, path) in taken {
        bytes.extend(time.to_le_bytes());
        write_path(path, &mut bytes);
    }
    bytes
}

/// The paths of a batch.
pub(super) fn write_paths(paths: &[&Path]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for path in paths {
        write_path(path, &mut bytes);
    }
    bytes
}

/// Reads the paths of a batch.
pub(super) fn read_paths(mut saved: &[u8]) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    while !saved.is_empty() {
        paths.push(take_path(&mut saved)?);
    }
    Ok(paths)
}

fn write_path(path: &Path, bytes: &mut Vec<u8>) {
    let path = path.as_os_str().as_encoded_bytes();
    // Systems allow some thousand bytes.
    bytes.extend((path.len() as u32).to_le_bytes());
    bytes.extend(path);
}

fn take_path(saved: &mut &[u8]) -> Result<PathBuf> {
    let length = u32::from_le_bytes(*take(saved)?) as usize;
    let (path, rest) = saved.split_at_checked(length).ok_or_else(cut_off)?;
    *saved = rest;
    path_of(path)
}

/// Goes on where that was written.
pub(super) fn read(selection: &mut Selection, mut saved: &[u8]) -> Result<()> {
    let initial = i64::from_le_bytes(*take(&mut saved)?);
    let behind = BatchTime::from_millis(i64::from_le_bytes(*take(&mut saved)?));
    let mut taken = Vec::new();
    while !saved.is_empty() {
        let time = i64::from_le_bytes(*take(&mut saved)?);
        taken.push((time, take_path(&mut saved)?));
    }
    selection.restore(initial, behind, taken);
    Ok(())
}

#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "other systems have names that are none"
)]
fn path_of(bytes: &[u8]) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Ok(OsString::from_vec(bytes.to_vec()).into())
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> Result<PathBuf> {
    let name = String::from_utf8(bytes.to_vec());
    name.map(|name| OsString::from(name).into())
        .map_err(|_| Error::new(ErrorKind::Corrupt, "the name of a file is none"))
}

fn take<'b, const N: usize>(bytes: &mut &'b [u8]) -> Result<&'b [u8; N]> {
    let (taken, rest) = bytes.split_first_chunk().ok_or_else(cut_off)?;
    *bytes = rest;
    Ok(taken)
}

fn cut_off() -> Error {
    Error::new(ErrorKind::Corrupt, "what is known of files was cut off")
}
