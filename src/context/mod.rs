//! The context: owner of the graph, the threads and the life of a program.

mod active;
mod builder;
mod checkpoint;
mod files;
mod inputs;
mod life;
#[cfg(feature = "checkpoint")]
mod object_file;
mod shared;
#[cfg(feature = "signals")]
mod signals;
mod stop;

#[cfg(all(test, shuttle))]
mod model;
#[cfg(all(test, shuttle))]
mod simulate;

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

pub use builder::StreamingContextBuilder;
use life::Running;

use crate::conf::Conf;
use crate::cpu::placement::Placement;
use crate::dstream::{Graph, StreamingContextState};
use crate::error::Result;
use crate::executor::Executor;
use crate::listener::{Bus, StreamingListener};
use crate::scheduler::Waiter;
use crate::state::StateBound;
use crate::sync::engine::Mutex;
use crate::time::{Clock, Duration};

/// The entry point: declares streams, starts and stops them.
///
/// The life of a context is declare, [`start`](Self::start), run,
/// [`stop`](Self::stop); it cannot start again. Several contexts may live in one
/// process. Cloning gives another handle; when the last one is dropped, a
/// running context is stopped at once, without its queued batches.
///
/// # Examples
/// ```
/// use millstream::prelude::*;
///
/// # fn main() -> millstream::Result<()> {
/// let ssc = StreamingContext::builder()
///     .app_name("Squares")
///     .batch_interval(Duration::from_millis(10))
///     .build()?;
/// let queue = RddQueue::new();
/// ssc.queue_stream(&queue)?.map(|x: u64| x * x).print();
/// queue.push(ssc.parallelize(1..=3, 2));
/// ssc.start()?;
/// ssc.stop(true)?; // gracefully: what waits is processed first
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct StreamingContext {
    inner: Arc<Inner>,
}

struct Inner {
    conf: Conf,
    graph: Arc<Graph>,
    clock: Arc<dyn Clock>,
    placement: Placement,
    bus: Arc<Bus>,
    waiter: Arc<Waiter>,
    /// Where the context was built, and then where it was started.
    site: Mutex<&'static Location<'static>>,
    /// Until the start.
    checkpoints: Mutex<checkpoint::Setup>,
    accumulators: checkpoint::Accumulators,
    running: Mutex<Option<Running>>,
    /// Held by the thread that stops the context.
    stopping: Mutex<()>,
}

impl StreamingContext {
    /// Begins to set up a context.
    pub fn builder() -> StreamingContextBuilder {
        StreamingContextBuilder::new()
    }

    fn new(
        conf: Conf,
        interval: Duration,
        executor: Executor,
        placement: Placement,
        clock: Arc<dyn Clock>,
        site: &'static Location<'static>,
    ) -> Self {
        let state_bound = StateBound(conf.state_max_bytes.map(|bytes| bytes as u64));
        let inner = Inner {
            graph: Graph::new(&conf.app_name, interval, Arc::new(executor), state_bound),
            conf,
            clock,
            placement,
            bus: Arc::default(),
            waiter: Arc::default(),
            site: Mutex::new(site),
            checkpoints: Mutex::default(),
            accumulators: Default::default(),
            running: Mutex::new(None),
            stopping: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The settings in force. Their [`Display`](fmt::Display) form is a table
    /// with the source of each.
    #[must_use]
    pub fn conf(&self) -> &Conf {
        &self.inner.conf
    }

    /// The interval at which batches are cut.
    #[must_use]
    pub fn batch_interval(&self) -> Duration {
        self.inner.graph.batch_interval()
    }

    /// Where in its life the context is.
    #[doc(alias = "getState")]
    #[must_use]
    pub fn state(&self) -> StreamingContextState {
        self.inner.graph.phase()
    }

    /// Makes every stream keep its batches for at least this long, so that code
    /// outside of the batches can still read them ([`slice`](crate::DStream::slice)).
    /// By default a batch is forgotten once it is done and no window needs it.
    /// After the start it has no effect.
    ///
    /// # Errors
    /// If it was set before.
    pub fn remember(&self, duration: Duration) -> Result<()> {
        self.inner.graph.remember(duration)
    }

    /// Tells `listener` from now on what happens.
    #[doc(alias = "addStreamingListener")]
    pub fn add_listener<L: StreamingListener + 'static>(&self, listener: L) {
        let name = std::any::type_name::<L>();
        self.inner.bus.add(name, Box::new(listener));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl fmt::Debug for StreamingContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamingContext")
            .field("app_name", &self.inner.conf.app_name)
            .field("batch_interval", &self.batch_interval())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
