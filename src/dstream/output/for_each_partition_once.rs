//! `for_each_partition_once`: each partition into a transactional store, once.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::dstream::DStream;
use crate::error::{Error, Result};
use crate::rdd::Step;
use crate::rdd::pipe::{Data, Pipe};
use crate::shared::Pool;
use crate::time::BatchTime;

/// A connection to a store with transactions, which holds the records of a partition
/// and the [`PartitionId`] of it, both or none.
///
/// Guide: Fault-tolerance Semantics, Semantics of output operations: this is the
/// transactional update. Make the ids a table with a unique key over their four parts, so
/// that of two processes that write the same partition only one can. A batch comes
/// again only if it is newer than the newest checkpoint, so ids of older ones can be
/// deleted.
///
/// # Examples
/// `examples/sqlite_sink.rs` and `examples/postgres_sink.rs` are programs with databases.
/// A store in memory, for a test:
/// ```
/// use std::collections::HashMap;
/// use std::sync::{Arc, Mutex};
///
/// use millstream::dstream::{PartitionId, TransactionalSink};
/// use millstream::prelude::*;
/// use millstream::shared::Pool;
/// use millstream::testing::TestContext;
///
/// type Rows = Arc<Mutex<HashMap<PartitionId, Vec<u64>>>>;
///
/// struct Connection(Rows);
///
/// impl TransactionalSink<u64> for Connection {
///     fn is_written(&mut self, id: &PartitionId) -> millstream::Result<bool> {
///         Ok(self.0.lock().unwrap().contains_key(id))
///     }
///
///     fn write(&mut self, id: &PartitionId, records: &[u64]) -> millstream::Result<()> {
///         self.0.lock().unwrap().insert(id.clone(), records.to_vec());
///         Ok(())
///     }
/// }
///
/// # fn main() -> millstream::Result<()> {
/// let test = TestContext::new();
/// let (queue, numbers) = test.queue();
/// let rows = Rows::default();
/// let store = Arc::clone(&rows);
/// let connections = Pool::new(2, Duration::from_secs(30), move || {
///     Ok(Connection(Arc::clone(&store)))
/// });
/// numbers.for_each_partition_once("numbers", connections)?;
/// test.start();
/// test.push(&queue, [1, 2, 3]);
/// test.tick();
/// let id = PartitionId::new("millstream", "numbers", BatchTime::from_millis(1000), 0);
/// assert_eq!(rows.lock().unwrap()[&id], [1, 2, 3]);
/// # Ok(())
/// # }
/// ```
pub trait TransactionalSink<T>: Send + 'static {
    /// Whether the store has a partition.
    ///
    /// # Errors
    /// Those of the store; the connection is dropped then.
    fn is_written(&mut self, id: &PartitionId) -> Result<bool>;

    /// Writes the records of a partition, and its id, in one transaction.
    ///
    /// # Errors
    /// Those of the store. Nothing of the partition is in it then, or all of it, as a
    /// commit can be done whose answer was lost. The connection is dropped.
    fn write(&mut self, id: &PartitionId, records: &[T]) -> Result<()>;
}

/// Which partition of which batch: the id that a transactional store keeps with the
/// records.
///
/// It is the same when the batch comes again in another process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct PartitionId {
    /// The name of the application, which is the setting `app_name`.
    pub app: Arc<str>,
    /// The name of the output operation.
    pub output: Arc<str>,
    /// The time of the batch.
    pub batch_time: BatchTime,
    /// The index of the partition in the batch.
    pub partition: usize,
}

impl PartitionId {
    /// An id.
    #[must_use]
    pub fn new(app: &str, output: &str, batch_time: BatchTime, partition: usize) -> Self {
        Self {
            app: Arc::from(app),
            output: Arc::from(output),
            batch_time,
            partition,
        }
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "partition {} of the batch {} for the output {:?} of {:?}",
            self.partition, self.batch_time, self.output, self.app
        )
    }
}

/// # Output operations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Writes each partition of each batch into a store with transactions, once, also if
    /// the process ends at any moment and the batch comes again.
    ///
    /// Guide: Fault-tolerance Semantics. A partition whose id the store has is passed
    /// over; all others are [written](TransactionalSink::write), the batches in order and
    /// the partitions of a batch by the workers in parallel, each with a connection of its
    /// own from the pool. One that fails is tried again at once with a new connection,
    /// `task_max_failures` times in all (four), and the store is asked for its id each time. If
    /// it fails then,
    /// the batch fails, and no further checkpoint is taken: the batch comes again when the
    /// program is started again, and so do those behind it, of which the store has what
    /// it has.
    ///
    /// `name` tells this output of the program from others, and stays as the program
    /// changes. What has to hold for a batch that comes again to have the same partitions
    /// is on the page [`guide::outputs`](crate::guide::outputs).
    ///
    /// No shuffle. The records of a partition are brought together in memory; a
    /// transaction per partition.
    ///
    /// # Errors
    /// If the name is empty, another output has it, or the context was started.
    ///
    /// # Examples
    /// See [`TransactionalSink`].
    #[doc(alias = "foreachPartition")]
    #[track_caller]
    pub fn for_each_partition_once<S: TransactionalSink<T>>(
        &self,
        name: &str,
        connections: Pool<S>,
    ) -> Result<()> {
        let step = Step::new("for_each_partition_once", Location::caller());
        self.graph().check_open(step.site)?;
        let wrong = |why: &str| {
            let what = format!("for_each_partition_once({name:?}): {why}");
            Err(Error::invalid_argument(what).at(step.site))
        };
        if name.is_empty() {
            return wrong("the output needs a name");
        }
        let app = Arc::clone(self.graph().app_name());
        let output: Arc<str> = Arc::from(name);
        let uid = Arc::clone(&output);
        let is_new = self.once_output(step, uid, move |rdd, batch_time| {
            rdd.each_in_parallel(Some(step), |records| {
                let id = PartitionId {
                    app: Arc::clone(&app),
                    output: Arc::clone(&output),
                    batch_time,
                    partition: records.partition_index(),
                };
                write_once(&connections, &id, records.as_slice())
            })
        });
        if is_new {
            Ok(())
        } else {
            wrong("another output has this name")
        }
    }
}

fn write_once<T, S: TransactionalSink<T>>(
    connections: &Pool<S>,
    id: &PartitionId,
    records: &[T],
) -> Result<()> {
    // Asked at each attempt: a commit that failed may have been done.
    let written = connections.with(|sink| match sink.is_written(id)? {
        true => Ok(()),
        false => sink.write(id, records),
    });
    written.map_err(|error| {
        // They are as old as the one that failed, or older.
        connections.drop_idle();
        Error::new(error.kind(), format!("{id} could not be written")).with_source(error)
    })
}
