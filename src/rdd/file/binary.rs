//! Files of records that all have the same length.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::{BatchFile, InputFile, InputFormat, Once, parts};
use crate::error::Result;
use crate::rdd::partition::{CHUNK, Partition};
use crate::rdd::pipe::Chunk;

/// Bytes that are read at a time, unless one record has more.
const READ: usize = 256 << 10;

/// Records of a number of bytes.
#[derive(Debug)]
pub(crate) struct FixedLengthFiles {
    /// The bytes of a record, at least one.
    pub(crate) record_length: usize,
    /// About how many bytes a partition has.
    pub(crate) part_bytes: usize,
}

impl InputFormat<Arc<[u8]>> for FixedLengthFiles {
    fn split(self: Arc<Self>, file: BatchFile, into: &mut Vec<Arc<dyn Partition<Arc<[u8]>>>>) {
        let file = Arc::new(file);
        let unit = self.record_length as u64;
        into.extend(
            parts(file.len, self.part_bytes as u64, unit).map(|(from, until)| {
                Arc::new(FixedLengthPart {
                    format: Arc::clone(&self),
                    file: Arc::clone(&file),
                    from,
                    until,
                    once: Once::default(),
                }) as Arc<dyn Partition<Arc<[u8]>>>
            }),
        );
    }
}

/// The records in a part of a file.
struct FixedLengthPart {
    format: Arc<FixedLengthFiles>,
    file: Arc<BatchFile>,
    from: u64,
    until: u64,
    once: Once,
}

impl FixedLengthPart {
    fn is_last(&self) -> bool {
        self.until == u64::MAX
    }

    /// Opens the file at the beginning of the part, if it has whole records only.
    fn open(&self) -> Result<InputFile> {
        let whole = self.from == 0 && self.is_last();
        let mut file = if whole {
            self.file.open()?
        } else {
            self.file.open_part()?
        };
        let (len, record) = (file.len(), self.format.record_length as u64);
        if !len.is_multiple_of(record) {
            let cause = format!(
                "its length is {len} bytes, which is no multiple of the record length of {record} \
                 bytes"
            );
            let cause = io::Error::new(io::ErrorKind::InvalidData, cause);
            return Err(self.file.failed(len - len % record, cause));
        }
        if self.from > 0 {
            file.seek(SeekFrom::Start(self.from))
                .map_err(|cause| self.file.failed(self.from, cause))?;
        }
        Ok(file)
    }
}

impl Partition<Arc<[u8]>> for FixedLengthPart {
    fn chunks(&self, each: &mut dyn FnMut(Chunk<'_, Arc<[u8]>>) -> ControlFlow<()>) -> Result<()> {
        let mut file = self.open()?;
        let length = self.format.record_length;
        let until = self.until.min(file.len());
        let mut left = until.saturating_sub(self.from) / length as u64;
        let records = left;
        let at_once = (READ / length).clamp(1, CHUNK);
        // Not more than the file has, whatever length a program asks for.
        let mut bytes = vec![0; length * at_once.min(usize::try_from(left).unwrap_or(at_once))];
        let mut made = Vec::with_capacity(at_once);
        while left > 0 {
            let n = (bytes.len() / length).min(usize::try_from(left).unwrap_or(at_once));
            let bytes = &mut bytes[..n * length];
            file.read_exact(bytes)
                .map_err(|cause| self.file.failed(file.position(), cause))?;
            made.extend(bytes.chunks_exact(length).map(Arc::from));
            left -= n as u64;
            if each(Chunk::Owned(&mut made)).is_break() {
                return Ok(());
            }
            made.clear();
        }
        self.once.count(&self.file.tally, records);
        if self.is_last() {
            self.file.compare_open(&file)?;
        }
        Ok(())
    }

    fn count(&self) -> Option<usize> {
        None
    }

    fn weight(&self) -> usize {
        let len = self.until.min(self.file.len).saturating_sub(self.from);
        let records = len / self.format.record_length as u64;
        usize::try_from(records.max(len / 64)).unwrap_or(usize::MAX / 2) + 256
    }
}
