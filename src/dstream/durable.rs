//! What of a stream survives the process.
//!
//! A node that keeps something from batch to batch is saved in *pieces*, which are
//! bytes with a time. Each checkpoint adds the pieces that are new since the one
//! before; what the node is, is what the pieces say that it still needs. Who stores
//! them, and when, is decided on the floors above.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::codec::RecordCodec;
use crate::error::{Error, Result};
use crate::executor::{Executor, Spares};
use crate::id::NodeId;
use crate::rdd::pipe::{Data, Pipe};
use crate::rdd::{Arrivals, Rdd};
use crate::state::{KeyedState, StateSize};
use crate::time::BatchTime;

/// Bytes that a node is made of again, with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The pieces of a node have times that ascend.
    pub(crate) time: BatchTime,
    /// Of an input its own; of others records, beside their shape
    /// ([`codec::records`](crate::codec::records)).
    pub(crate) bytes: Vec<u8>,
}

/// A piece that is not saved yet. Its bytes may be made by who saves it, while later batches
/// run.
pub(crate) struct NewPiece {
    pub(crate) time: BatchTime,
    bytes: NewBytes,
}

enum NewBytes {
    Made(Vec<u8>),
    ToMake(MakeBytes),
}

/// Called once, on any thread.
type MakeBytes = Box<dyn FnOnce() -> Result<Vec<u8>> + Send>;

impl NewPiece {
    pub(crate) fn new(time: BatchTime, bytes: Vec<u8>) -> Self {
        let bytes = NewBytes::Made(bytes);
        Self { time, bytes }
    }

    pub(crate) fn to_make(time: BatchTime, make: MakeBytes) -> Self {
        let bytes = NewBytes::ToMake(make);
        Self { time, bytes }
    }

    /// Made now, if they are not yet.
    ///
    /// # Errors
    /// If they cannot be.
    pub(crate) fn into_piece(self) -> Result<Piece> {
        let bytes = match self.bytes {
            NewBytes::Made(bytes) => bytes,
            NewBytes::ToMake(make) => Error::caught("saving a stream", make)?,
        };
        let time = self.time;
        Ok(Piece { time, bytes })
    }
}

impl fmt::Debug for NewPiece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewPiece")
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}

/// Which of the pieces that were saved before a node still needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    All,
    /// Those of this time and later ones.
    From(BatchTime),
    None,
}

/// What a node adds to a checkpoint.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(crate) keep: Keep,
    pub(crate) pieces: Vec<NewPiece>,
}

impl Saved {
    /// Both, if nothing was written between them.
    pub(crate) fn then(self, later: Self) -> Self {
        let (keep, from) = match (self.keep, later.keep) {
            (_, Keep::None) => return later,
            (keep, Keep::All) => (keep, None),
            (Keep::None, Keep::From(time)) => (Keep::None, Some(time)),
            (Keep::All, Keep::From(time)) => (later.keep, Some(time)),
            (Keep::From(old), Keep::From(time)) => (Keep::From(old.max(time)), Some(time)),
        };
        let mut pieces = self.pieces;
        pieces.retain(|piece| from.is_none_or(|from| piece.time >= from));
        pieces.extend(later.pieces);
        Self { keep, pieces }
    }
}

/// What an input noted of batches.
pub(crate) type Noted = BTreeMap<BatchTime, Vec<u8>>;

/// Where inputs note what they gave to batches, so that these can come again.
pub(crate) trait Notes: Send + Sync {
    /// Notes batches of the input `uid`: durably, when this returns.
    fn note(&self, uid: &str, batches: &[(BatchTime, Vec<u8>)]) -> Result<()>;
}

/// The batches that a process before this one may have made.
#[derive(Debug)]
pub(crate) struct Repeated {
    /// The first batch that no process before can have made.
    pub(crate) fresh_from: BatchTime,
    /// What those between had; one that is not here had nothing.
    pub(crate) noted: Noted,
}

/// A node that keeps something from batch to batch.
pub(crate) trait Durable: Send + Sync {
    fn node(&self) -> NodeId;

    fn uid(&self) -> &Uid;

    /// What it keeps, in a word: one of another kind cannot be restored from it.
    fn kind(&self) -> &'static str;

    /// Whether it is an input, and keeps how far it has read.
    fn is_input(&self) -> bool {
        false
    }

    /// How many keys it has, if it keeps something by key.
    fn keys(&self) -> Option<u64> {
        None
    }

    /// Offers a [`RecordCodec`](crate::codec::RecordCodec) of some type; whether it is
    /// the one that the node needs.
    fn offer_codec(&self, codec: &dyn Any) -> bool;

