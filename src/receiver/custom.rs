//! Receivers of the program's own.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::blocks::{BlockGenerator, BlockGeneratorListener, Blocks};
use super::log::Logging;
use super::{Exit, RateLimiter, Session, Source, weight};
use crate::block::{About, TypedWriter};
use crate::error::{Error, Result};
use crate::fault::kill_point;
use crate::id::{BlockId, StreamId};
use crate::rdd::Data;
use crate::sync::engine::{Mutex, MutexGuard, lock};
use crate::time::Duration;

/// A source of records that the program brings
/// (guide: Spark Streaming Custom Receivers).
///
/// Both methods must return soon: `on_start` launches whatever receives (a
/// thread, a task of an async runtime) and gives it a clone of the handle;
/// `on_stop` ends that. A receiver that fails or asks for a restart is stopped
/// and, after a delay, started again. An error or a panic in `on_start` counts
/// as a failure.
///
/// A receiver is *reliable* if it acknowledges to its source what was stored, and
/// nothing before: after [`store_many`](ReceiverHandle::store_many), or as a
/// [block generator](ReceiverHandle::block_generator) tells it.
///
/// With the setting `receiver_write_ahead_log`, and a checkpoint directory, that is in the
/// log by then, and comes again after a crash: it counts once in what streams keep, and
/// the batches since the last checkpoint are what they were. What is stored one by one
/// is logged soon after it was cut. Records that are logged need serde's traits: call
/// [`checkpoint`](crate::DStream::checkpoint) on the stream of the receiver, and give it a
/// name that stays by [`uid`](crate::DStream::uid).
///
/// # Examples
/// ```
/// use millstream::prelude::*;
/// use millstream::receiver::{Receiver, ReceiverHandle};
///
/// struct Numbers;
///
/// impl Receiver<u64> for Numbers {
///     fn on_start(&mut self, handle: ReceiverHandle<u64>) -> millstream::Result<()> {
///         std::thread::Builder::new().spawn(move || {
///             // Ends when the context stops: the store is refused then.
///             (0..1000).try_for_each(|i| handle.store(i))
///         })?;
///         Ok(())
///     }
///
///     fn on_stop(&mut self) {}
/// }
///
/// # fn main() -> millstream::Result<()> {
/// let ssc = StreamingContext::builder().batch_interval(Duration::from_millis(10)).build()?;
/// ssc.receiver_stream(Numbers)?.count().print();
/// # Ok(())
/// # }
/// ```
pub trait Receiver<T: Data>: Send + 'static {
    /// Starts to receive, and returns.
    ///
    /// # Errors
    /// Whatever keeps it from starting; it is tried again after the delay.
    fn on_start(&mut self, handle: ReceiverHandle<T>) -> Result<()>;

    /// Ends what `on_start` launched.
    fn on_stop(&mut self);

    /// The core that its thread, and the threads that it starts from there,
    /// would best run on. Used only if the context pins threads.
    #[doc(alias = "preferredLocation")]
    fn preferred_cpu(&self) -> Option<usize> {
        None
    }
}

/// What a [`Receiver`] stores with and reports to. Cloning is cheap; any thread
/// may use it.
pub struct ReceiverHandle<T: Send + Sync + 'static> {
    shared: Arc<Shared<T>>,
}

struct Shared<T: Send + Sync + 'static> {
    stream_id: StreamId,
    writer: Mutex<TypedWriter<T>>,
    limiter: Option<Mutex<RateLimiter>>,
    logging: Arc<Logging<T>>,
    session: OnceLock<Arc<Session>>,
    /// The block generators of this run; none between two runs.
    generators: Mutex<Option<Vec<Arc<dyn Blocks>>>>,
    /// The index of the next block that a generator ends.
    next_block: AtomicU64,
}

/// The longest text about a block, in bytes; more would be no description.
const METADATA: usize = 1024;

impl<T: Data> ReceiverHandle<T> {
    /// Stores one record. Waits while the rate limit or the ring's bound
    /// (`ring_bytes`, which counts the record's own size, not what it points to)
    /// says so; with [`Overflow::DropNewest`](crate::conf::Overflow) it drops the record
    /// in place of waiting for the ring. Once it returned, the record is in the next
    /// batch that is cut, or was dropped and counted; a crash of the process loses it.
    ///
    /// # Errors
    /// The record itself, when the context stops.
    pub fn store(&self, record: T) -> Result<(), T> {
        if self.permit(1).is_none() {
            return Err(record);
        }
        let dropped = self.shared.writer().offer(record, weight::<T>())?;
        // Without the lock: it is the program's own code.
        drop(dropped);
        Ok(())
    }

    /// As [`store`](Self::store), with the permit already in hand, and never dropped.
    pub(super) fn push(&self, record: T) -> Result<(), T> {
        self.shared.writer().push(record, weight::<T>())
    }

