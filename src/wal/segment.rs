//! Segments: their names, their headers, and writing one.

use std::io::IoSlice;
use std::path::{Path, PathBuf};

use crate::codec::frame::{HEADER as FRAME_HEADER, Salt};
use crate::disk::{AppendFile, Disk, ReadFile};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::kill_point;
use crate::hash::random;

const MAGIC: [u8; 8] = *b"MSTRMWAL";
const VERSION: u32 = 1;

/// Bytes of the header of a segment.
pub(super) const HEADER: usize = 40;

/// Sequence number and `synced`, at the front of a record's payload.
pub(super) const RECORD_HEADER: usize = 16;

/// What a record takes beside its body.
pub(super) const OVERHEAD: usize = FRAME_HEADER + RECORD_HEADER;

/// Records that are handed to the disk at a time, at the most.
const RUN: usize = 128;

/// No further record is put into such a run: what was summed is still in the cache when
/// it is written.
const RUN_BYTES: usize = 256 << 10;

/// The disk begins to write what was appended when it is so much: it is at work while more
/// comes, and the sync at the end waits for the rest only.
const AHEAD: u64 = 8 << 20;

/// What is known of a segment on disk.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) id: u64,
    /// Sequence number of the first record.
    pub(super) first: u64,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

impl Segment {
    /// Where the segment with this number is.
    pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
        dir.join(format!("segment-{number:020}.wal"))
    }

    /// Where it is as long as it does not count.
    pub(super) fn hidden_path(dir: &Path, number: u64) -> PathBuf {
        dir.join(format!("segment-{number:020}.tmp"))
    }

    /// Whether a file of this name never came to count.
    pub(super) fn is_hidden(name: &str) -> bool {
        name.starts_with("segment-") && name.ends_with(".tmp")
    }

    /// The number of the segment of this name, if it is one.
    pub(super) fn number(name: &str) -> Option<u64> {
        let digits = name.strip_prefix("segment-")?.strip_suffix(".wal")?;
        let is_plain = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
        is_plain.then(|| digits.parse().ok()).flatten()
    }

    pub(super) fn salt(&self) -> Salt {
        Salt::new(&self.id.to_le_bytes())
    }

    fn header(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12..20].copy_from_slice(&self.number.to_le_bytes());
        header[20..28].copy_from_slice(&self.id.to_le_bytes());
        header[28..36].copy_from_slice(&self.first.to_le_bytes());
        let checksum = crc32fast::hash(&header[..36]);
        header[36..].copy_from_slice(&checksum.to_le_bytes());
        header
    }

    /// Reads the header of a file; says what is wrong with it if it is none.
    pub(super) fn read(
        file: &mut dyn ReadFile,
        path: PathBuf,
        number: u64,
    ) -> std::io::Result<Result<Self, &'static str>> {
        let bytes = file.size()?;
        if bytes < HEADER as u64 {
            return Ok(Err("it is shorter than the header of a segment"));
        }
        let mut header = [0; HEADER];
        file.read_exact(&mut header)?;
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&header[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let segment = Self {
            number,
            id: word(20),
            first: word(28),
            path,
            bytes,
        };
        Ok(if header[..8] != MAGIC {
            Err("it is no segment of a write-ahead log")
        } else if header[36..] != crc32fast::hash(&header[..36]).to_le_bytes() {
            Err("the checksum of its header is wrong")
        } else if header[8..12] != VERSION.to_le_bytes() {
            Err("it was written by another version, which this one cannot read")
        } else if word(12) != number {
            Err("it was another segment: it has another name than when it was written")
        } else {
            Ok(segment)
        })
    }
}

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct SegmentWriter {
    segment: Segment,
    file: Box<dyn AppendFile>,
    salt: Salt,
    /// All records below are durable.
    synced: u64,
    /// The number of the next record.
    next: u64,
    made_nanos: i64,
    /// Bytes at the front that the disk writes, or has written.
    begun: u64,
}

impl SegmentWriter {
    /// Makes a segment; it can be found after any crash once this returned.
    pub(super) fn create(
        disk: &dyn Disk,
        dir: &Path,
        number: u64,
        first: u64,
        made_nanos: i64,
    ) -> Result<Self> {
        let path = Segment::path(dir, number);
        let mut writer = Self::begin(disk, path, number, first, made_nanos)?;
        writer.sync()?;
        kill_point!("wal.roll.header_synced");
        disk.sync_dir(dir)
            .map_err(|cause| cannot("sync", dir, cause))?;
        kill_point!("wal.roll.directory_synced");
        Ok(writer)
    }

    /// Makes a segment under a name that nobody looks at, for
    /// [`publish`](Self::publish).
    pub(super) fn create_hidden(
        disk: &dyn Disk,
        dir: &Path,
        number: u64,
        first: u64,
        made_nanos: i64,
    ) -> Result<Self> {
        let path = Segment::hidden_path(dir, number);
        Self::begin(disk, path, number, first, made_nanos)
    }

