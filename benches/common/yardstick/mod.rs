//! The hand-written programs that the engine is measured against: plain, good
//! Rust of about a page each, without the engine.
//!
//! The laboratory in `perf/` has them in a program of its own, so nothing here uses
//! other modules.

mod grep;
mod live;
mod state;
mod team;
mod text;
mod window;
mod word_count;

pub(crate) use grep::{grep_block, grep_lines};
pub(crate) use live::batches;
pub(crate) use state::State;
pub(crate) use team::Team;
pub(crate) use text::Padded;
pub(crate) use window::Window;
pub(crate) use word_count::{Word, WordCount, spell, with_bytes};

/// Keys with their values.
pub(crate) type Pairs = Vec<(u64, i64)>;

/// A hash of a key.
#[inline(always)]
pub(crate) fn mix(key: u64) -> u64 {
    let wide = u128::from(key ^ 0x2545_f491_4f6c_dd1d) * 0x9e37_79b9_7f4a_7c15;
    wide as u64 ^ (wide >> 64) as u64
}

/// Which of `n` ranges a hash is in, by bits that a table does not use.
#[inline(always)]
pub(crate) fn range_of(hash: u64, n: usize) -> usize {
    ((((hash >> 24) & 0xffff_ffff) * n as u64) >> 32) as usize
}
