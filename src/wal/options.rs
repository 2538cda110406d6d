//! How a log is written and read.

use super::segment::RECORD_HEADER;
use crate::codec::frame::MAX_PAYLOAD;
use crate::error::{Error, Result};
use crate::time::Duration;

/// When a record counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncMode {
    /// When the operating system has it: a crash of the process loses nothing, one of
    /// the machine may.
    Os,
    /// When it is on the disk: nothing is lost in either case.
    Always,
}

/// What to do if records are missing that were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnCorruption {
    /// It is an error.
    Fail,
    /// They are counted and left out.
    Skip,
}

/// The settings of a [`WriteAheadLog`](super::WriteAheadLog).
#[derive(Clone, Debug)]
pub struct WalOptions {
    pub(super) sync: SyncMode,
    pub(super) on_corruption: OnCorruption,
    pub(super) segment_bytes: u64,
    pub(super) roll_interval: Duration,
    pub(super) max_record_bytes: usize,
    pub(super) max_bytes: Option<u64>,
}

impl Default for WalOptions {
    fn default() -> Self {
        Self {
            sync: SyncMode::Always,
            on_corruption: OnCorruption::Fail,
            segment_bytes: 64 << 20,
            roll_interval: Duration::from_secs(60),
            max_record_bytes: 256 << 20,
            max_bytes: None,
        }
    }
}

impl WalOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// When a record counts as written. Default: [`SyncMode::Always`].
    #[must_use]
    pub fn sync(self, sync: SyncMode) -> Self {
        Self { sync, ..self }
    }

    /// What to do if records are missing. Default: [`OnCorruption::Fail`].
    #[must_use]
    pub fn on_corruption(self, on_corruption: OnCorruption) -> Self {
        Self {
            on_corruption,
            ..self
        }
    }

    /// Size at which a new segment is begun; the last group of records may go beyond
    /// it. Default: 64 MiB.
    #[must_use]
    pub fn segment_bytes(self, segment_bytes: u64) -> Self {
        Self {
            segment_bytes,
            ..self
        }
    }

    /// Age at which a new segment is begun, with the next record. Default: 60 s.
    #[must_use]
    pub fn roll_interval(self, roll_interval: Duration) -> Self {
        Self {
            roll_interval,
            ..self
        }
    }

    /// The longest record, in bytes; less than 1 GiB. Default: 256 MiB.
    #[must_use]
    pub fn max_record_bytes(self, max_record_bytes: usize) -> Self {
        Self {
            max_record_bytes,
            ..self
        }
    }

    /// Bytes of all segments together, at least twice `segment_bytes`; who appends
    /// waits for clean-up when they are reached. Default: unlimited.
    #[must_use]
    pub fn max_bytes(self, max_bytes: impl Into<Option<u64>>) -> Self {
        Self {
            max_bytes: max_bytes.into(),
            ..self
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        const LONGEST: usize = MAX_PAYLOAD - RECORD_HEADER;
        let rule = match (self.max_bytes, self.max_record_bytes) {
            (Some(max), _) if max < self.segment_bytes.saturating_mul(2) => format!(
                "max_bytes = {max} is less than two segments of segment_bytes = {}",
                self.segment_bytes
            ),
            (_, max @ (0 | LONGEST..)) if max != LONGEST => {
                format!("max_record_bytes = {max} is not from 1 to {LONGEST}")
            }
            _ => return Ok(()),
        };
        let what = format!("the settings of a write-ahead log: {rule}");
        Err(Error::invalid_argument(what))
    }
}
