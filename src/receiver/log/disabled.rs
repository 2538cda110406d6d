//! Without the feature `checkpoint` there is no log.

use std::ops::Range;
use std::sync::Arc;

use super::{RestoredBlock, StreamBlocks};
use crate::disk::Content;
use crate::error::Result;
use crate::time::BatchTime;

/// There is none.
#[derive(Debug)]
pub(crate) enum ReceiverLog {}

/// There is none.
#[derive(Debug)]
pub(crate) enum BlockPlace {}

/// A block that is on its way from the log.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) sequence: u64,
}

impl ReceiverLog {
    pub(crate) fn begin_block(&self, _: &str, _: Option<&str>, _: u64) -> Result<Vec<u8>> {
        match *self {}
    }

    pub(crate) fn read_block<R>(
        &self,
        block: &RestoredBlock,
        _: impl FnOnce(&[u8]) -> Result<R>,
    ) -> Result<R> {
        match block.place {}
    }

    pub(crate) fn skips_damage(&self) -> bool {
        match *self {}
    }

    pub(crate) fn append_block(self: &Arc<Self>, _: Vec<u8>) -> Result<Flight> {
        match **self {}
    }

    pub(crate) fn append_blocks(&self, _: Vec<Content>) -> Result<Range<u64>> {
        match *self {}
    }

    pub(crate) fn append_batch(
        &self,
        _: BatchTime,
        _: &[StreamBlocks],
        _: Vec<Content>,
    ) -> Result<Range<u64>> {
        match *self {}
    }

    pub(crate) fn first_under_way(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn mark(&self, _: BatchTime, _: u64) {
        match *self {}
    }

    pub(crate) fn close(&self) {
        match *self {}
    }

    pub(crate) fn needed_behind(&self, _: BatchTime) -> u64 {
        match *self {}
    }
}
