//! Receivers of the program's own.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use super::{Exit, RateLimiter, Session, Source, weight};
use crate::block::TypedWriter;
use crate::error::{Error, Result};
use crate::id::StreamId;
use crate::rdd::Data;
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
/// A receiver is *reliable* if it stores with
/// [`store_many`](ReceiverHandle::store_many) and acknowledges to its source
/// afterwards.
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
    session: OnceLock<Arc<Session>>,
}

impl<T: Data> ReceiverHandle<T> {
    /// Stores one record. Waits while the rate limit or the ring's bound
    /// (`ring_bytes`, which counts the record's own size, not what it points to)
    /// says so. Once it returned, the record is in the next batch that is cut;
    /// a crash of the process loses it.
    ///
    /// # Errors
    /// The record itself, when the context stops.
    pub fn store(&self, record: T) -> Result<(), T> {
        if let (Some(limiter), Some(session)) = (&self.shared.limiter, self.shared.session.get()) {
            let mut limiter = limiter.lock().unwrap_or_else(|poison| poison.into_inner());
            if limiter.take(1, session).is_none() {
                return Err(record);
            }
        }
        self.shared.writer().push(record, weight::<T>())
    }

    /// Stores records as one block, which becomes one partition. Not subject to
    /// the rate limit. Waits while the ring's bound says so.
    ///
    /// # Errors
    /// The records themselves, when the context stops.
    pub fn store_many(&self, records: Vec<T>) -> Result<(), Vec<T>> {
        let weight = records.len().saturating_mul(weight::<T>());
        self.shared.writer().push_block(records, weight)
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
    fn writer(&self) -> MutexGuard<'_, TypedWriter<T>> {
        self.writer
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
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
}

impl<T: Data, R: Receiver<T>> CustomSource<T, R> {
    pub(crate) fn new(
        receiver: R,
        stream_id: StreamId,
        writer: TypedWriter<T>,
        limiter: Option<RateLimiter>,
    ) -> Self {
        let shared = Shared {
            stream_id,
            writer: Mutex::new(writer),
            limiter: limiter.map(Mutex::new),
            session: OnceLock::new(),
        };
        Self {
            receiver,
            handle: ReceiverHandle {
                shared: Arc::new(shared),
            },
        }
    }
}

impl<T: Data, R: Receiver<T>> Source for CustomSource<T, R> {
    fn run(&mut self, session: &Arc<Session>) -> Exit {
        self.handle
            .shared
            .session
            .get_or_init(|| Arc::clone(session));
        session.clear_request();
        let handle = self.handle.clone();
        let started = catch_unwind(AssertUnwindSafe(|| self.receiver.on_start(handle)));
        let exit = match started {
            Ok(Ok(())) => session.wait(),
            Ok(Err(error)) => Exit::restart("the receiver could not start", Some(error)),
            Err(payload) => Exit::panicked(payload),
        };
        // Also after a failed start, which may have launched something before.
        self.receiver.on_stop();
        exit
    }

    fn preferred_cpu(&self) -> Option<usize> {
        self.receiver.preferred_cpu()
    }
}