    fn begin(
        disk: &dyn Disk,
        path: PathBuf,
        number: u64,
        first: u64,
        made_nanos: i64,
    ) -> Result<Self> {
        let segment = Segment {
            number,
            id: random(),
            first,
            path,
            bytes: HEADER as u64,
        };
        let mut file = disk
            .create(&segment.path)
            .map_err(|cause| cannot("make", &segment.path, cause))?;
        kill_point!("wal.roll.created");
        file.append(&segment.header())
            .map_err(|cause| cannot("write", &segment.path, cause))?;
        kill_point!("wal.roll.header_written");
        Ok(Self {
            salt: segment.salt(),
            segment,
            file,
            synced: first,
            next: first,
            made_nanos,
            begun: 0,
        })
    }

    /// Makes a hidden segment one of the log, with all that was appended.
    pub(super) fn publish(&mut self, disk: &dyn Disk, dir: &Path) -> Result<()> {
        self.sync()?;
        kill_point!("wal.rewrite.synced");
        let path = Segment::path(dir, self.segment.number);
        disk.rename(&self.segment.path, &path)
            .map_err(|cause| cannot("rename", &self.segment.path, cause))?;
        kill_point!("wal.rewrite.renamed");
        self.segment.path = path;
        disk.sync_dir(dir)
            .map_err(|cause| cannot("sync", dir, cause))?;
        kill_point!("wal.rewrite.directory_synced");
        Ok(())
    }

    pub(super) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// When it was made, by the clock.
    pub(super) fn made_nanos(&self) -> i64 {
        self.made_nanos
    }

    pub(super) fn has_records(&self) -> bool {
        self.next > self.segment.first
    }

    /// Appends one record for each body, which stands in two parts.
    pub(super) fn append(&mut self, bodies: &[[&[u8]; 2]]) -> Result<()> {
        kill_point!("wal.append.before_write");
        self.write(bodies)
            .map_err(|cause| cannot("write", &self.segment.path, cause))?;
        kill_point!("wal.append.written");
        Ok(())
    }

    fn write(&mut self, mut bodies: &[[&[u8]; 2]]) -> std::io::Result<()> {
        while !bodies.is_empty() {
            let mut headers = Vec::with_capacity(bodies.len().min(RUN));
            let mut bytes = 0;
            for (body, sequence) in bodies.iter().take(RUN).zip(self.next..) {
                if bytes >= RUN_BYTES {
                    break;
                }
                headers.push(self.record_header(sequence, body));
                bytes += OVERHEAD + body[0].len() + body[1].len();
            }
            let (run, rest) = bodies.split_at(headers.len());
            let parts = headers.iter().zip(run);
            let parts = parts.flat_map(|(header, [front, rest])| [header, *front, *rest]);
            let mut parts: Vec<_> = parts.map(IoSlice::new).collect();
            self.file.append_vectored(&mut parts)?;
            self.next += headers.len() as u64;
            self.segment.bytes += bytes as u64;
            if self.segment.bytes - self.begun >= AHEAD {
                self.file.begin_sync()?;
                self.begun = self.segment.bytes;
            }
            bodies = rest;
        }
        Ok(())
    }

    /// What stands in front of a body.
    fn record_header(&self, sequence: u64, body: &[&[u8]; 2]) -> [u8; OVERHEAD] {
        let (sequence, synced) = (sequence.to_le_bytes(), self.synced.to_le_bytes());
        let frame = self.salt.header(&[&sequence, &synced, body[0], body[1]]);
        let mut header = [0; OVERHEAD];
        header[..FRAME_HEADER].copy_from_slice(&frame);
        header[FRAME_HEADER..FRAME_HEADER + 8].copy_from_slice(&sequence);
        header[FRAME_HEADER + 8..].copy_from_slice(&synced);
        header
    }

    /// Makes durable what was appended.
    pub(super) fn sync(&mut self) -> Result<()> {
        kill_point!("wal.sync.before");
        self.file
            .sync()
            .map_err(|cause| cannot("sync", &self.segment.path, cause))?;
        self.synced = self.next;
        self.begun = self.segment.bytes;
        kill_point!("wal.sync.done");
        Ok(())
    }
}

/// The error for an operation on a file of the log.
pub(super) fn cannot(
    what: &str,
    path: &Path,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    let what = format!("the write-ahead log cannot {what} {}", path.display());
    Error::new(ErrorKind::Io, what).with_source(cause)
}

/// Removes a file of the log, if it is there.
pub(super) fn remove(disk: &dyn Disk, path: &Path) -> Result<()> {
    match disk.remove(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(cannot("remove", path, cause))
        }
        _ => Ok(()),
    }
}
