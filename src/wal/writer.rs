//! Writing groups: to the segment in use, or to a new one.

use std::path::{Path, PathBuf};

use super::segment::{Segment, SegmentWriter, remove};
use super::{SyncMode, WalOptions};
use crate::disk::{Content, Disk};
use crate::error::Result;
use crate::time::Clock;

/// Where a log is, and how it is written.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) dir: &'a Path,
    pub(super) options: &'a WalOptions,
    pub(super) clock: &'a dyn Clock,
}

/// The end of the log that is written to.
#[derive(Debug)]
pub(super) struct Writer {
    /// None before the first record and after a failure.
    current: Option<SegmentWriter>,
    /// Whether it was begun for the group that is being written.
    is_new: bool,
    next_number: u64,
    /// A segment without a record that counts, which could not be removed.
    leftover: Option<PathBuf>,
    /// Since somebody last took them.
    failures: u64,
}

impl Writer {
    pub(super) fn new(current: Option<SegmentWriter>, next_number: u64) -> Self {
        Self {
            current,
            is_new: false,
            next_number,
            leftover: None,
            failures: 0,
        }
    }

    /// The segment in use.
    pub(super) fn segment(&self) -> Option<&Segment> {
        self.current.as_ref().map(SegmentWriter::segment)
    }

    /// How often something failed since this was asked last.
    pub(super) fn take_failures(&mut self) -> u64 {
        std::mem::take(&mut self.failures)
    }

    /// Writes no more to the segment in use.
    pub(super) fn give_up(&mut self) {
        self.current = None;
    }

    /// Writes a group; to a new segment, if the first attempt fails.
    pub(super) fn write(
        &mut self,
        at: &Place<'_>,
        first: u64,
        bodies: &[Content],
        bytes: u64,
    ) -> Result<()> {
        self.roll_if_due(at, bytes);
        self.attempt(at, first, bodies).or_else(|error| {
            tracing::warn!(%error, "a new segment of the write-ahead log is begun");
            self.attempt(at, first, bodies)
        })
    }

    fn attempt(&mut self, at: &Place<'_>, first: u64, bodies: &[Content]) -> Result<()> {
        let written = self.current(at, first).and_then(|segment| {
            let bodies: Vec<_> = bodies.iter().map(Content::parts).collect();
            segment.append(&bodies)?;
            match at.options.sync {
                SyncMode::Always => segment.sync(),
                SyncMode::Os => Ok(()),
            }
        });
        if written.is_err() {
            self.failures += 1;
            self.abandon(at);
        }
        self.is_new = false;
        written
    }

    /// The segment in use, or a new one.
    fn current(&mut self, at: &Place<'_>, first: u64) -> Result<&mut SegmentWriter> {
        let segment = match self.current.take() {
            Some(segment) => segment,
            None => {
                // Or a disk on which nothing works but this would fill with them.
                self.remove_leftover(at)?;
                let number = self.next_number;
                self.next_number += 1;
                let now = at.clock.now_nanos();
                let path = Segment::path(at.dir, number);
                let made = SegmentWriter::create(at.disk, at.dir, number, first, now)
                    .inspect_err(|_| self.leftover = Some(path))?;
                self.is_new = true;
                made
            }
        };
        Ok(self.current.insert(segment))
    }

    /// Writes no more to the segment in use. It goes if it was begun for this group.
    fn abandon(&mut self, at: &Place<'_>) {
        if let Some(segment) = self.current.take()
            && self.is_new
        {
            self.leftover = Some(segment.segment().path.clone());
        }
        if let Err(error) = self.remove_leftover(at) {
            tracing::warn!(%error, "a segment without records stays");
        }
    }

    fn remove_leftover(&mut self, at: &Place<'_>) -> Result<()> {
        if let Some(path) = &self.leftover {
            remove(at.disk, path)?;
            self.leftover = None;
        }
        Ok(())
    }

    /// Ends the segment in use if it has its size or its age.
    fn roll_if_due(&mut self, at: &Place<'_>, bytes: u64) {
        let options = at.options;
        let is_due = |segment: &SegmentWriter| {
            let age = at.clock.now_nanos().saturating_sub(segment.made_nanos());
            let is_full = segment.segment().bytes + bytes > options.segment_bytes;
            let is_old =
                u128::try_from(age).is_ok_and(|age| age >= options.roll_interval.as_nanos());
            segment.has_records() && (is_full || is_old)
        };
        let Some(mut segment) = self.current.take_if(|segment| is_due(segment)) else {
            return;
        };
        // What is behind the last sync is in the last segment only.
        if options.sync == SyncMode::Os
            && let Err(error) = segment.sync()
        {
            self.failures += 1;
            tracing::warn!(%error, "a crash of the machine may damage the write-ahead log");
        }
    }
}