    /// As [`push`](Self::push), for records that one cut has to take together.
    pub(super) fn push_all(&self, records: Vec<T>) -> Result<(), Vec<T>> {
        self.shared.writer().push_all(records, weight::<T>())
    }

    /// Waits until the rate limit lets so many records pass; none if the context
    /// stops.
    pub(super) fn permit(&self, mut records: usize) -> Option<()> {
        let Some(limiter) = &self.shared.limiter else {
            return Some(());
        };
        let mut limiter = lock(limiter);
        while records > 0 {
            records -= limiter.take(records)?;
        }
        Some(())
    }

    /// Stores records as one block, which becomes one partition. Not subject to
    /// the rate limit. Waits while the ring's bound says so. With a write-ahead log the
    /// block is in the log when this returns, and can be acknowledged to its source.
    ///
    /// # Errors
    /// The records themselves, when the context stops, or they could not be written to
    /// the log; that is told to the listeners.
    pub fn store_many(&self, records: Vec<T>) -> Result<(), Vec<T>> {
        self.store_block(records, None, false)
    }

    /// As [`store_many`](Self::store_many), with a text about the block, such as
    /// the offsets it holds. Listeners find it with the batch that the block is in
    /// ([`InputInfo::block_metadata`](crate::listener::InputInfo::block_metadata)); it is
    /// cut
    /// to 1024 bytes. Without records there is no block, and nothing to say.
    ///
    /// # Errors
    /// As there.
    pub fn store_many_with_metadata(
        &self,
        records: Vec<T>,
        metadata: impl AsRef<str>,
    ) -> Result<(), Vec<T>> {
        let text = metadata.as_ref();
        let text = &text[..text.floor_char_boundary(METADATA)];
        self.store_block(records, Some(text), false)
    }

    /// Logs a block and puts it into the ring. The `last` one, which was taken before
    /// the end of the run, does not wait for room.
    pub(super) fn store_block(
        &self,
        records: Vec<T>,
        metadata: Option<&str>,
        last: bool,
    ) -> Result<(), Vec<T>> {
        if records.is_empty() {
            return Ok(());
        }
        if self.is_stopped() && !last {
            return Err(records);
        }
        // On its way until it is in the ring.
        let flight = match self.shared.logging.append(&records, metadata) {
            Ok(flight) => flight,
            Err(error) => {
                let message = "a block could not be written to the write-ahead log";
                self.report_error(message, Some(error));
                return Err(records);
            }
        };
        let weight = records.len().saturating_mul(weight::<T>());
        let about = About {
            metadata: metadata.map(Arc::from),
            sequence: flight.as_ref().map(|flight| flight.sequence),
        };
        let mut writer = self.shared.writer();
        if last {
            writer.push_last(records, weight, about)?;
        } else {
            writer.push_described(records, weight, about)?;
        }
        kill_point!("receiver.block.stored");
        Ok(())
    }

    /// Whether blocks are written to a log before they are stored.
    pub(super) fn is_logged(&self) -> bool {
        self.shared.logging.log().is_some()
    }

    /// A block generator of this receiver's own, whose `listener` is told which
    /// records were stored, block by block. It ends with this run of the receiver,
    /// before `on_stop`: make one in each `on_start`. One that is made between two
    /// runs is never active.
    #[doc(alias = "createBlockGenerator")]
    pub fn block_generator<L: BlockGeneratorListener>(&self, listener: L) -> BlockGenerator<T, L> {
        let mut generators = self.shared.generators();
        let (generator, blocks) = BlockGenerator::new(self.clone(), listener, generators.is_some());
        if let Some(generators) = &mut *generators {
            generators.push(blocks);
        }
        drop(generators);
        // The receiver's thread has to end blocks from now on.
        if let Some(session) = self.shared.session.get() {
            session.nudge();
        }
        generator
    }

    /// The id of the next block.
    pub(super) fn next_block(&self) -> BlockId {
        BlockId {
            stream: self.shared.stream_id,
            // Relaxed: a number, no more.
            index: self.shared.next_block.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Tells listeners and the log about an error; receiving goes on.
    #[doc(alias = "reportError")]
    pub fn report_error(&self, message: impl Into<String>, error: Option<Error>) {
        if let Some(session) = self.shared.session.get() {
            session.reporter().failed(message.into(), error);
        }
    }

    /// Asks for `on_stop` and, after the configured delay, `on_start`.
    pub fn restart(&self, message: impl Into<String>, error: Option<Error>) {
        self.request(message.into(), error, None);
    }

    /// As [`restart`](Self::restart), after a delay of its own.
    pub fn restart_after(&self, message: impl Into<String>, error: Option<Error>, delay: Duration) {
        self.request(message.into(), error, Some(delay));
    }

    /// Ends this run of the receiver. As long as the context runs it is launched
    /// again, after the configured delay.
    pub fn stop(&self, message: impl Into<String>, error: Option<Error>) {
        self.request(message.into(), error, None);
    }

    fn request(&self, message: String, error: Option<Error>, delay: Option<Duration>) {
        if let Some(session) = self.shared.session.get() {
            session.request(Exit::Restart {
                message,
                error,
                delay,
            });
        }
    }

    /// Records per second that the receiver may store, if that is limited: by
    /// `receiver_max_rate`, and with back-pressure by what the batches can take. What
    /// is stored one by one waits for its turn; a receiver that stores whole blocks
    /// does well to keep to this itself.
    #[doc(alias = "getCurrentLimit")]
    #[must_use]
    pub fn rate_limit(&self) -> Option<u64> {
        let session = self.shared.session.get();
        session.and_then(|session| session.reporter().rate_limit())
    }

    /// Whether the receiver is between its `on_start` and its `on_stop`.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.shared
            .session
            .get()
            .is_some_and(|session| session.reporter().is_active())
    }

    /// Whether the context stops: nothing can be stored any more.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shared
            .session
            .get()
            .is_some_and(|session| session.is_shut_down())
    }

