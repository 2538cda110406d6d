//! The node of a window by key that changes by what enters and leaves.

use std::any::Any;
use std::collections::VecDeque;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::panic::Location;
use std::sync::{Arc, Mutex};

use super::Extent;
use crate::codec::RecordCodec;
use crate::codec::records::{RecordReader, RecordWriter, joined};
use crate::dstream::durable::{Keep, Kept, NewPiece, Piece, Saved, no_codec};
use crate::dstream::stateful::{Advance, StatefulNode};
use crate::dstream::{DStream, Meta};
use crate::error::{Error, Result};
use crate::rdd::pipe::{Chunk, Data, Pipe, Sink, Step};
use crate::rdd::{
    Aggregate, Combine, HashPartitioner, Partition, Partitions, Rdd, Scatter, at_rest,
};
use crate::state::{SlidingWindow, StateSize};
use crate::sync::lock;
use crate::time::{BatchTime, Duration};

/// One partition of the window.
type Window<K, V> = Box<dyn SlidingWindow<K, V>>;

/// A partition, and how far it has come with the step that it takes.
struct Part<K, V> {
    window: Window<K, V>,
    step: Progress,
}

/// Nothing, unless a panic has cut the step off.
#[derive(Default)]
struct Progress {
    is_begun: bool,
    /// Panes that have left.
    left: usize,
    has_entered: bool,
}

impl<K, V> Part<K, V> {
    fn new(window: Window<K, V>) -> Self {
        Self {
            window,
            step: Progress::default(),
        }
    }

    /// Lets the oldest panes go, so many, and takes a new one in. Goes on where it was if
    /// it is tried again.
    fn slide(&mut self, leave: usize, pane: &dyn Partition<(K, V)>) -> Result<()> {
        let Self { window, step } = self;
        if step.is_begun {
            window.mend();
        }
        step.is_begun = true;
        while step.left < leave {
            window.leave();
            step.left += 1;
        }
        if !step.has_entered {
            window.enter(pane)?;
            step.has_entered = true;
        }
        window.settle();
        *step = Progress::default();
        Ok(())
    }
}

/// Slides a window over a stream of pairs.
///
/// The stream is reduced by key pane by pane; a pane is what enters and leaves as
/// one. Then each partition of the window takes its part of the pane in, all at
/// the same time.
pub(super) struct Sliding<K: Data, V: Data, P: Pipe<Out = (K, V)>, C: Combine<V>, M> {
    parent: DStream<(K, V), P>,
    aggregate: Aggregate<K, V, C>,
    extent: Extent,
    pane: Duration,
    step: Step,
    make: M,
    parts: Vec<Mutex<Part<K, V>>>,
    /// Panes in the window: when each one ends.
    panes: VecDeque<BatchTime>,
    /// The end of the latest pane that was taken in.
    reached: Option<BatchTime>,
    /// The latest pane that could not be taken in, and why.
    failed: Option<(BatchTime, Error)>,
    codec: Option<RecordCodec<(K, V)>>,
    /// Panes since the last checkpoint, if checkpoints are made. An error stays
    /// until the pane that cannot be written is over.
    unsaved: Option<Vec<(BatchTime, Result<Vec<u8>>)>>,
}

