//! Tests of what is kept from batch to batch.

mod keyed;
mod windows;
