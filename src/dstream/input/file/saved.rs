//! What a checkpoint has of a file stream.
//!
//! ```text
//! saved    initial  8 bytes, little-endian: files that were modified then or before
//!                   are old (ms)
//!          files    up to the end
//! file     time     8 bytes, little-endian: the batch that took it (ms)
//!          length   4 bytes, little-endian
//!          path     `length` bytes, as the system spells it
//! ```

use std::ffi::OsString;
use std::path::PathBuf;

use super::selection::Selection;
use crate::error::{Error, ErrorKind, Result};
use crate::time::BatchTime;

/// What has to be known to go on behind the batch `time`.
pub(super) fn write(selection: &Selection, time: BatchTime) -> Vec<u8> {
    let (initial, taken) = selection.save(time);
    let mut bytes = initial.to_le_bytes().to_vec();
    for (time, path) in taken {
        let path = path.as_os_str().as_encoded_bytes();
        bytes.extend(time.to_le_bytes());
        // Systems allow some thousand bytes.
        bytes.extend((path.len() as u32).to_le_bytes());
        bytes.extend(path);
    }
    bytes
}

/// Goes on where that was written.
pub(super) fn read(selection: &mut Selection, mut saved: &[u8]) -> Result<()> {
    let initial = i64::from_le_bytes(*take(&mut saved)?);
    let mut taken = Vec::new();
    while !saved.is_empty() {
        let time = i64::from_le_bytes(*take(&mut saved)?);
        let length = u32::from_le_bytes(*take(&mut saved)?) as usize;
        let (path, rest) = saved.split_at_checked(length).ok_or_else(cut_off)?;
        saved = rest;
        taken.push((time, path_of(path)?));
    }
    selection.restore(initial, taken);
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