impl<K, V, P, C, M> Sliding<K, V, P, C, M>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
    C: Combine<V, Combined = V>,
    M: Fn() -> Window<K, V> + Send + 'static,
{
    /// Declares the node; `combine` reduces a pane, and `make` gives an empty
    /// partition of the window.
    pub(super) fn declare(
        parent: &DStream<(K, V), P>,
        extent: Extent,
        combine: C,
        partitions: usize,
        name: &'static str,
        site: &'static Location<'static>,
        make: M,
    ) -> DStream<(K, V)> {
        let graph = Arc::clone(parent.graph());
        let meta = Meta::new(&graph, name, site, extent.slide, vec![parent.control()]);
        let step = Step::new(name, site);
        let mut operator = Self {
            parent: parent.clone(),
            aggregate: Aggregate::new(combine, partitions, step),
            pane: extent.pane(),
            extent,
            step,
            make,
            parts: Vec::new(),
            panes: VecDeque::new(),
            reached: None,
            failed: None,
            codec: None,
            unsaved: None,
        };
        operator.reset();
        let node = StatefulNode::declare(&graph, meta, operator);
        DStream::from_node(graph, node)
    }

    /// An empty window.
    fn reset(&mut self) {
        self.panes.clear();
        self.parts = (0..self.aggregate.partitions())
            .map(|_| Mutex::new(Part::new((self.make)())))
            .collect();
    }

    /// The pane that ends at `end`, reduced by key, as far as the window asks for that.
    fn reduced(&self, end: BatchTime) -> Result<Partitions<(K, V)>> {
        let batches = self.parent.batches_until(end, self.pane)?;
        let executor = self.parent.graph().executor();
        match Rdd::union_of_batches(batches) {
            Some(batches) => executor.stage(|| match self.takes_repeats() {
                true => self.aggregate.run_apart(&batches, executor),
                false => self.aggregate.run(&batches, executor),
            }),
            // The stream has no batches at these times.
            None => Ok(at_rest(self.parts.iter().map(|_| Vec::new()))),
        }
    }

    /// Whether a key may come several times in a pane.
    fn takes_repeats(&self) -> bool {
        let first = self.parts.first();
        first.is_some_and(|part| lock(part).window.takes_repeats())
    }

    /// Lets the panes go that are over at `time`, and takes the pane that ends
    /// there in.
    fn take_in(&mut self, end: BatchTime, pane: &Partitions<(K, V)>) -> Result<()> {
        let over = end - self.extent.length;
        let mut leave = 0;
        while self.panes.front().is_some_and(|&oldest| oldest <= over) {
            self.panes.pop_front();
            leave += 1;
        }
        let entries = pane.iter().map(|part| part.weight()).sum::<usize>();
        let leaving = self
            .parts
            .iter()
            .map(|part| lock(part).window.leaving())
            .sum::<usize>();
        let parts = &self.parts;
        let executor = self.parent.graph().executor();
        executor.map(parts.len(), entries + leaving, |i| {
            lock(&parts[i]).slide(leave, &*pane[i])
        })?;
        self.panes.push_back(end);
        Ok(())
    }

    /// As [`take_in`](Self::take_in), unless the window would outgrow its bound.
    fn advance_to(&mut self, end: BatchTime, pane: &Partitions<(K, V)>) -> Result<()> {
        let before = self.size();
        self.take_in(end, pane)?;
        let bound = self.parent.graph().state_bound();
        bound.check(before, self.size())
    }

    /// Keeps the bytes of a pane for the next checkpoint.
    fn note(&mut self, end: BatchTime, pane: &Partitions<(K, V)>) {
        let (Some(codec), Some(unsaved)) = (self.codec, &mut self.unsaved) else {
            return;
        };
        let weight = pane.iter().map(|part| part.weight()).sum();
        let executor = self.parent.graph().executor();
        let parts = executor.map(pane.len(), weight, |i| write_all(&*pane[i], codec));
        unsaved.push((end, parts.and_then(|parts| joined(&[], &parts))));
        // Those that are over before they were ever saved.
        let over = end - self.extent.length;
        unsaved.retain(|&(end, _)| end > over);
    }

    fn result(&self) -> Rdd<(K, V)> {
        let rows = self
            .parts
            .iter()
            .map(|part| lock(part).window.rows() as Arc<dyn Partition<(K, V)>>);
        let executor = Arc::clone(self.parent.graph().executor());
        Rdd::ready(rows.collect(), executor)
    }
}

