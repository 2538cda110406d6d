//! Cuts batches at the boundaries and runs their jobs.
//!
//! Two kinds of plain threads: the *generator* waits for the next boundary,
//! cuts every input and queues a batch; *job threads* (one, unless
//! `concurrent_jobs` says more) take the jobs of the queued batches in order and
//! drive their Rdds on the executor. When a batch has ended, they set the receivers'
//! rates and the number of active workers, if asked to. The generator runs no user code and touches
//! no records, so nothing that a program does delays a later cut. With a write-ahead
//! log a *logger* stands between the two: a batch is queued when it is in the log. If disk may be
//! used, a *spiller* takes batches that wait out of memory.

mod generator;
mod jobs;
mod logger;
mod rates;
mod scaling;
mod spiller;
mod tracker;
mod waiter;

pub(crate) use generator::{CutTimes, Generator, OnDrained};
pub(crate) use jobs::{JobScheduler, Learners, OnDone};
pub(crate) use logger::Logger;
pub(crate) use rates::RateControl;
pub(crate) use scaling::{Scaling, ScalingOptions};
pub(crate) use spiller::Spiller;
pub(crate) use tracker::ReceiverTracker;
pub(crate) use waiter::Waiter;
