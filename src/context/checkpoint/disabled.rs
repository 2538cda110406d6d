//! Without the feature `checkpoint` there are none.

use std::sync::Arc;

use crate::context::Inner;
use crate::error::{Error, Result};
use crate::receiver::log::ReceiverLog;
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
        _fresh_from: BatchTime,
    ) -> Result<Durability> {
        let is_off = ["", "none"].contains(&&*inner.conf.checkpoint_directory);
        let setting = if inner.conf.receiver_write_ahead_log {
            "receiver_write_ahead_log"
        } else if is_off {
            return Ok(Durability::default());
        } else {
            "checkpoint_directory"
        };
        Err(Error::illegal_state(format!(
            "{setting} is set, but the feature `checkpoint` is not built in"
        )))
    }
}

/// Nothing survives the process.
#[derive(Debug, Default)]
pub(in crate::context) struct Durability {
    pub(in crate::context) checkpoints: Option<Arc<Checkpoints>>,
    pub(in crate::context) log: Option<Arc<ReceiverLog>>,
}

impl Durability {
    #[expect(clippy::unused_self, reason = "the same as with the feature")]
    pub(in crate::context) fn give_up(&self, _inner: &Inner) {}
}

/// They are not saved.
#[derive(Debug, Default)]
pub(in crate::context) struct Accumulators {}

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

    pub(in crate::context) fn batch_done(&self, _time: BatchTime, _has_failed: bool) {
        match *self {}
    }

    pub(in crate::context) fn note_cut(&self, _time: BatchTime) -> Result<()> {
        match *self {}
    }

    pub(in crate::context) fn grid(&self) -> Duration {
        match *self {}
    }

    pub(in crate::context) fn finish(&self, _all_done: bool, _deadline: Deadline) -> Result<()> {
        match *self {}
    }
}