impl<K, V, P, C, M> Advance for Sliding<K, V, P, C, M>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
    C: Combine<V, Combined = V>,
    M: Fn() -> Window<K, V> + Send + 'static,
{
    type Output = Rdd<(K, V)>;

    fn reach(&self) -> Duration {
        self.extent
            .slide
            .saturating_sub(self.parent.slide_interval())
    }

    fn advance(&mut self, time: BatchTime) -> Result<Self::Output> {
        let mut end = self.reached.unwrap_or(time - self.extent.slide);
        while end < time {
            end = end + self.pane;
            self.reached = Some(end);
            let taken = self.reduced(end).and_then(|pane| {
                self.advance_to(end, &pane)?;
                self.note(end, &pane);
                Ok(())
            });
            if let Err(error) = taken {
                // No window with this pane can be told, and when it is over, so are
                // all that came before it.
                let error = Error::new(
                    error.kind(),
                    format!("{}: the part of the window up to {end} failed", self.step),
                )
                .with_source(error);
                self.failed = Some((end, error));
                self.reset();
            }
        }
        match &self.failed {
            Some((end, error)) if *end > time - self.extent.length => Err(error.clone()),
            _ => Ok(self.result()),
        }
    }

    fn kept(&mut self) -> &mut dyn Kept {
        self
    }
}

/// What is saved are the panes. A pane that failed is told of in none, so it and
/// those before it are gone in a window that was restored, as if they had been empty.
impl<K, V, P, C, M> Kept for Sliding<K, V, P, C, M>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
    C: Combine<V, Combined = V>,
    M: Fn() -> Window<K, V> + Send + 'static,
{
    fn kind(&self) -> &'static str {
        "window by key"
    }

    fn size(&self) -> StateSize {
        self.parts.iter().map(|part| lock(part).window.size()).sum()
    }

    fn offer_codec(&mut self, codec: &dyn Any) -> bool {
        let found = codec.downcast_ref().copied();
        self.codec = found.or(self.codec);
        found.is_some()
    }

    fn can_be_saved(&self) -> bool {
        self.codec.is_some()
    }

    fn begin(&mut self) {
        self.unsaved = Some(Vec::new());
    }

    fn save(&mut self, _time: BatchTime, _all: bool) -> Result<Saved> {
        let mut pieces = Vec::new();
        if let Some(unsaved) = &mut self.unsaved {
            if let Some(error) = unsaved.iter().find_map(|(_, pane)| pane.as_ref().err()) {
                return Err(error.clone());
            }
            let panes = unsaved.drain(..);
            pieces.extend(panes.filter_map(|(time, bytes)| {
                let bytes = bytes.ok()?;
                Some(NewPiece::new(time, bytes))
            }));
        }
        let oldest = self.panes.front();
        Ok(Saved {
            keep: oldest.map_or(Keep::None, |&oldest| Keep::From(oldest)),
            pieces,
        })
    }

    fn restore(&mut self, time: BatchTime, pieces: Vec<Piece>) -> Result<()> {
        let codec = self.codec.ok_or_else(no_codec)?;
        self.reset();
        for piece in pieces {
            let partitioner = HashPartitioner::new(self.parts.len());
            let mut pane = Scatter::new(self.parts.len(), partitioner.by_key());
            let mut bytes = &piece.bytes[..];
            let mut records = RecordReader::new(codec, &mut bytes)?;
            records.read_all(bytes, |record| pane.push(record))?;
            self.take_in(piece.time, &at_rest(pane.into_buckets()))?;
        }
        self.reached = Some(time);
        Ok(())
    }
}

fn write_all<T: Data>(part: &dyn Partition<T>, codec: RecordCodec<T>) -> Result<RecordWriter<T>> {
    let mut out = RecordWriter::new(codec);
    let mut written = Ok(());
    part.chunks(&mut |chunk| {
        let records = match chunk {
            Chunk::Shared(records) => records,
            Chunk::Owned(records) => records,
        };
        written = records.iter().try_for_each(|record| out.write(record));
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    written.map(|()| out)
}
