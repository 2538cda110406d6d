//! What the tasks of a program share with its driver.
//!
//! The *driver* is the code that declares streams and the code that output
//! operations run for each batch; *tasks* are the closures that the workers run
//! on records. A closure can read whatever it captures, a [`Broadcast`] value
//! for one; what tasks add to an [`Accumulator`] the driver can read; and a
//! [`Pool`] lends them connections.
//!
//! None of them is kept with a checkpoint. A program that recovers makes them anew
//! where it declares its streams.

mod accumulator;
mod broadcast;
mod pool;

pub use accumulator::{
    Accumulate, Accumulator, CollectionAccumulator, DoubleAccumulator, LongAccumulator,
};
pub use broadcast::Broadcast;
pub use pool::Pool;
