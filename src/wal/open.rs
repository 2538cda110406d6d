//! Finding the segments, and where the last one ends.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use super::scan::{Scan, Step};
use super::segment::{HEADER, Segment, SegmentWriter, cannot, remove};
use super::{OnCorruption, WalReader};
use crate::disk::Disk;
use crate::error::{Error, ErrorKind, Result};
use crate::time::Clock;

/// What a directory holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Oldest first.
    pub(super) segments: VecDeque<Segment>,
    /// The number of the next segment.
    pub(super) next_number: u64,
    /// All records below are durable.
    pub(super) durable: u64,
    /// The number of the next record.
    pub(super) end: u64,
    /// Bytes of a torn tail.
    pub(super) torn_bytes: u64,
}

impl Found {
    pub(super) fn read(disk: &dyn Disk, dir: &Path, policy: OnCorruption) -> Result<Self> {
        let mut found = Self::default();
        let entries = disk.list(dir).map_err(|cause| cannot("list", dir, cause))?;
        for name in entries.iter().filter_map(|entry| entry.file_name()) {
            if let Some(number) = Segment::number(name) {
                found.next_number = number.saturating_add(1);
                found.add(disk, dir, number)?;
            } else if Segment::is_hidden(name) {
                remove_unused(disk, &dir.join(name))?;
            }
        }
        if let Some(last) = found.segments.back().cloned() {
            found.find_end(disk, last, policy)?;
        }
        // What this start sees, the next ones see, too.
        disk.sync_dir(dir)
            .map_err(|cause| cannot("sync", dir, cause))?;
        Ok(found)
    }

    fn add(&mut self, disk: &dyn Disk, dir: &Path, number: u64) -> Result<()> {
        let path = Segment::path(dir, number);
        let read = || {
            let mut file = disk.open(&path)?;
            let size = file.size()?;
            std::io::Result::Ok((Segment::read(&mut *file, path.clone(), number)?, size))
        };
        let (segment, size) = read().map_err(|cause| cannot("read", &path, cause))?;
        match segment {
            Ok(segment) => {
                let before = self.segments.back().map_or(0, |before| before.first);
                if segment.first < before {
                    let rule = "it begins before the segment that it follows";
                    return Err(damaged(&path, rule));
                }
                self.segments.push_back(segment);
                Ok(())
            }
            // No record was written behind a header that was not durable.
            Err(_) if size <= HEADER as u64 => remove_unused(disk, &path),
            Err(rule) => Err(damaged(&path, rule)),
        }
    }

    /// Reads the last segment.
    fn find_end(&mut self, disk: &dyn Disk, last: Segment, policy: OnCorruption) -> Result<()> {
        self.durable = last.first;
        self.end = last.first;
        let mut scan = Scan::open(disk, last, None)?;
        let mut gaps = Vec::new();
        loop {
            match scan.step()? {
                Step::Record { sequence, synced } => {
                    self.end = sequence + 1;
                    self.durable = synced;
                }
                Step::Gap(gap) => gaps.push(gap),
                Step::End => break,
            }
        }
        let path = &scan.segment().path;
        for gap in gaps {
            if gap.missing.start >= self.durable {
                self.end = gap.missing.start;
                self.torn_bytes = scan.size() - gap.offset;
                tracing::warn!(
                    path = %path.display(),
                    offset = gap.offset,
                    bytes = self.torn_bytes,
                    "the write-ahead log ends in what was not written to its end"
                );
                break;
            }
            if !gap.missing.is_empty() && policy == OnCorruption::Fail {
                return Err(gap.error(path));
            }
        }
        Ok(())
    }

    /// Makes certain where a log ends, by a new segment with what is not known to be
    /// durable.
    ///
    /// After a crash of the process the system may have records that it loses in a crash of
    /// the machine later; but the next ones follow on them. And what was found not to count
    /// must not come back: the tail of a segment, or what a segment overrides that has no
    /// record yet, and may not be there the next time.
    pub(super) fn settle(
        &mut self,
        disk: &Arc<dyn Disk>,
        dir: &Path,
        superseded: u64,
        policy: OnCorruption,
        clock: &dyn Clock,
    ) -> Result<Option<SegmentWriter>> {
        let end = self.end.max(superseded);
        // What nobody needs does not have to be durable.
        self.durable = self.durable.max(superseded);
        if self.is_settled() {
            self.end = end;
            return Ok(None);
        }
        let first = self.durable.min(end);
        let number = self.next_number;
        self.next_number += 1;
        let now = clock.now_nanos();
        let mut segment = SegmentWriter::create_hidden(&**disk, dir, number, first, now)?;
        let mut tail = WalReader::new(Arc::clone(disk), policy, &self.segments, first..self.end)?;
        while let Some((_, body)) = tail.next_record()? {
            segment.append(&[[body, &[]]])?;
        }
        segment.publish(&**disk, dir)?;
        while let Some(last) = self.segments.pop_back_if(|last| last.first >= first) {
            remove(&**disk, &last.path)?;
        }
        self.segments.push_back(segment.segment().clone());
        self.end = end;
        Ok(Some(segment))
    }

    /// Whether it is certain that the next start, after whatever crash, finds the log to
    /// end here.
    fn is_settled(&self) -> bool {
        let has_records = |last: &Segment| last.first < self.end;
        self.torn_bytes == 0
            && self.durable >= self.end
            && self.segments.back().is_none_or(has_records)
    }
}

fn remove_unused(disk: &dyn Disk, path: &Path) -> Result<()> {
    tracing::info!(path = %path.display(), "a segment that was never used is removed");
    remove(disk, path)
}

fn damaged(path: &Path, rule: &str) -> Error {
    let what = format!("the write-ahead log is damaged: {}: {rule}", path.display());
    Error::new(ErrorKind::Corrupt, what)
}