    /// The id of the input stream.
    #[must_use]
    pub fn stream_id(&self) -> StreamId {
        self.shared.stream_id
    }
}

impl<T: Send + Sync + 'static> Shared<T> {
    fn generators(&self) -> MutexGuard<'_, Option<Vec<Arc<dyn Blocks>>>> {
        lock(&self.generators)
    }

    fn writer(&self) -> MutexGuard<'_, TypedWriter<T>> {
        lock(&self.writer)
    }
}

impl<T: Send + Sync + 'static> Clone for ReceiverHandle<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for ReceiverHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiverHandle")
            .field("stream_id", &self.shared.stream_id)
            .finish_non_exhaustive()
    }
}

/// Runs a [`Receiver`].
pub(crate) struct CustomSource<T: Send + Sync + 'static, R> {
    receiver: R,
    handle: ReceiverHandle<T>,
    /// How often its block generators end a block.
    block_interval: Duration,
}

impl<T: Data, R: Receiver<T>> CustomSource<T, R> {
    pub(crate) fn new(
        receiver: R,
        stream_id: StreamId,
        writer: TypedWriter<T>,
        limiter: Option<RateLimiter>,
        block_interval: Duration,
        logging: Arc<Logging<T>>,
    ) -> Self {
        let shared = Shared {
            stream_id,
            writer: Mutex::new(writer),
            limiter: limiter.map(Mutex::new),
            logging,
            session: OnceLock::new(),
            generators: Mutex::default(),
            next_block: AtomicU64::new(0),
        };
        Self {
            receiver,
            handle: ReceiverHandle {
                shared: Arc::new(shared),
            },
            block_interval,
        }
    }

    /// Waits for the end of a run, and ends blocks meanwhile.
    fn wait(&self, session: &Session) -> Exit {
        let clock = session.clock();
        let generators = || self.handle.shared.generators();
        loop {
            let boundary = next_boundary(clock.now_nanos(), self.block_interval);
            let idle = generators().as_ref().is_none_or(Vec::is_empty);
            if let Some(exit) = session.wait((!idle).then_some(boundary)) {
                return exit;
            }
            if clock.now_nanos() >= boundary {
                // Not with the lock in hand: this calls the program's code.
                let present = generators().clone();
                present
                    .iter()
                    .flatten()
                    .for_each(|blocks| blocks.end_block());
            }
        }
    }
}

/// The next multiple of the interval.
fn next_boundary(now: i64, interval: Duration) -> i64 {
    let interval = i64::try_from(interval.as_nanos())
        .unwrap_or(i64::MAX)
        .max(1);
    now.div_euclid(interval)
        .saturating_add(1)
        .saturating_mul(interval)
}

impl<T: Data, R: Receiver<T>> Source for CustomSource<T, R> {
    fn run(&mut self, session: &Arc<Session>) -> Exit {
        self.handle
            .shared
            .session
            .get_or_init(|| Arc::clone(session));
        session.clear_request();
        *self.handle.shared.generators() = Some(Vec::new());
        let handle = self.handle.clone();
        let started = catch_unwind(AssertUnwindSafe(|| self.receiver.on_start(handle)));
        let exit = match started {
            Ok(Ok(())) => self.wait(session),
            Ok(Err(error)) => Exit::restart("the receiver could not start", Some(error)),
            Err(payload) => Exit::panicked(payload),
        };
        // While the receiver can still acknowledge what its listeners are told.
        let generators = self.handle.shared.generators().take();
        generators.iter().flatten().for_each(|blocks| blocks.end());
        // Also after a failed start, which may have launched something before.
        self.receiver.on_stop();
        exit
    }

    fn settle(&self) {
        // A store that saw the ring open holds the lock until it has published;
        // the next one sees the ring closed.
        drop(self.handle.shared.writer());
    }

    fn preferred_cpu(&self) -> Option<usize> {
        self.receiver.preferred_cpu()
    }
}
