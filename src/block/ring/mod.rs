//! The ring between a receiver and the cuts.
//!
//! A writer fills blocks and publishes records in them; a cutter takes, at each
//! batch boundary, everything that was published since the last one. A block
//! that is only partly filled is cut where it stands, and the writer goes on
//! filling behind. `README.md` beside this file tells the protocol.
//!
//! One thread at a time writes and one cuts. A receiver that stores from many
//! threads puts its writer behind a lock of its own.

mod budget;
mod segment;
mod spent;
mod text;
mod typed;

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use budget::{Budget, Closed};
pub(crate) use segment::{Block, Cutter, Taken};
pub(crate) use text::{TextWriter, text_ring};
pub(crate) use typed::{About, TypedBlock, TypedWriter, typed_ring};

/// How much a ring holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingOptions {
    /// Bytes of one block.
    pub(crate) block: usize,
    /// Bytes published whose ranges were not yet dropped.
    pub(crate) bound: usize,
    /// Blocks that wait for a cut.
    pub(crate) queue: usize,
    /// Whether records that do not fit may be dropped, in place of waiting.
    pub(crate) lossy: bool,
}
