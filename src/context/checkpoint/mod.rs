//! Checkpoints of a context: where they are, and how a program goes on from one.

#[cfg(not(feature = "checkpoint"))]
mod disabled;
#[cfg(feature = "checkpoint")]
mod enabled;

#[cfg(not(feature = "checkpoint"))]
pub(super) use disabled::{Checkpoints, Durability, Setup};
#[cfg(feature = "checkpoint")]
pub(super) use enabled::{Checkpoints, Durability, Setup};
