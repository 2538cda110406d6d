//! Batch times, intervals and clocks.
//!
//! A [`BatchTime`] labels a batch with the *end* of its interval, in whole milliseconds since the
//! Unix epoch. All intervals (batch, slide, window) are whole milliseconds above zero, which
//! [`check_interval`] enforces where a program hands one in; the arithmetic behind it relies on
//! that.
//!
//! Time is read and waited for through a [`Clock`] only: [`SystemClock`] in a running program,
//! [`ManualClock`] in tests. Clocks count in nanoseconds, since what a 1 ms batch does takes
//! microseconds.

mod batch_time;
mod clock;
mod deadline;
mod duration;
mod manual_clock;

pub use std::time::Duration;

pub use batch_time::{BatchTime, first_batch_time};
pub use clock::{Clock, SystemClock, WaitResult, Wake};
pub(crate) use deadline::Deadline;
pub use duration::{DurationExt, check_interval};
pub use manual_clock::ManualClock;
