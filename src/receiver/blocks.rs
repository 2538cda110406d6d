//! Block generators: a receiver is told what was stored, in order, so that it can
//! acknowledge to its source.
//!
//! In Spark a generator collects records, and each interval makes a block of them,
//! which its listener then stores. Here a record goes into the ring at once and is
//! in the next batch, so nothing waits for an interval, and the listener stores
//! nothing. What is left of a block is what a receiver needs: a stretch of its
//! records whose end it is told of.
//!
//! | Spark | here |
//! | --- | --- |
//! | `addData` and its like collect | they store; a record is in the first batch that is cut afterwards |
//! | `onAddData` follows the collecting | it follows the storing, under the same lock |
//! | a block ends at each block interval | the same, or at each batch interval if that is shorter; the generator of a run also ends its last block with the run |
//! | `onGenerateBlock` when a block ended | the same; nothing is added meanwhile |
//! | `onPushBlock` stores the block | it comes next, without the lock: the block is stored, time to acknowledge |
//! | many records, one block | they are also in one batch together, and in one partition |
//!
//! **With a write-ahead log** a block is kept here until it ends, and then logged and
//! stored as one. So its records are in a batch only once they are in the log, and
//! `onPushBlock` comes when both is done.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{ReceiverHandle, weight};
use crate::error::{Error, ErrorKind, Result};
use crate::id::BlockId;
use crate::rdd::Data;
use crate::sync::engine::{Mutex, MutexGuard, lock};

/// Is told what a [`BlockGenerator`] stores.
///
/// For one generator the calls come in this order: any number of
/// [`on_add_data`](Self::on_add_data), then
/// [`on_generate_block`](Self::on_generate_block) for all of these, then
/// [`on_push_block`](Self::on_push_block) for the same block, perhaps while more is
/// added. They return soon: the first two hold up whoever adds, the third one
/// holds up the next block. None of them adds records.
pub trait BlockGeneratorListener: Send + Sync + 'static {
    /// What is said about records that are added, such as their offset.
    type Metadata: Send;

    /// Records were stored. Called by the thread that adds them, one at a time, in
    /// the order of the records.
    fn on_add_data(&self, metadata: Self::Metadata);

    /// A block ended: it holds all that was added since the last one. Nothing is
    /// added meanwhile.
    fn on_generate_block(&self, block: BlockId);

    /// The block is stored, with so many records: they can be acknowledged.
    fn on_push_block(&self, block: BlockId, records: usize);

    /// One of the two calls before panicked, or ended a block badly in another
    /// way, or the block could not be written to the log and is not stored; it was
    /// reported. Does nothing by default.
    fn on_error(&self, error: &Error) {
        let _ = error;
    }
}

/// Stores the records of a receiver, and tells a listener of each block.
///
/// Made by [`ReceiverHandle::block_generator`]. Cloning gives another handle to
/// the same generator; any thread may add.
///
/// # Examples
/// A source that numbers its records and sends again what was not acknowledged:
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
///
/// use millstream::id::BlockId;
/// use millstream::prelude::*;
/// use millstream::receiver::{BlockGeneratorListener, Receiver, ReceiverHandle};
///
/// #[derive(Default)]
/// struct Offsets {
///     added: AtomicU64,
///     ended: AtomicU64,
/// }
///
/// impl BlockGeneratorListener for Offsets {
///     type Metadata = u64;
///
///     fn on_add_data(&self, offset: u64) {
///         self.added.store(offset, SeqCst);
///     }
///     fn on_generate_block(&self, _: BlockId) {
///         self.ended.store(self.added.load(SeqCst), SeqCst);
///     }
///     fn on_push_block(&self, _: BlockId, _: usize) {
///         acknowledge(self.ended.load(SeqCst));
///     }
/// }
///
/// struct Queue;
///
/// impl Receiver<String> for Queue {
///     fn on_start(&mut self, handle: ReceiverHandle<String>) -> millstream::Result<()> {
///         let generator = handle.block_generator(Offsets::default());
///         std::thread::Builder::new().spawn(move || {
///             for (offset, record) in messages() {
///                 // Refused once the receiver stops.
///                 if generator.add_data_with_callback(record, offset).is_err() {
///                     break;
///                 }
///             }
///         })?;
///         Ok(())
///     }
///
///     fn on_stop(&mut self) {}
/// }
/// # fn acknowledge(_: u64) {}
/// # fn messages() -> Vec<(u64, String)> { Vec::new() }
/// ```
pub struct BlockGenerator<T: Data, L: BlockGeneratorListener> {
    inner: Arc<Inner<T, L>>,
}

struct Inner<T: Data, L> {
    handle: ReceiverHandle<T>,
    listener: L,
    /// Locked while anything is added, so that a block ends between two additions.
    state: Mutex<State<T>>,
    /// Locked while a block is pushed, so that they stay in order.
    pushing: Mutex<()>,
}

struct State<T> {
    active: bool,
    /// Records since the last block ended.
    records: usize,
    /// These records, if there is a log.
    held: Vec<T>,
}

/// Bytes of records, without what they point to, at which a block that is held ends.
const MAX_HELD: usize = 16 << 20;

/// What its receiver does with a block generator.
pub(super) trait Blocks: Send + Sync {
    /// Ends a block, if anything was added.
    fn end_block(&self);

    /// Takes nothing more, and ends the last block.
    fn end(&self);
}

impl<T: Data, L: BlockGeneratorListener> BlockGenerator<T, L> {
    pub(super) fn new(
        handle: ReceiverHandle<T>,
        listener: L,
        active: bool,
    ) -> (Self, Arc<dyn Blocks>) {
        let state = State {
            active,
            records: 0,
            held: Vec::new(),
        };
        let inner = Arc::new(Inner {
            handle,
            listener,
            state: Mutex::new(state),
            pushing: Mutex::new(()),
        });
        let blocks = Arc::clone(&inner) as Arc<dyn Blocks>;
        (Self { inner }, blocks)
    }

