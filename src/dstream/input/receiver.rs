//! Receiver inputs: what the cuts take from a ring.

use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Cut, Ingest, InputNode};
use crate::block::{Budget, Cutter, Str, Taken, TextBlock, TypedBlock};
use crate::dstream::{DStream, Graph};
use crate::error::Result;
use crate::executor::Executor;
use crate::id::StreamId;
use crate::listener::Received;
use crate::rdd::pipe::Data;
use crate::rdd::{Lines, Partition, Rdd};
use crate::receiver::{RateLimit, Supervisor};

/// A receiver that was declared, for the tracker to start.
pub(crate) struct DeclaredReceiver {
    pub(crate) stream_id: StreamId,
    pub(crate) name: String,
    pub(crate) supervisor: Supervisor,
}

/// Cuts one ring.
pub(crate) struct ReceiverIngest<B: IntoPartition> {
    executor: Arc<Executor>,
    limit: Option<Arc<RateLimit>>,
    budget: Arc<Budget>,
    ring: Mutex<Ring<B>>,
}

struct Ring<B: IntoPartition> {
    cutter: Cutter<B>,
    /// Blocks of the batch that is being received.
    blocks: Vec<Taken<B>>,
    /// Records that were dropped before this batch.
    dropped: u64,
}

/// A kind of block that can be a partition of a batch.
pub(crate) trait IntoPartition: crate::block::Block + Sized {
    type Record: Data;

    fn into_partition(taken: Taken<Self>) -> Arc<dyn Partition<Self::Record>>;

    /// What its receiver said about it.
    fn metadata(_: &Taken<Self>) -> Option<&Arc<str>> {
        None
    }
}

impl IntoPartition for TextBlock {
    type Record = Str;

    fn into_partition(taken: Taken<Self>) -> Arc<dyn Partition<Str>> {
        Arc::new(Lines::from(taken))
    }
}

impl<T: Data> IntoPartition for TypedBlock<T> {
    type Record = T;

    fn metadata(taken: &Taken<Self>) -> Option<&Arc<str>> {
        taken.metadata()
    }

    fn into_partition(taken: Taken<Self>) -> Arc<dyn Partition<T>> {
        Arc::new(taken)
    }
}

impl<B: IntoPartition> ReceiverIngest<B> {
    /// Declares a receiver input; `make` gets its id and gives the ring's far end
    /// and the receiver.
    pub(crate) fn declare(
        graph: &Arc<Graph>,
        kind: &'static str,
        site: &'static Location<'static>,
        make: impl FnOnce(StreamId) -> (Cutter<B>, Supervisor),
    ) -> Result<DStream<B::Record>> {
        let mut declared = None;
        let stream = InputNode::declare(graph, kind, site, |stream_id, name| {
            let (cutter, supervisor) = make(stream_id);
            let (limit, budget) = (supervisor.limit.clone(), Arc::clone(&supervisor.budget));
            declared = Some(DeclaredReceiver {
                stream_id,
                name: name.to_owned(),
                supervisor,
            });
            Self {
                executor: Arc::clone(graph.executor()),
                limit,
                budget,
                ring: Mutex::new(Ring {
                    cutter,
                    blocks: Vec::new(),
                    dropped: 0,
                }),
            }
        })?;
        graph.add_receivers(declared);
        Ok(stream)
    }

    fn ring(&self) -> MutexGuard<'_, Ring<B>> {
        self.ring
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }
}

impl<B: IntoPartition> Ring<B> {
    fn cut(&mut self) {
        self.cutter.cut(&mut self.blocks);
    }
}

impl<B: IntoPartition> Ingest<B::Record> for ReceiverIngest<B> {
    fn end_block(&self) {
        self.ring().cut();
    }

    fn cut(&self) -> Cut<B::Record> {
        let mut ring = self.ring();
        ring.cut();
        let blocks = std::mem::take(&mut ring.blocks);
        let dropped = self.budget.dropped();
        let dropped_records = dropped - std::mem::replace(&mut ring.dropped, dropped);
        drop(ring);
        let records = blocks.iter().map(|block| block.records() as u64).sum();
        let metadata = blocks.iter().filter_map(B::metadata).cloned().collect();
        let partitions = blocks.into_iter().map(B::into_partition).collect();
        Cut {
            rdd: Rdd::ready(partitions, Arc::clone(&self.executor)),
            records,
            received: Received {
                rate_limit: self.limit.as_ref().and_then(|limit| limit.rate()),
                dropped_records,
                metadata,
            },
        }
    }

    fn queued(&self) {
        // There may be something now that a receiver without room can drop.
        self.budget.wake();
    }

    fn is_waiting(&self) -> bool {
        let mut ring = self.ring();
        ring.cut();
        !ring.blocks.is_empty()
    }
}
