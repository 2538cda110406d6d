//! Receiver inputs: what the cuts take from a ring.

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::Arc;

use super::logged::{Part, TakenPart};
use super::received::{How, ReceivedBlocks};
use super::restored::{Restored, RestoredPart};
use super::{Cut, Ingest, InputNode};
use crate::block::{About, Budget, Cutter, Str, Taken, TextBlock, TypedBlock};
use crate::disk::SharedBytes;
use crate::dstream::{DStream, Graph};
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::id::StreamId;
use crate::listener::Received;
use crate::rdd::pipe::Data;
use crate::rdd::{AtRest, Lines, Partition, Rdd, Reading};
use crate::receiver::log::{Logging, ReceiverLog, RestoredStream, Resume};
use crate::receiver::{RateLimit, Supervisor};
use crate::sync::engine::{Mutex, MutexGuard, lock};
use crate::time::{BatchTime, Duration};

/// A receiver that was declared, for the tracker to start.
pub(crate) struct DeclaredReceiver {
    pub(crate) stream_id: StreamId,
    pub(crate) name: String,
    pub(crate) supervisor: Supervisor,
}

/// Cuts one ring.
pub(crate) struct ReceiverIngest<B: IntoPartition> {
    executor: Arc<Executor>,
    interval: Duration,
    limit: Option<Arc<RateLimit>>,
    budget: Arc<Budget>,
    how: How<B>,
    ring: Mutex<Ring<B>>,
    restored: Mutex<Restored<B::Record>>,
}

struct Ring<B: IntoPartition> {
    cutter: Cutter<B>,
    /// Blocks of the batch that is being received.
    blocks: Vec<Arc<TakenPart<B>>>,
    /// What a cut gives, for a moment.
    taken: Vec<Taken<B>>,
    /// Records that were dropped before this batch.
    dropped: u64,
}

/// A kind of block that can be a partition of a batch.
pub(crate) trait IntoPartition: crate::block::Block + Sized {
    type Record: Data;
    /// What there is to know for reading its records.
    type Reading: Clone + Send + Sync + 'static;

    fn into_partition(
        taken: Taken<Self>,
        reading: &Self::Reading,
    ) -> Arc<dyn Partition<Self::Record>>;

    /// What is known of a block that was stored as a whole.
    fn about(_: &Taken<Self>) -> Option<&About> {
        None
    }

    /// Writes the records for the log.
    fn encode(
        taken: &Taken<Self>,
        logging: &Logging<Self::Record>,
        out: &mut Vec<u8>,
    ) -> Result<()>;

    /// What [`encode`](Self::encode) would write, if it stands there already.
    fn shared_bytes(_: &Taken<Self>) -> Option<SharedBytes> {
        None
    }

    /// Reads as many records as were written.
    fn decode(
        bytes: &[u8],
        records: u64,
        logging: &Logging<Self::Record>,
        reading: &Self::Reading,
    ) -> Result<Arc<dyn Partition<Self::Record>>>;
}

impl IntoPartition for TextBlock {
    type Record = Str;
    type Reading = Arc<Reading>;

    fn into_partition(taken: Taken<Self>, reading: &Arc<Reading>) -> Arc<dyn Partition<Str>> {
        Arc::new(Lines::taken(taken, reading))
    }

    fn encode(taken: &Taken<Self>, _: &Logging<Str>, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(taken.bytes());
        Ok(())
    }

    fn shared_bytes(taken: &Taken<Self>) -> Option<SharedBytes> {
        Some(Arc::new(taken.clone()))
    }

    fn decode(
        bytes: &[u8],
        _: u64,
        _: &Logging<Str>,
        reading: &Arc<Reading>,
    ) -> Result<Arc<dyn Partition<Str>>> {
        Ok(Arc::new(Lines::copy_of(bytes, reading)))
    }
}

impl<T: Data> IntoPartition for TypedBlock<T> {
    type Record = T;
    type Reading = ();

    fn into_partition(taken: Taken<Self>, (): &()) -> Arc<dyn Partition<T>> {
        Arc::new(taken)
    }

    fn about(taken: &Taken<Self>) -> Option<&About> {
        Some(taken.about())
    }

    fn encode(taken: &Taken<Self>, logging: &Logging<T>, out: &mut Vec<u8>) -> Result<()> {
        logging.write(taken.as_slice(), out)
    }

    fn decode(
        bytes: &[u8],
        records: u64,
        logging: &Logging<T>,
        (): &(),
    ) -> Result<Arc<dyn Partition<T>>> {
        Ok(Arc::new(AtRest::new(logging.read(bytes, records)?)))
    }
}

impl<B: IntoPartition> ReceiverIngest<B> {
    /// Declares a receiver input; `make` gets its id and name, and gives the ring's far
    /// end, how its records are read and the receiver.
    pub(crate) fn declare(
        graph: &Arc<Graph>,
        kind: &'static str,
        site: &'static Location<'static>,
        logging: &Arc<Logging<B::Record>>,
        make: impl FnOnce(StreamId, &str) -> (Cutter<B>, B::Reading, Supervisor),
    ) -> Result<DStream<B::Record>> {
        let mut declared = None;
        let stream = InputNode::declare(graph, kind, site, |stream_id, name| {
            let (cutter, reading, supervisor) = make(stream_id, name);
            let (limit, budget) = (supervisor.limit.clone(), Arc::clone(&supervisor.budget));
            declared = Some(DeclaredReceiver {
                stream_id,
                name: name.to_owned(),
                supervisor,
            });
            Self {
                executor: Arc::clone(graph.executor()),
                interval: graph.batch_interval(),
                limit,
                budget,
                how: How {
                    logging: Arc::clone(logging),
                    reading,
                },
                ring: Mutex::new(Ring {
                    cutter,
                    blocks: Vec::new(),
                    taken: Vec::new(),
                    dropped: 0,
                }),
                restored: Mutex::default(),
            }
        })?;
        graph.add_receivers(declared);
        Ok(stream)
    }

