//! Receivers: threads that fill the rings.
//!
//! A *source* is what receives: a socket, or a [`Receiver`] of the program's
//! own. Each has a named thread, pinned apart from the workers where there are
//! enough cores, on which a *supervisor* runs it, restarts it when it fails and
//! tells the listeners. What a source stores it publishes in its ring; at the
//! next boundary the generator cuts it.
//!
//! A receiver may be held back in two ways: by its rate limit, a permit for each
//! record, and by its ring, when that is full. [`Overflow`](crate::conf::Overflow) says
//! what it does in the second case; by default it waits.
//!
//! With a write-ahead log what it stores is logged, too: see `log`.
//!
//! Deliberately not here: batches and streams. The tracker of the floor above
//! starts and stops the supervisors.

mod backoff;
mod blocks;
mod custom;
mod limiter;
pub(crate) mod log;
mod session;
mod socket;
mod supervisor;

pub(crate) use backoff::Backoff;
pub use blocks::{BlockGenerator, BlockGeneratorListener};
pub(crate) use custom::CustomSource;
pub use custom::{Receiver, ReceiverHandle};
pub(crate) use limiter::{RateLimit, RateLimiter};
pub(crate) use session::{Reporter, Session};
pub(crate) use socket::Peer;
pub(crate) use socket::converted::ConvertedSocket;
pub(crate) use socket::raw::RawSocket;
pub(crate) use socket::text::TextSocket;
pub(crate) use supervisor::{Supervisor, SupervisorHandle};

use std::any::Any;
use std::sync::Arc;

use crate::error::Error;
use crate::time::Duration;

/// What a supervisor runs.
pub(crate) trait Source: Send + 'static {
    /// Receives until something ends it. Returns soon after the session is shut
    /// down.
    fn run(&mut self, session: &Arc<Session>) -> Exit;

    /// Waits for what other threads are storing at this moment. Called once the
    /// ring is closed: what was stored then can be cut, and nothing comes later.
    fn settle(&self) {}

    /// The core that the program would like it on.
    fn preferred_cpu(&self) -> Option<usize> {
        None
    }
}

/// Why a source ended.
#[derive(Debug)]
pub(crate) enum Exit {
    /// The context stops, or the ring was closed.
    Shutdown,
    /// To be started again after the delay (that of the [`Backoff`] if `None`).
    Restart {
        message: String,
        error: Option<Error>,
        delay: Option<Duration>,
    },
}

impl Exit {
    fn panicked(payload: Box<dyn Any + Send>) -> Self {
        let error = Error::from_panic(payload, "receiver");
        Self::restart("the receiver panicked", Some(error))
    }

    fn restart(message: impl Into<String>, error: Option<Error>) -> Self {
        Self::Restart {
            message: message.into(),
            error,
            delay: None,
        }
    }
}

/// What a record counts for in its ring: its own size, not what it points to.
/// At least a byte, or records without a size would have no bound.
const fn weight<T>() -> usize {
    match size_of::<T>() {
        0 => 1,
        size => size,
    }
}
