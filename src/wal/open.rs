//! Finding the segments, and where the last one ends.

use std::collections::VecDeque;
use std::path::Path;

use super::OnCorruption;
use super::scan::{Gap, Scan, Step};
use super::segment::{HEADER, Segment, cannot};
use crate::disk::Disk;
use crate::error::{Error, ErrorKind, Result};

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
    /// Records below `superseded` may be missing.
    pub(super) fn read(
        disk: &dyn Disk,
        dir: &Path,
        superseded: u64,
        policy: OnCorruption,
    ) -> Result<Self> {
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
        let mut unused = Vec::new();
        while let Some(last) = found.segments.back().cloned() {
            // A last segment without a good record was never used: nothing in it was
            // acknowledged, and it may not even be there after the next crash. But all
            // before it was.
            let (path, least) = (last.path.clone(), found.end);
            if found.find_end(disk, last, least, superseded, policy)? {
                break;
            }
            unused.push(path);
            found.segments.pop_back();
        }
        for path in unused {
            remove_unused(disk, &path)?;
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

    /// Reads the last segment, which has to reach to `least`. Says whether it counts.
    fn find_end(
        &mut self,
        disk: &dyn Disk,
        last: Segment,
        least: u64,
        superseded: u64,
        policy: OnCorruption,
    ) -> Result<bool> {
        self.durable = last.first.max(least);
        self.end = last.first;
        let mut scan = Scan::open(disk, last, None)?;
        let mut gaps = Vec::new();
        let mut has_records = false;
        loop {
            match scan.step()? {
                Step::Record { sequence, synced } => {
                    self.end = sequence + 1;
                    self.durable = synced.max(least);
                    has_records = true;
                }
                Step::Gap(gap) => gaps.push(gap),
                Step::End => break,
            }
        }
        if self.end < least && !gaps.iter().any(Gap::is_open) {
            gaps.push(scan.gap_at_end(least));
        }
        let counts = has_records || self.end < least;
        let path = &scan.segment().path;
        for gap in gaps {
            if gap.missing.start >= self.durable {
                self.end = gap.missing.start;
                self.torn_bytes += scan.size() - gap.offset;
                tracing::warn!(
                    path = %path.display(),
                    offset = gap.offset,
                    bytes = self.torn_bytes,
                    "the write-ahead log ends in what was not written to its end"
                );
                break;
            }
            let end = if gap.is_open() {
                least
            } else {
                gap.missing.end
            };
            let is_loss = !gap.missing.is_empty() && end > superseded;
            if is_loss && policy == OnCorruption::Fail {
                return Err(gap.error(path));
            }
            self.end = self.end.max(least);
        }
        Ok(counts)
    }
}

fn remove_unused(disk: &dyn Disk, path: &Path) -> Result<()> {
    tracing::info!(path = %path.display(), "a segment that was never used is removed");
    disk.remove(path)
        .map_err(|cause| cannot("remove", path, cause))
}

fn damaged(path: &Path, rule: &str) -> Error {
    let what = format!("the write-ahead log is damaged: {}: {rule}", path.display());
    Error::new(ErrorKind::Corrupt, what)
}