    /// Whether it has what it needs to be saved.
    fn can_be_saved(&self) -> bool;

    /// From now on notes what [`save`](Self::save) will ask for. Called once, before
    /// the first batch.
    fn begin(&self);

    /// What is new since the last time, as of the batch `time`, which the node is
    /// taken to first. With `all`, what was saved before is lost.
    fn save(&self, time: BatchTime, all: bool) -> Result<Saved>;

    /// Makes the node what it was when `pieces` were saved, up to `time`.
    fn restore(&self, time: BatchTime, pieces: Vec<Piece>) -> Result<()>;

    /// There is nothing saved of the node, which begins behind `time`.
    fn begin_behind(&self, time: BatchTime);

    /// Behind what was restored, batches come again: an input gives them what they had.
    fn repeat(&self, _repeated: Repeated) -> Result<()> {
        Ok(())
    }

    /// An input notes from now on what it gives to batches, as `uid`.
    fn note_batches(&self, _uid: &Arc<str>, _notes: &Arc<dyn Notes>) {}
}

/// The name under which a node is found again in a checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Uid(OnceLock<Box<str>>);

impl Uid {
    /// Gives the name; an error has the one that it has already.
    pub(crate) fn set(&self, name: &str) -> Result<(), &str> {
        let mut is_new = false;
        let set = self.0.get_or_init(|| {
            is_new = true;
            Box::from(name)
        });
        if is_new || **set == *name {
            Ok(())
        } else {
            Err(set)
        }
    }

    pub(crate) fn get(&self) -> Option<&str> {
        self.0.get().map(AsRef::as_ref)
    }
}

/// What an operator keeps from one of its times to the next; see [`Durable`].
pub(crate) trait Kept: Send {
    fn kind(&self) -> &'static str;

    /// How much it keeps by key.
    fn size(&self) -> StateSize;

    fn offer_codec(&mut self, codec: &dyn Any) -> bool;

    fn can_be_saved(&self) -> bool;

    fn begin(&mut self);

    /// The operator has reached `time`.
    fn save(&mut self, time: BatchTime, all: bool) -> Result<Saved>;

    fn restore(&mut self, time: BatchTime, pieces: Vec<Piece>) -> Result<()>;
}

/// State by key that can be saved.
pub(crate) struct KeptState<K: Data, S: Data> {
    state: KeyedState<K, S>,
    executor: Arc<Executor>,
    /// Until it was taken in.
    initial: Option<Rdd<(K, S)>>,
    codec: Option<RecordCodec<(K, S)>>,
    sizes: Arc<Sizes>,
}

/// Bytes of the last piece that was all of it, and of those since. Pieces are written by
/// another thread, one after the other, and each before the next one is begun.
#[derive(Default)]
struct Sizes {
    whole: AtomicUsize,
    since: AtomicUsize,
}

impl Sizes {
    /// What a piece takes beside its bytes.
    const PIECE: usize = 64;

    // Relaxed: they come with the piece, which is handed over behind a lock.

    fn note(&self, is_all: bool, bytes: usize) {
        if is_all {
            self.whole.store(bytes, Ordering::Relaxed);
            self.since.store(0, Ordering::Relaxed);
        } else {
            self.since.fetch_add(bytes + Self::PIECE, Ordering::Relaxed);
        }
    }

    /// Whether what changed has become more than all of it.
    fn is_due(&self) -> bool {
        let whole = self.whole.load(Ordering::Relaxed);
        self.since.load(Ordering::Relaxed) > 2 * whole + 16 * Self::PIECE
    }
}

impl<K: Data + Hash + Eq, S: Data> KeptState<K, S> {
    pub(crate) fn new(
        state: KeyedState<K, S>,
        initial: Option<Rdd<(K, S)>>,
        executor: Arc<Executor>,
    ) -> Self {
        Self {
            state,
            executor,
            initial,
            codec: None,
            sizes: Arc::default(),
        }
    }

