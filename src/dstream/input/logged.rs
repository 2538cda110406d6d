//! What a receiver's input gives to the write-ahead log, and gets back from it.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use super::receiver::IntoPartition;
use super::{Before, Ingest, InputNode};
use crate::block::Taken;
use crate::codec::RecordCodec;
use crate::disk::Content;
use crate::dstream::durable::{Durable, Keep, NewPiece, Piece, Saved, Uid};
use crate::error::{Error, ErrorKind, Result};
use crate::id::NodeId;
use crate::rdd::pipe::Data;
use crate::receiver::log::{Logging, ReceiverLog, RestoredStream, Resume};
use crate::time::{BatchTime, Duration};

/// An input whose data goes to the log.
pub(crate) trait LoggedInput: Send + Sync {
    /// The name of its stream in the log and in checkpoints.
    fn stream(&self) -> Arc<str>;

    /// The first record of the log that it needs, if a checkpoint says so.
    fn saved(&self) -> Option<u64>;

    /// How long before a checkpoint its batches are read again behind it.
    fn history(&self) -> Duration;

    /// From now on there is a log, and `restored` is what that has of the stream.
    fn begin(&self, log: &Arc<ReceiverLog>, restored: RestoredStream, resume: Resume)
    -> Result<()>;

    /// The time of the next batch that comes again.
    fn next_restored(&self) -> Option<BatchTime>;

    /// The first record of the log that is here for a batch behind `time`.
    fn needed_behind(&self, time: BatchTime) -> Option<u64>;

    /// Calls `tell` now and then, when much was received since.
    fn when_filled(&self, tell: Box<dyn Fn() + Send + Sync>);

    /// The parts of the batch `time`, which was cut; once.
    fn take_parts(&self, time: BatchTime) -> Vec<Arc<dyn Part>>;

    /// Blocks that were cut, for no batch yet, and are not in the log.
    fn waiting_parts(&self) -> Vec<Arc<dyn Part>>;
}

impl<T: Data, I: Ingest<T>> LoggedInput for InputNode<T, I> {
    fn stream(&self) -> Arc<str> {
        // The checkpoints have named it.
        self.meta.uid.get().unwrap_or(&self.name).into()
    }

    fn saved(&self) -> Option<u64> {
        self.ingest.logging()?.saved()
    }

    fn history(&self) -> Duration {
        self.meta.history().0
    }

    fn begin(
        &self,
        log: &Arc<ReceiverLog>,
        restored: RestoredStream,
        resume: Resume,
    ) -> Result<()> {
        let before = self.ingest.restore(log, restored, resume)?;
        let (_, asked_every) = self.meta.history();
        self.batches().before = Before {
            batches: before,
            until: resume.last + asked_every,
        };
        if let Some(logging) = self.ingest.logging() {
            logging.begin(log, self.stream());
        }
        Ok(())
    }

    fn next_restored(&self) -> Option<BatchTime> {
        self.ingest.next_restored()
    }

    fn needed_behind(&self, time: BatchTime) -> Option<u64> {
        self.ingest.needed_behind(time)
    }

    fn when_filled(&self, tell: Box<dyn Fn() + Send + Sync>) {
        self.ingest.when_filled(tell);
    }

    fn take_parts(&self, time: BatchTime) -> Vec<Arc<dyn Part>> {
        self.batches().to_log.remove(&time).unwrap_or_default()
    }

    fn waiting_parts(&self) -> Vec<Arc<dyn Part>> {
        self.ingest.waiting_parts()
    }
}

/// A receiver keeps nothing, but a checkpoint says from where on the log has what comes
/// behind it.
impl<T: Data, I: Ingest<T>> Durable for InputNode<T, I> {
    fn node(&self) -> NodeId {
        self.meta.id
    }

    fn uid(&self) -> &Uid {
        &self.meta.uid
    }

    fn kind(&self) -> &'static str {
        "receiver"
    }

    fn is_input(&self) -> bool {
        true
    }

    fn offer_codec(&self, codec: &dyn Any) -> bool {
        let codec = codec.downcast_ref::<RecordCodec<T>>();
        if let (Some(logging), Some(codec)) = (self.ingest.logging(), codec) {
            logging.offer_codec(*codec);
        }
        codec.is_some()
    }

    fn can_be_saved(&self) -> bool {
        self.ingest.logging().is_none_or(Logging::is_ready)
    }

    fn begin(&self) {}

    fn save(&self, time: BatchTime, _all: bool) -> Result<Saved> {
        let log = self.ingest.logging().and_then(Logging::log);
        let needed = log.map(|(log, _)| log.needed_behind(time).to_le_bytes());
        let piece = needed.map(|number| NewPiece::new(time, number.to_vec()));
        Ok(Saved {
            keep: Keep::None,
            pieces: piece.into_iter().collect(),
        })
    }

    fn restore(&self, _time: BatchTime, pieces: Vec<Piece>) -> Result<()> {
        let (Some(logging), Some(piece)) = (self.ingest.logging(), pieces.last()) else {
            return Ok(());
        };
        if !logging.is_wanted() {
            return Err(Error::illegal_state(
                "what it received is in the write-ahead log: turn that on, or let go of it by \
                 discard_saved",
            ));
        }
        let saved = piece.bytes.as_slice().try_into().map_err(|_| {
            let what = "the place in the write-ahead log is no number";
            Error::new(ErrorKind::Corrupt, what)
        })?;
        logging.restore(u64::from_le_bytes(saved));
        Ok(())
    }

    fn begin_behind(&self, _time: BatchTime) {}
}

/// A block of a batch, on its way to the log.
pub(crate) trait Part: Send + Sync {
    /// Its number, if it is in the log already.
    fn sequence(&self) -> Option<u64>;

    /// It is in the log now.
    fn set_sequence(&self, sequence: u64);

    /// What the log has to have of it. Runs code of the program's own.
    fn body(&self) -> Result<Content>;
}

/// A range that a cut took from a ring.
pub(super) struct TakenPart<B: IntoPartition> {
    pub(super) taken: Taken<B>,
    sequence: OnceLock<u64>,
    logging: Arc<Logging<B::Record>>,
}

impl<B: IntoPartition> TakenPart<B> {
    pub(super) fn new(taken: Taken<B>, logging: &Arc<Logging<B::Record>>) -> Self {
        let sequence = OnceLock::new();
        if let Some(number) = B::about(&taken).and_then(|about| about.sequence) {
            sequence.get_or_init(|| number);
        }
        Self {
            taken,
            sequence,
            logging: Arc::clone(logging),
        }
    }
}

impl<B: IntoPartition> Part for TakenPart<B> {
    fn sequence(&self) -> Option<u64> {
        self.sequence.get().copied()
    }

    fn set_sequence(&self, sequence: u64) {
        self.sequence.get_or_init(|| sequence);
    }

    fn body(&self) -> Result<Content> {
        let Some((log, stream)) = self.logging.log() else {
            return Ok(Vec::new().into());
        };
        let metadata = B::about(&self.taken).and_then(|about| about.metadata.as_deref());
        let mut body = log.begin_block(stream, metadata, self.taken.records() as u64)?;
        if let Some(bytes) = B::shared_bytes(&self.taken) {
            return Ok(Content::new(body, bytes));
        }
        B::encode(&self.taken, &self.logging, &mut body)?;
        Ok(body.into())
    }
}
