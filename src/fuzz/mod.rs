//! The bodies of the fuzz targets, behind the feature `fuzz`: no part of the public face.
//!
//! Each takes bytes that nothing is known of, and panics where the library breaks a promise.
//! `fuzz/README.md` says how they are run.

mod checkpoint_read;
mod config_parse;
mod gzip_lines;
mod line_split;
mod wal_read;

pub use checkpoint_read::checkpoint_read;
pub use config_parse::config_parse;
pub use gzip_lines::gzip_lines;
pub use line_split::line_split;
pub use wal_read::wal_read;

/// Takes so many bytes off the front, zeros for those that are missing.
fn take<const N: usize>(input: &mut &[u8]) -> [u8; N] {
    let mut taken = [0; N];
    let len = N.min(input.len());
    let (front, rest) = input.split_at(len);
    taken[..len].copy_from_slice(front);
    *input = rest;
    taken
}
