//! Queue input: batches from a queue that the program fills.

use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Cut, Ingest, InputNode};
use crate::dstream::{DStream, Graph};
use crate::error::Result;
use crate::rdd::pipe::Data;
use crate::rdd::{Rdd, Union};
use crate::sync::lock;
use crate::time::BatchTime;

/// A queue of Rdds for [`queue_stream`](crate::StreamingContext::queue_stream).
///
/// Cloning gives another handle to the same queue; it can be filled at any time,
/// from any thread.
///
/// # Examples
/// ```
/// use millstream::prelude::*;
///
/// # fn main() -> millstream::Result<()> {
/// let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
/// let queue = RddQueue::new();
/// ssc.queue_stream(&queue)?.print();
/// queue.push(ssc.parallelize(0..1000, 10));
/// assert_eq!(queue.len(), 1);
/// # Ok(())
/// # }
/// ```
pub struct RddQueue<T: Data> {
    waiting: Arc<Mutex<VecDeque<Rdd<T>>>>,
}

impl<T: Data> RddQueue<T> {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self {
            waiting: Arc::default(),
        }
    }

    /// Adds an Rdd at the end.
    pub fn push(&self, rdd: Rdd<T>) {
        self.lock().push_back(rdd);
    }

    /// How many Rdds wait for a batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no Rdd waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Rdd<T>>> {
        lock(&self.waiting)
    }
}

impl<T: Data> Clone for RddQueue<T> {
    fn clone(&self) -> Self {
        Self {
            waiting: Arc::clone(&self.waiting),
        }
    }
}

impl<T: Data> Default for RddQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Data> fmt::Debug for RddQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RddQueue")
            .field("len", &self.len())
            .finish()
    }
}

/// Takes one Rdd per batch, or all that wait.
pub(crate) struct QueueIngest<T: Data> {
    queue: RddQueue<T>,
    one_at_a_time: bool,
    default: Rdd<T>,
}

impl<T: Data> QueueIngest<T> {
    /// Declares a queue input. Without a default an empty batch has one empty
    /// partition, as in Spark.
    pub(crate) fn declare(
        graph: &Arc<Graph>,
        site: &'static Location<'static>,
        queue: &RddQueue<T>,
        one_at_a_time: bool,
        default: Rdd<T>,
    ) -> Result<DStream<T>> {
        let queue = queue.clone();
        InputNode::declare(graph, "Queue", site, |_, _| Self {
            queue,
            one_at_a_time,
            default,
        })
    }
}

impl<T: Data> Ingest<T> for QueueIngest<T> {
    const UNRECOVERABLE: Option<&'static str> =
        Some("what a queue gave exists in this process only");

    fn cut(&self, _: BatchTime) -> Cut<T> {
        let mut waiting = self.queue.lock();
        let rdd = if self.one_at_a_time || waiting.len() <= 1 {
            waiting.pop_front().unwrap_or_else(|| self.default.clone())
        } else {
            let executor = Arc::clone(self.default.executor());
            let all = waiting.drain(..).map(Rdd::into_dataset).collect();
            Rdd::new(Arc::new(Union(all)), executor)
        };
        drop(waiting);
        Cut::plain(rdd)
    }

    fn is_waiting(&self) -> bool {
        !self.queue.is_empty()
    }
}