    /// Stores one record, as [`ReceiverHandle::store`] does, but never drops it. It
    /// counts for its block, and is no call of the listener's.
    ///
    /// # Errors
    /// The record itself, when the run of the receiver has ended.
    #[doc(alias = "addData")]
    pub fn add_data(&self, record: T) -> Result<(), T> {
        let Some(mut state) = self.inner.admit(1) else {
            return Err(record);
        };
        self.inner.add(&mut state, record)?;
        self.inner.end_if_large(state);
        Ok(())
    }

    /// Stores one record, and tells the listener.
    ///
    /// # Errors
    /// What was given, when the run of the receiver has ended.
    #[doc(alias = "addDataWithCallback")]
    pub fn add_data_with_callback(
        &self,
        record: T,
        metadata: L::Metadata,
    ) -> Result<(), (T, L::Metadata)> {
        let Some(mut state) = self.inner.admit(1) else {
            return Err((record, metadata));
        };
        match self.inner.add(&mut state, record) {
            Ok(()) => {
                self.inner.listener.on_add_data(metadata);
                self.inner.end_if_large(state);
                Ok(())
            }
            Err(record) => Err((record, metadata)),
        }
    }

    /// Stores records that belong together, in one block and one batch, and tells
    /// the listener once. They count for the rate limit one by one.
    ///
    /// # Errors
    /// What was given, when the run of the receiver has ended.
    #[doc(alias = "addMultipleDataWithCallback")]
    pub fn add_multiple_data_with_callback(
        &self,
        records: impl IntoIterator<Item = T>,
        metadata: L::Metadata,
    ) -> Result<(), (Vec<T>, L::Metadata)> {
        // The program's own code, which may take its time.
        let records: Vec<_> = records.into_iter().collect();
        let Some(mut state) = self.inner.admit(records.len()) else {
            return Err((records, metadata));
        };
        match self.inner.add_all(&mut state, records) {
            Ok(()) => {
                self.inner.listener.on_add_data(metadata);
                self.inner.end_if_large(state);
                Ok(())
            }
            Err(records) => Err((records, metadata)),
        }
    }

    /// Whether it takes records: until the run of the receiver ends.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.inner.state().active
    }
}

impl<T: Data, L: BlockGeneratorListener> Inner<T, L> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
    }

    /// Waits until so many records may be added, for the rate limit first: no
    /// block waits for its permits. None if no more are taken.
    fn admit(&self, records: usize) -> Option<MutexGuard<'_, State<T>>> {
        self.handle.permit(records)?;
        Some(self.state()).filter(|state| state.active)
    }

    fn add(&self, state: &mut State<T>, record: T) -> Result<(), T> {
        if self.handle.is_logged() {
            state.held.push(record);
        } else {
            self.handle.push(record)?;
        }
        state.records += 1;
        Ok(())
    }

    fn add_all(&self, state: &mut State<T>, records: Vec<T>) -> Result<(), Vec<T>> {
        let count = records.len();
        if self.handle.is_logged() {
            state.held.extend(records);
        } else {
            self.handle.push_all(records)?;
        }
        state.records += count;
        Ok(())
    }

    /// Ends a block that is held and has become large.
    fn end_if_large(&self, state: MutexGuard<'_, State<T>>) {
        if state.held.len().saturating_mul(weight::<T>()) >= MAX_HELD {
            self.end_block_of(state, false);
        }
    }

    fn end_block_of(&self, mut state: MutexGuard<'_, State<T>>, last: bool) {
        let records = std::mem::take(&mut state.records);
        if records == 0 {
            return;
        }
        let block = self.handle.next_block();
        let held = std::mem::take(&mut state.held);
        let told = catch_unwind(AssertUnwindSafe(|| self.listener.on_generate_block(block)));
        let in_order = self.pushing.lock();
        drop(state);
        // Nothing is held without a log: the records are stored.
        let stored = self.handle.store_block(held, None, last);
        let told = told.and_then(|()| match stored {
            Ok(()) => catch_unwind(AssertUnwindSafe(|| {
                self.listener.on_push_block(block, records);
            })),
            Err(_) => Ok(()),
        });
        drop(in_order);
        if stored.is_err() {
            let what = format!("{block} with {records} records was not stored");
            let error = Error::new(ErrorKind::Receiver, what);
            self.tell_error(&error);
            // So that the source sends again what was not acknowledged.
            self.handle.restart("a block was not stored", Some(error));
        }
        if let Err(payload) = told {
            let what = format!("the listener of the block generator, told of {block},");
            let error = Error::from_panic(payload, &what);
            self.tell_error(&error);
            let message = "a block was stored, but may not be acknowledged";
            self.handle.report_error(message, Some(error));
        }
    }

    fn tell_error(&self, error: &Error) {
        let told = catch_unwind(AssertUnwindSafe(|| self.listener.on_error(error)));
        if told.is_err() {
            tracing::error!(%error, "on_error of a block generator's listener panicked");
        }
    }
}

impl<T: Data, L: BlockGeneratorListener> Blocks for Inner<T, L> {
    fn end_block(&self) {
        self.end_block_of(self.state(), false);
    }

    fn end(&self) {
        let mut state = self.state();
        state.active = false;
        self.end_block_of(state, true);
    }
}

impl<T: Data, L: BlockGeneratorListener> Clone for BlockGenerator<T, L> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<T: Data, L: BlockGeneratorListener> fmt::Debug for BlockGenerator<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockGenerator")
            .field("handle", &self.inner.handle)
            .finish_non_exhaustive()
    }
}
