//! Without the feature `checkpoint` there are none.

use std::sync::Arc;

use crate::context::Inner;
use crate::error::{Error, Result};
use crate::shared::{DoubleAccumulator, LongAccumulator};
use crate::time::{BatchTime, Deadline, Duration};

/// What is known of checkpoints before the start.
#[derive(Debug, Default)]
pub(in crate::context) struct Setup;

impl Setup {
    pub(in crate::context) fn times(&self, zero: BatchTime) -> (BatchTime, BatchTime) {
        (zero, zero)
    }

    pub(in crate::context) fn start(
        self,
        inner: &Inner,
        _last: BatchTime,
    ) -> Result<Option<Arc<Checkpoints>>> {
        if ["", "none"].contains(&&*inner.conf.checkpoint_directory) {
            Ok(None)
        } else {
            Err(Error::illegal_state(
                "checkpoint_directory is set, but the feature `checkpoint` is not built in",
            ))
        }
    }
}

/// They are not saved.
#[derive(Debug, Default)]
pub(in crate::context) struct Accumulators;

impl Accumulators {
    pub(in crate::context) fn add_long(&self, _accumulator: &LongAccumulator) {}

    pub(in crate::context) fn add_double(&self, _accumulator: &DoubleAccumulator) {}
}

/// There are none.
#[derive(Debug)]
pub(in crate::context) enum Checkpoints {}

impl Checkpoints {
    pub(in crate::context) fn take_first(&self) -> Result<()> {
        match *self {}
    }

    pub(in crate::context) fn batch_done(&self, _time: BatchTime) {
        match *self {}
    }

    pub(in crate::context) fn grid(&self) -> Duration {
        match *self {}
    }

    pub(in crate::context) fn finish(&self, _all_done: bool, _deadline: Deadline) -> Result<()> {
        match *self {}
    }
}
