//! How the records of one receiver get into the log.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::{Flight, ReceiverLog};
use crate::codec::RecordCodec;
use crate::codec::records::{RecordReader, RecordWriter};
use crate::error::{Error, Result};

/// What a receiver and its input know about the log. Set up at the start; until then,
/// and without a log, nothing is logged.
pub(crate) struct Logging<T> {
    /// Whether there is to be a log.
    is_wanted: bool,
    /// Whether records are written one by one: the bytes of text are as they are.
    needs_codec: bool,
    codec: OnceLock<RecordCodec<T>>,
    /// What the checkpoint says: the first record that is needed.
    saved: OnceLock<u64>,
    /// The name of the stream.
    log: OnceLock<(Arc<ReceiverLog>, Arc<str>)>,
}

impl<T> Logging<T> {
    pub(crate) fn new(is_wanted: bool) -> Self {
        Self {
            is_wanted,
            needs_codec: true,
            codec: OnceLock::new(),
            saved: OnceLock::new(),
            log: OnceLock::new(),
        }
    }

    /// Of records that are bytes already.
    pub(crate) fn of_bytes(is_wanted: bool) -> Self {
        Self {
            needs_codec: false,
            ..Self::new(is_wanted)
        }
    }

    /// Says how records are written; the first word counts.
    pub(crate) fn with_codec(self, codec: RecordCodec<T>) -> Self {
        self.offer_codec(codec);
        self
    }

    /// As [`with_codec`](Self::with_codec).
    pub(crate) fn offer_codec(&self, codec: RecordCodec<T>) {
        // A second one would be the same.
        let _ = self.codec.set(codec);
    }

    /// Whether there is a log, or will be.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// Whether records can be written, if they have to.
    pub(crate) fn is_ready(&self) -> bool {
        !self.is_wanted || self.can_write()
    }

    /// Whether it is known how records are written.
    pub(crate) fn can_write(&self) -> bool {
        !self.needs_codec || self.codec.get().is_some()
    }

    /// The checkpoint says that records below `saved` are not needed.
    pub(crate) fn restore(&self, saved: u64) {
        let _ = self.saved.set(saved);
    }

    pub(crate) fn saved(&self) -> Option<u64> {
        self.saved.get().copied()
    }

    /// From now on there is a log.
    pub(crate) fn begin(&self, log: &Arc<ReceiverLog>, stream: Arc<str>) {
        let _ = self.log.set((Arc::clone(log), stream));
    }

    /// The log and the name of the stream in it, if there is one.
    pub(crate) fn log(&self) -> Option<&(Arc<ReceiverLog>, Arc<str>)> {
        self.log.get()
    }

    /// Logs a block of records that is put into the ring before the flight is dropped;
    /// nothing without a log.
    pub(crate) fn append(&self, records: &[T], metadata: Option<&str>) -> Result<Option<Flight>> {
        let Some((log, stream)) = self.log() else {
            return Ok(None);
        };
        let mut body = log.begin_block(stream, metadata, records.len() as u64)?;
        self.write(records, &mut body)?;
        log.append_block(body).map(Some)
    }

    /// Appends the bytes of the records of a block.
    pub(crate) fn write(&self, records: &[T], body: &mut Vec<u8>) -> Result<()> {
        let mut out = RecordWriter::new(self.codec()?);
        records.iter().try_for_each(|record| out.write(record))?;
        out.finish(body);
        Ok(())
    }

    /// Reads as many records of a block.
    pub(crate) fn read(&self, mut bytes: &[u8], records: u64) -> Result<Vec<T>> {
        let mut reader = RecordReader::new(self.codec()?, &mut bytes)?;
        (0..records).map(|_| reader.read(&mut bytes)).collect()
    }

    /// How a record is written. The start of the context has looked for it.
    fn codec(&self) -> Result<RecordCodec<T>> {
        self.codec.get().copied().ok_or_else(|| {
            let what = "it is not known how the records of a receiver are written";
            Error::illegal_state(what)
        })
    }
}

impl<T> fmt::Debug for Logging<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logging")
            .field("is_wanted", &self.is_wanted)
            .field("log", &self.log())
            .finish_non_exhaustive()
    }
}
