//! Without the feature `checkpoint` there is no log.

use std::sync::Arc;

use crate::error::Result;

/// There is none.
#[derive(Debug)]
pub(crate) enum ReceiverLog {}

/// As there is no log, nothing is on its way from it.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) sequence: u64,
}
