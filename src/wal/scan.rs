//! Reading the records of one segment, and finding the next good one behind damage.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::segment::{HEADER, OVERHEAD, RECORD_HEADER, Segment, cannot};
use crate::codec::frame::{FrameReader, Salt};
use crate::disk::{Disk, ReadFile};
use crate::error::{Error, ErrorKind, Result};

type Input = BufReader<Box<dyn ReadFile>>;

/// Bytes that are searched at a time.
const WINDOW: usize = 64 << 10;

/// What comes next in a segment.
#[derive(Debug)]
pub(super) enum Step {
    /// A record; its body is [`Scan::body`].
    Record {
        sequence: u64,
        /// All records below were durable when it was written.
        synced: u64,
    },
    /// Records are missing here. The next step goes on behind them.
    Gap(Gap),
    /// All records that were to come have come.
    End,
}

/// Records that are missing. Where no end was given and nothing good follows, it is
/// not known how many.
#[derive(Debug)]
pub(super) struct Gap {
    pub(super) missing: Range<u64>,
    /// Where in the file they would be.
    pub(super) offset: u64,
    pub(super) cause: Error,
}

/// Reads a segment from its front.
pub(super) struct Scan {
    segment: Arc<Segment>,
    /// None at the end.
    frames: Option<FrameReader<Input>>,
    salt: Salt,
    size: u64,
    /// The number that is to come.
    expected: u64,
    /// Records from this number on do not count here.
    end: u64,
    /// Where the record is that came last.
    offset: u64,
}

/// Where a record is, to read it once more.
#[derive(Clone, Debug)]
pub(crate) struct RecordPlace {
    segment: Arc<Segment>,
    sequence: u64,
    offset: u64,
}

impl Scan {
    /// Reads the records below `end`, or all that there are.
    pub(super) fn open(disk: &dyn Disk, segment: Segment, end: Option<u64>) -> Result<Self> {
        let open = || {
            let file = disk.open(&segment.path)?;
            let size = file.size()?;
            let mut input = BufReader::new(file);
            input.seek(SeekFrom::Start(HEADER as u64))?;
            std::io::Result::Ok((input, size))
        };
        let (input, size) = open().map_err(|cause| cannot("read", &segment.path, cause))?;
        let salt = segment.salt();
        let frames = FrameReader::new(input, HEADER as u64, size).salted(salt.clone());
        Ok(Self {
            frames: Some(frames),
            salt,
            size,
            expected: segment.first,
            end: end.unwrap_or(u64::MAX),
            offset: HEADER as u64,
            segment: Arc::new(segment),
        })
    }

    pub(super) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Bytes of the file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The body of the record that came last.
    pub(super) fn body(&self) -> &[u8] {
        let frames = self.frames.as_ref();
        let payload = frames.map(FrameReader::payload).unwrap_or_default();
        payload.get(RECORD_HEADER..).unwrap_or_default()
    }

    /// Where the record is that came last.
    pub(super) fn place(&self) -> RecordPlace {
        RecordPlace {
            segment: Arc::clone(&self.segment),
            sequence: self.expected - 1,
            offset: self.offset,
        }
    }

    /// # Errors
    /// Those of the disk only.
    pub(super) fn step(&mut self) -> Result<Step> {
        let Some(frames) = &mut self.frames else {
            return Ok(Step::End);
        };
        if self.expected >= self.end {
            return Ok(Step::End);
        }
        let offset = frames.offset();
        if frames.is_exhausted() {
            self.frames = None;
            if self.end == u64::MAX {
                return Ok(Step::End);
            }
            let cause = Error::new(ErrorKind::Corrupt, "the file ends here");
            return Ok(Step::Gap(self.gap(self.end, offset, cause)));
        }
        let cause = match frames.next() {
            Ok(payload) => match payload.and_then(record) {
                Some((sequence, synced)) if sequence == self.expected => {
                    self.expected += 1;
                    self.offset = offset;
                    return Ok(Step::Record { sequence, synced });
                }
                _ => Error::new(ErrorKind::Corrupt, "another record stands here"),
            },
            Err(error) if error.kind() == ErrorKind::Corrupt => error,
            Err(error) => return Err(cannot("read", &self.segment.path, error)),
        };
        self.skip_damage(offset, cause)
    }