    /// The ring, with all that was published in it cut.
    fn cut_ring(&self) -> MutexGuard<'_, Ring<B>> {
        let mut ring = lock(&self.ring);
        let Ring {
            cutter,
            blocks,
            taken,
            ..
        } = &mut *ring;
        cutter.cut(taken);
        let parts = taken.drain(..);
        blocks.extend(parts.map(|taken| Arc::new(TakenPart::new(taken, &self.how.logging))));
        ring
    }

    fn restored(&self) -> MutexGuard<'_, Restored<B::Record>> {
        lock(&self.restored)
    }
}

impl<B: IntoPartition> Ingest<B::Record> for ReceiverIngest<B> {
    fn end_block(&self) {
        drop(self.cut_ring());
    }

    fn cut(&self, time: BatchTime) -> Cut<B::Record> {
        let (restored, is_new) = self.restored().take(time);
        let mut ring = self.cut_ring();
        let blocks = match is_new {
            true => std::mem::take(&mut ring.blocks),
            false => Vec::new(),
        };
        let dropped = self.budget.dropped();
        let dropped_records = dropped - std::mem::replace(&mut ring.dropped, dropped);
        drop(ring);
        let records = restored.iter().map(|part| part.records);
        let taken = blocks.iter().map(|part| part.taken.records() as u64);
        let records = records.chain(taken).sum();
        let about = |part: &Arc<TakenPart<B>>| B::about(&part.taken)?.metadata.clone();
        let metadata = restored.iter().filter_map(|part| part.metadata.clone());
        let metadata = metadata.chain(blocks.iter().filter_map(about)).collect();
        let lost = restored.iter().map(|part| Arc::clone(&part.lost)).collect();
        let partitions = restored.iter().map(|part| Arc::clone(&part.partition));
        let taken = blocks.iter().map(|part| part.taken.clone()).collect();
        let data = Arc::new(ReceivedBlocks::new(self.how.clone(), partitions, taken));
        let parts = match self.how.logging.log() {
            Some(_) => {
                let restored = restored.into_iter().map(|part| part as Arc<dyn Part>);
                let blocks = blocks.into_iter().map(|part| part as Arc<dyn Part>);
                restored.chain(blocks).collect()
            }
            None => Vec::new(),
        };
        Cut {
            rdd: Rdd::new(data, Arc::clone(&self.executor)),
            records,
            received: Received {
                rate_limit: self.limit.as_ref().and_then(|limit| limit.rate()),
                dropped_records,
                metadata,
            },
            parts,
            lost,
        }
    }

    fn queued(&self) {
        // There may be something now that a receiver without room can drop.
        self.budget.wake();
    }

    fn is_crowded(&self) -> bool {
        self.budget.is_crowded()
    }

    fn is_waiting(&self) -> bool {
        !self.restored().is_empty() || !self.cut_ring().blocks.is_empty()
    }

    fn logging(&self) -> Option<&Logging<B::Record>> {
        Some(&self.how.logging)
    }

    fn restore(
        &self,
        log: &Arc<ReceiverLog>,
        mut stream: RestoredStream,
        resume: Resume,
    ) -> Result<BTreeMap<BatchTime, Rdd<B::Record>>> {
        let part = |block| RestoredPart::new::<B>(block, log, &self.how);
        let before = std::mem::take(&mut stream.before).into_iter();
        let before = before.map(|(time, blocks)| {
            let partitions = blocks.into_iter().map(|block| part(block).partition);
            let rdd = Rdd::ready(partitions.collect(), Arc::clone(&self.executor));
            (time, rdd)
        });
        let before = before.collect();
        let restored = Restored::new(stream, resume, self.interval, part);
        // A program that cannot read its records any more is told now. Their own code runs here.
        Error::caught("reading a record", || restored.read_first())?;
        *self.restored() = restored;
        Ok(before)
    }

    fn next_restored(&self) -> Option<BatchTime> {
        self.restored().next_time()
    }

    fn needed_behind(&self, time: BatchTime) -> Option<u64> {
        let restored = self.restored();
        let needed = restored.needed_behind(time);
        if restored.takes_new(time) {
            return needed;
        }
        drop(restored);
        // What was stored meanwhile waits for a later batch.
        let ring = self.cut_ring();
        let waiting = ring.blocks.iter().filter_map(|part| part.sequence());
        waiting.chain(needed).min()
    }

    fn when_filled(&self, tell: Box<dyn Fn() + Send + Sync>) {
        self.budget.when_filled(tell);
    }

    fn waiting_parts(&self) -> Vec<Arc<dyn Part>> {
        // Otherwise they would come between a look at what waits and its note.
        if !self.restored().is_over() {
            return Vec::new();
        }
        let ring = self.cut_ring();
        let parts = ring.blocks.iter().filter(|part| part.sequence().is_none());
        parts
            .map(|part| Arc::clone(part) as Arc<dyn Part>)
            .collect()
    }
}
