//! Checkpoints of a context: where they are, and how a program goes on from one.

#[cfg(feature = "checkpoint")]
mod accumulators;
#[cfg(not(feature = "checkpoint"))]
mod disabled;
#[cfg(feature = "checkpoint")]
mod enabled;

#[cfg(feature = "checkpoint")]
pub(super) use accumulators::Accumulators;
#[cfg(not(feature = "checkpoint"))]
pub(super) use disabled::{Accumulators, Checkpoints, Durability, Setup};
#[cfg(feature = "checkpoint")]
pub(super) use enabled::{Checkpoints, Durability, Setup};