    /// Goes to the next good record behind `offset`.
    fn skip_damage(&mut self, offset: u64, cause: Error) -> Result<Step> {
        let Some(frames) = self.frames.take() else {
            return Ok(Step::End);
        };
        let mut input = frames.into_input();
        let found = self
            .find(&mut input, offset + 1)
            .map_err(|cause| cannot("read", &self.segment.path, cause))?;
        let Some((at, sequence)) = found else {
            let gap = self.gap(self.end, offset, cause);
            return Ok(Step::Gap(gap));
        };
        let frames = FrameReader::new(input, at, self.size).salted(self.salt.clone());
        self.frames = Some(frames);
        Ok(Step::Gap(self.gap(sequence, offset, cause)))
    }

    /// Finds the next good record from `from` on; leaves the input at its start.
    fn find(&self, input: &mut Input, from: u64) -> Result<Option<(u64, u64)>> {
        let mut window = vec![0; WINDOW + OVERHEAD];
        let mut start = from;
        while start + OVERHEAD as u64 <= self.size {
            let left = usize::try_from(self.size - start).unwrap_or(usize::MAX);
            let len = window.len().min(left);
            input.seek(SeekFrom::Start(start))?;
            input.read_exact(&mut window[..len])?;
            for (i, header) in window[..len].windows(OVERHEAD).enumerate() {
                let at = start + i as u64;
                if let Some(sequence) = self.plausible(header, at) {
                    input.seek(SeekFrom::Start(at))?;
                    let mut frames =
                        FrameReader::new(&mut *input, at, self.size).salted(self.salt.clone());
                    match frames.next() {
                        Ok(_) => {
                            input.seek(SeekFrom::Start(at))?;
                            return Ok(Some((at, sequence)));
                        }
                        Err(error) if error.kind() == ErrorKind::Corrupt => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            start += (len - OVERHEAD + 1) as u64;
        }
        Ok(None)
    }

    /// The sequence number in these first bytes of a record, if they can be that:
    /// there is room for the record and for all those that would be missing.
    fn plausible(&self, header: &[u8], at: u64) -> Option<u64> {
        let length = u64::from(u32::from_le_bytes(*header.first_chunk()?));
        let (sequence, synced) = record(header.get(8..)?)?;
        let missing = sequence.checked_sub(self.expected)?;
        let fits = length >= RECORD_HEADER as u64
            && length <= self.size - at
            && missing <= at / OVERHEAD as u64
            && sequence < self.end
            && synced <= sequence;
        fits.then_some(sequence)
    }

    fn gap(&mut self, next: u64, offset: u64, cause: Error) -> Gap {
        let missing = self.expected..next;
        self.expected = next;
        Gap {
            missing,
            offset,
            cause,
        }
    }
}

impl RecordPlace {
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Reads the record, and gives what `use_body` makes of its body.
    pub(super) fn read<R>(
        &self,
        disk: &dyn Disk,
        use_body: impl FnOnce(&[u8]) -> Result<R>,
    ) -> Result<R> {
        let path = &self.segment.path;
        let open = || {
            let file = disk.open(path)?;
            let size = file.size()?;
            let mut input = BufReader::new(file);
            input.seek(SeekFrom::Start(self.offset))?;
            std::io::Result::Ok((input, size))
        };
        let (input, size) = open().map_err(|cause| cannot("read", path, cause))?;
        let frames = FrameReader::new(input, self.offset, size);
        let mut frames = frames.salted(self.segment.salt());
        let cause = match frames.next() {
            Ok(payload) => match payload.and_then(record) {
                Some((sequence, _)) if sequence == self.sequence => {
                    return use_body(&frames.payload()[RECORD_HEADER..]);
                }
                _ => Error::new(ErrorKind::Corrupt, "another record stands here"),
            },
            Err(error) if error.kind() == ErrorKind::Corrupt => error,
            Err(error) => return Err(cannot("read", path, error)),
        };
        let gap = Gap {
            missing: self.sequence..self.sequence + 1,
            offset: self.offset,
            cause,
        };
        Err(gap.error(path))
    }
}

impl Gap {
    pub(super) fn error(&self, path: &Path) -> Error {
        let what = format!(
            "the write-ahead log is damaged: record {} is missing, at byte {} of {}",
            self.missing.start,
            self.offset,
            path.display()
        );
        Error::new(ErrorKind::Corrupt, what).with_source(self.cause.clone())
    }
}

/// The two numbers at the front of a payload.
fn record(payload: &[u8]) -> Option<(u64, u64)> {
    let (sequence, rest) = payload.split_first_chunk()?;
    let synced = rest.first_chunk()?;
    Some((u64::from_le_bytes(*sequence), u64::from_le_bytes(*synced)))
}