    /// Changes the state by `step`, which gets what came in the batch `time`, in lists that
    /// an earlier one has emptied. The initial state comes before the first one; `again`
    /// decides if a key stands there twice.
    pub(crate) fn advance<V: Data, P: Pipe<Out = (K, V)>, R>(
        &mut self,
        time: BatchTime,
        batch: Option<&Rdd<(K, V), P>>,
        spare: &Arc<Spares<Vec<(K, V)>>>,
        again: impl Fn(&mut S, S) + Sync,
        step: impl Fn(&KeyedState<K, S>, Arrivals<(K, V)>) -> Result<R>,
    ) -> Result<R> {
        let (state, executor) = (&self.state, &self.executor);
        if let Some(initial) = &self.initial {
            state.load(executor, time, initial, again)?;
            self.initial = None;
        }
        let partitioner = state.partitioner();
        executor.stage(|| {
            let records = match batch {
                Some(rdd) => rdd.by_key(partitioner, spare)?,
                None => Arrivals::none(partitioner.partitions()),
            };
            step(state, records)
        })
    }
}

impl<K: Data + Hash + Eq, S: Data> Kept for KeptState<K, S> {
    fn kind(&self) -> &'static str {
        "state by key"
    }

    fn size(&self) -> StateSize {
        self.state.size()
    }

    fn offer_codec(&mut self, codec: &dyn Any) -> bool {
        self.codec = codec.downcast_ref().copied().or(self.codec);
        codec.is::<RecordCodec<(K, S)>>()
    }

    fn can_be_saved(&self) -> bool {
        self.codec.is_some()
    }

    fn begin(&mut self) {
        if let Some(codec) = self.codec {
            self.state.note_changes(codec);
        }
    }

    fn save(&mut self, time: BatchTime, all: bool) -> Result<Saved> {
        // So all of it is paid by what has changed since it was written last.
        let all = all || self.sizes.is_due();
        let Some(saving) = self.state.save(all) else {
            return Ok(Saved {
                keep: Keep::All,
                pieces: Vec::new(),
            });
        };
        let (is_all, sizes) = (saving.is_all(), Arc::clone(&self.sizes));
        let make = move || {
            let bytes = saving.finish()?;
            sizes.note(is_all, bytes.len());
            Ok(bytes)
        };
        Ok(Saved {
            keep: if is_all { Keep::None } else { Keep::All },
            pieces: vec![NewPiece::to_make(time, Box::new(make))],
        })
    }

    fn restore(&mut self, time: BatchTime, pieces: Vec<Piece>) -> Result<()> {
        let Some(codec) = self.codec else {
            return Err(no_codec());
        };
        let pieces: Vec<_> = pieces.iter().map(|piece| &piece.bytes[..]).collect();
        self.state.restore(&self.executor, time, codec, &pieces)?;
        self.initial = None;
        Ok(())
    }
}

/// Somebody asked for the bytes of records before they were made known.
pub(crate) fn no_codec() -> Error {
    Error::illegal_state("the records of the stream cannot be read: see DStream::checkpoint")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> BatchTime {
        BatchTime::from_millis(1000 * seconds)
    }

    /// What was saved one behind the other, with nothing written between, is what was saved at
    /// once.
    #[test]
    fn what_was_saved_twice_is_written_once() {
        use Keep::{All, From, None};
        let saved = |keep, seconds: &[i64]| Saved {
            keep,
            pieces: seconds
                .iter()
                .map(|&second| NewPiece::new(at(second), vec![second as u8]))
                .collect(),
        };
        let then = |before, later| {
            let both = saved(before, &[3, 4, 5]).then(saved(later, &[6]));
            let pieces = both.pieces.into_iter().map(NewPiece::into_piece);
            let pieces = pieces.map(|piece| piece.unwrap().bytes).collect::<Vec<_>>();
            (both.keep, pieces.concat())
        };
        let (third, fourth) = (From(at(3)), From(at(4)));
        for before in [All, None, third] {
            assert_eq!(then(before, All), (before, vec![3, 4, 5, 6]));
            assert_eq!(then(before, None), (None, vec![6]));
        }
        assert_eq!(then(All, fourth), (fourth, vec![4, 5, 6]));
        assert_eq!(then(None, fourth), (None, vec![4, 5, 6]));
        assert_eq!(then(third, fourth), (fourth, vec![4, 5, 6]));
        // What is gone stays so.
        assert_eq!(then(From(at(5)), fourth), (From(at(5)), vec![4, 5, 6]));
    }

    /// State is written as a whole when more has changed than twice of that.
    #[test]
    fn what_changed_is_written_until_it_is_more_than_all() {
        let sizes = Sizes::default();
        for whole in [1000, 3000, 0] {
            sizes.note(true, whole);
            for _ in 0..2 {
                assert!(!sizes.is_due());
                // Half of what may have changed.
                sizes.note(false, whole + 8 * Sizes::PIECE - Sizes::PIECE);
            }
            assert!(!sizes.is_due());
            sizes.note(false, 0);
            assert!(sizes.is_due());
        }
    }
}
