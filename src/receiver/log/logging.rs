//! How the records of one receiver get into the log.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::ReceiverLog;
use crate::codec::RecordCodec;
use crate::error::{Error, Result};

/// What a receiver and its input know about the log. Set up at the start; until then,
/// and without a log, nothing is logged.
pub(crate) struct Logging<T> {
    /// Whether there is to be a log.
    is_wanted: bool,
    codec: OnceLock<RecordCodec<T>>,
    /// The name of the stream.
    log: OnceLock<(Arc<ReceiverLog>, Arc<str>)>,
}

impl<T> Logging<T> {
    pub(crate) fn new(is_wanted: bool) -> Self {
        Self {
            is_wanted,
            codec: OnceLock::new(),
            log: OnceLock::new(),
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

    pub(crate) fn codec(&self) -> Option<RecordCodec<T>> {
        self.codec.get().copied()
    }

    /// From now on there is a log.
    pub(crate) fn begin(&self, log: &Arc<ReceiverLog>, stream: Arc<str>) {
        let _ = self.log.set((Arc::clone(log), stream));
    }

    /// The log and the name of the stream in it, if there is one.
    pub(crate) fn log(&self) -> Option<&(Arc<ReceiverLog>, Arc<str>)> {
        self.log.get()
    }

    /// The codec, which the start of the context has looked for.
    pub(crate) fn known_codec(&self) -> Result<RecordCodec<T>> {
        self.codec().ok_or_else(|| {
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
