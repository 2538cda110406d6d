//! Reading a log from a given record on.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::OnCorruption;
use super::scan::{RecordPlace, Scan, Step};
use super::segment::Segment;
use crate::disk::Disk;
use crate::error::{Error, ErrorKind, Result};

/// Reads the records of a [`WriteAheadLog`](super::WriteAheadLog), in order. Made by
/// [`read`](super::WriteAheadLog::read).
pub struct WalReader {
    disk: Arc<dyn Disk>,
    policy: OnCorruption,
    /// With the end of each, oldest first.
    segments: VecDeque<(Segment, u64)>,
    current: Option<Scan>,
    /// Records below do not matter.
    from: u64,
    skipped: u64,
}

impl WalReader {
    /// Reads those records of the segments that are in `range`.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        policy: OnCorruption,
        segments: &VecDeque<Segment>,
        range: Range<u64>,
    ) -> Result<Self> {
        let mut wanted = VecDeque::new();
        let mut end = range.end;
        for segment in segments.iter().rev() {
            if range.is_empty() {
                break;
            }
            // One that ends before its first record holds nothing that counts.
            if segment.first < end {
                wanted.push_front((segment.clone(), end));
                end = segment.first;
            }
            if segment.first <= range.start {
                break;
            }
        }
        let mut reader = Self {
            disk,
            policy,
            segments: wanted,
            current: None,
            from: range.start,
            skipped: 0,
        };
        if range.start < end {
            let what = format!(
                "record {} is not in the write-ahead log any more, which begins with {end}",
                range.start
            );
            let missing = range.start..end;
            reader.miss(missing, || Error::new(ErrorKind::Corrupt, what))?;
        }
        Ok(reader)
    }

    /// The next record: its sequence number and its body.
    ///
    /// # Errors
    /// Those of the disk. And of kind [`Corrupt`](ErrorKind::Corrupt), if records are
    /// missing and the log was not opened to [skip](OnCorruption::Skip) them: with the
    /// file, the place in it, and the first record that is missing.
    pub fn next_record(&mut self) -> Result<Option<(u64, &[u8])>> {
        let Some(sequence) = self.advance()? else {
            return Ok(None);
        };
        let body = self.current.as_ref().map(Scan::body).unwrap_or_default();
        Ok(Some((sequence, body)))
    }

    /// Where the record is that came last.
    pub(crate) fn place(&self) -> Option<RecordPlace> {
        self.current.as_ref().map(Scan::place)
    }

    /// How many records were missing, and skipped, so far.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn advance(&mut self) -> Result<Option<u64>> {
        loop {
            let scan = match &mut self.current {
                Some(scan) => scan,
                None => {
                    let Some((segment, end)) = self.segments.pop_front() else {
                        return Ok(None);
                    };
                    let scan = Scan::open(&*self.disk, segment, Some(end))?;
                    self.current.insert(scan)
                }
            };
            match scan.step()? {
                Step::Record { sequence, .. } if sequence >= self.from => {
                    return Ok(Some(sequence));
                }
                Step::Record { .. } => {}
                Step::Gap(gap) => {
                    let path = scan.segment().path.clone();
                    self.miss(gap.missing.clone(), || gap.error(&path))?;
                }
                Step::End => self.current = None,
            }
        }
    }

    /// Deals with missing records by the policy.
    fn miss(&mut self, missing: Range<u64>, error: impl FnOnce() -> Error) -> Result<()> {
        let count = missing.end.saturating_sub(missing.start.max(self.from));
        if count == 0 {
            return Ok(());
        }
        let error = error();
        if self.policy == OnCorruption::Fail {
            return Err(error);
        }
        tracing::error!(%error, records = count, "records of the write-ahead log are skipped");
        self.skipped += count;
        Ok(())
    }
}

impl fmt::Debug for WalReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalReader")
            .field("segments", &self.segments)
            .field("skipped", &self.skipped)
            .finish_non_exhaustive()
    }
}
