//! Tests of what is kept from batch to batch.

mod keyed;
#[cfg(feature = "checkpoint")]
mod saved;
mod windows;
