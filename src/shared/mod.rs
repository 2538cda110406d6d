//! What the tasks of a program share with its driver.
//!
//! The *driver* is the code that declares streams and the code that output
//! operations run for each batch; *tasks* are the closures that the workers run
//! on records. A closure can read whatever it captures, a [`Broadcast`] value
//! for one; what tasks add to an [`Accumulator`] the driver can read; and a
//! [`Pool`] lends them connections.
//!
//! A program that recovers makes them anew where it declares its streams. Of
//! accumulators with names it finds what a checkpoint has again; of the others nothing
//! is kept.

mod accumulator;
mod broadcast;
mod pool;
#[cfg(feature = "checkpoint")]
mod registry;

pub use accumulator::{
    Accumulate, Accumulator, CollectionAccumulator, DoubleAccumulator, LongAccumulator,
};
pub use broadcast::Broadcast;
pub use pool::Pool;
#[cfg(feature = "checkpoint")]
pub(crate) use registry::{Registry, SavedAccumulator};
