//! What is kept by key from batch to batch: the tables of windows and of state.
//!
//! A partition of such data is a [`Table`]: rows that stand densely, so that a
//! batch can read them as they are, and an index from keys to rows. The rows are
//! shared with the Rdd of the batch; the next batch changes them in place when
//! nobody else holds them, and copies them otherwise.
//!
//! Deliberately not here: times, streams, and who decides what enters and leaves;
//! that is in the nodes of the floor above.

mod bits;
mod calls;
mod cogroup;
mod grouped;
mod handle;
mod idle;
mod keyed;
mod table;
mod undo;

#[cfg(test)]
mod tests;

pub use cogroup::StateEntries;
pub use handle::State;
pub(crate) use keyed::KeyedState;
