//! What is kept by key from batch to batch: the tables of windows and of state.
//!
//! A partition of such data is a [`Table`]: rows that stand densely, so that a
//! batch can read them as they are, and an index from keys to rows. The rows are
//! shared with the Rdd of the batch; the next batch changes them in place when
//! nobody else holds them, and copies them otherwise.
//!
//! State of a program's own ([`KeyedState`]) changes in steps, one per batch. A step
//! logs what it changes ([`undo`]), and is taken back in all partitions when the
//! program's function panics in any of them. Keys that were idle for too long are
//! found by an index ([`idle`]), never by a scan.
//!
//! | what | where |
//! | --- | --- |
//! | tables, for both | [`table`]; where a key's row is: [`index`]; sets of places: [`bits`] |
//! | windows: a [`SlidingWindow`] per partition | [`inverse`], [`two_stacks`] |
//! | state: its partitions, and the steps in which they change | [`keyed`] |
//! | a step of `map_with_state` | [`calls`]; what the program's function is given: [`handle`] |
//! | a step of `update_state_by_key` | [`update`]; the values of each key together: [`grouped`] |
//! | what every step of state needs | [`undo`], [`idle`] |
//! | what changed since it was saved, and as which bytes | [`changes`]; written while batches run: [`saving`] |
//! | how many bytes that is, for both | [`size`] |
//!
//! Deliberately not here: times, streams, and who decides what enters and leaves;
//! that is in the nodes of the floor above.

mod bits;
mod calls;
mod changes;
mod grouped;
mod handle;
mod idle;
mod index;
mod inverse;
mod keyed;
mod saving;
mod size;
mod spare;
mod table;
mod two_stacks;
mod undo;
mod update;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use handle::State;
pub(crate) use inverse::InverseWindow;
pub(crate) use keyed::KeyedState;
pub(crate) use size::{StateBound, StateSize};
pub(crate) use table::Rows;
pub(crate) use two_stacks::TwoStacks;
pub use update::StateEntries;

use crate::error::Result;
use crate::rdd::Partition;

/// One partition of a window by key, which changes by the panes that enter and
/// leave: parts of the stream in which each key stands once, or at least as an entry (see
/// [`takes_repeats`](Self::takes_repeats)).
///
/// Code of the program's may panic in each call. What was called is called again then,
/// with the same pane, after [`mend`](Self::mend), and goes on from there.
pub(crate) trait SlidingWindow<K, V>: Send {
    /// Takes the oldest pane out.
    fn leave(&mut self);

    /// Takes a new pane in.
    fn enter(&mut self, pane: &dyn Partition<(K, V)>) -> Result<()>;

    /// Makes whole what a panic has left half changed. May panic, too, and is called
    /// again then.
    fn mend(&mut self);

    /// Whether a key may come several times in a pane.
    fn takes_repeats(&self) -> bool;

    /// Ends a step.
    fn settle(&mut self);

    /// The value of each key in the window.
    fn rows(&self) -> Arc<Rows<K, V>>;

    /// How many entries the oldest pane has.
    fn leaving(&self) -> usize;

    /// How much it keeps.
    fn size(&self) -> StateSize;
}
