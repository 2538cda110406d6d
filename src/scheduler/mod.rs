//! Cuts batches at the boundaries and runs their jobs.
//!
//! Two kinds of plain threads: the *generator* waits for the next boundary,
//! cuts every input and queues a batch; *job threads* (one, unless
//! `concurrent_jobs` says more) take the jobs of the queued batches in order and
//! drive their Rdds on the executor. The generator runs no user code and touches
//! no records, so nothing that a program does delays a later cut.

mod generator;
mod jobs;
mod tracker;
mod waiter;

pub(crate) use generator::Generator;
pub(crate) use jobs::{JobScheduler, OnDone};
pub(crate) use tracker::ReceiverTracker;
pub(crate) use waiter::Waiter;
