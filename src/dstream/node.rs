//! A node of the graph: one boundary over time, with a memo per batch time.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::Arc;

use super::durable::{Durable, Uid};
use super::graph::Graph;
use crate::error::Result;
use crate::id::NodeId;
use crate::listener::StateInfo;
use crate::rdd::Rdd;
use crate::rdd::pipe::Data;
use crate::sync::engine::{Mutex, MutexGuard, lock, thread_local};
use crate::time::{BatchTime, Duration};

/// What the graph does with every node.
pub(crate) trait Control: Send + Sync {
    fn meta(&self) -> &Meta;

    /// How far back, before the time that it is asked for, the node reads its
    /// parents.
    fn reach(&self) -> Duration {
        Duration::ZERO
    }

    /// Forgets what no later batch needs, as all batches up to `done` ended.
    fn clear(&self, done: BatchTime);

    /// The node behind this one that keeps something from batch to batch, or itself.
    fn durable(&self) -> Option<&dyn Durable> {
        None
    }

    /// How much the node itself keeps by key, if it does.
    fn state(&self) -> Option<StateInfo> {
        None
    }
}

/// A node that gives records of type `T`.
pub(crate) trait Stream<T>: Control {
    /// The data at `time`; nothing if that is no time of this stream.
    fn rdd(&self, time: BatchTime) -> Result<Option<Rdd<T>>>
    where
        T: Data;
}

/// What is known of any node.
pub(crate) struct Meta {
    pub(crate) id: NodeId,
    pub(crate) name: &'static str,
    pub(crate) site: &'static Location<'static>,
    pub(crate) slide: Duration,
    pub(crate) parents: Vec<Arc<dyn Control>>,
    pub(crate) uid: Uid,
    demand: Mutex<Demand>,
}

/// What the streams behind a node, and the context, ask of it.
#[derive(Clone, Copy, Default)]
struct Demand {
    /// How long before the present a batch may still be asked for.
    remember: Duration,
    /// The longest slide behind the node: so long it may go without being asked.
    asked_every: Duration,
    /// How long before a checkpoint a batch may be that is asked for behind it.
    history: Duration,
    /// There is an output operation behind the node, or checkpoints save what it keeps.
    is_read: bool,
}

impl Demand {
    /// How late a node may be asked for a batch.
    fn late(&self, slide: Duration) -> Duration {
        self.asked_every.saturating_sub(slide)
    }
}

impl Meta {
    pub(crate) fn new(
        graph: &Graph,
        name: &'static str,
        site: &'static Location<'static>,
        slide: Duration,
        parents: Vec<Arc<dyn Control>>,
    ) -> Self {
        let id = graph.next_node();
        Self {
            id,
            name,
            site,
            slide,
            parents,
            uid: Uid::default(),
            demand: Mutex::default(),
        }
    }

    fn demand(&self) -> MutexGuard<'_, Demand> {
        lock(&self.demand)
    }

    /// How long before the present a batch may still be asked for.
    pub(crate) fn remember(&self) -> Duration {
        self.demand().remember
    }

    /// How long before a checkpoint a batch may be that streams behind ask for after a
    /// restart, and how long that may take until they do.
    pub(crate) fn history(&self) -> (Duration, Duration) {
        let demand = self.demand();
        (demand.history, demand.asked_every.max(self.slide))
    }

    /// Keeps its data for `least`, and tells its parents how long theirs is needed
    /// by a node that reads `reach` back. All children must have done so before. One
    /// that `is_saved` by checkpoints needs nothing from before them.
    ///
    /// A parent's batch has to be there when the node is first asked for its own
    /// of that time; then the node keeps what it needs. So what counts is how late
    /// it may be asked, not how long it remembers.
    pub(crate) fn pass_demand(&self, least: Duration, reach: Duration, is_saved: bool) {
        let own = {
            let mut demand = self.demand();
            demand.remember = demand.remember.max(least);
            *demand
        };
        let history = match is_saved {
            true => Duration::ZERO,
            false => own.history.saturating_add(reach),
        };
        for parent in &self.parents {
            let mut demand = parent.meta().demand();
            let needed = own.late(self.slide).saturating_add(reach);
            demand.remember = demand.remember.max(needed);
            demand.asked_every = demand.asked_every.max(own.asked_every.max(self.slide));
            demand.history = demand.history.max(history);
            demand.is_read |= own.is_read;
        }
    }

    /// An output operation reads the node's data, or checkpoints do.
    pub(crate) fn set_read(&self) {
        self.demand().is_read = true;
    }

    /// The latest time that a node which is read must have come to before its parents forget
    /// what they may, as all batches up to `done` ended.
    pub(crate) fn due(&self, graph: &Graph, done: BatchTime) -> Option<BatchTime> {
        let demand = *self.demand();
        let (zero, until) = (graph.zero(), done.min(graph.last_cut()));
        let due = (until - demand.late(self.slide)).floor_from(zero, self.slide);
        (demand.is_read && due > zero).then_some(due)
    }

    /// Takes from a table of batches what no later batch needs, as all up to
    /// `done` ended. To be dropped behind the table's lock: freeing a batch can
    /// take a while.
    pub(crate) fn take_old<V>(
        &self,
        table: &mut BTreeMap<BatchTime, V>,
        done: BatchTime,
    ) -> BTreeMap<BatchTime, V> {
        let until = done - self.remember();
        let kept = table.split_off(&(until + Duration::from_millis(1)));
        std::mem::replace(table, kept)
    }

    /// Whether the stream has data at `time` at all: after the zero time, once per
    /// slide.
    pub(crate) fn is_valid(&self, graph: &Graph, time: BatchTime) -> bool {
        let zero = graph.zero();
        time > zero && time.is_on_grid(zero, self.slide)
    }
}

/// What a derived node computes.
pub(crate) trait Operator: Send + Sync + 'static {
    type Item: Data;

    /// How far back, before the time that it is asked for, it reads its parents.
    fn reach(&self) -> Duration {
        Duration::ZERO
    }

    /// The data of one batch; cheap, as an Rdd is lazy.
    fn compute(&self, time: BatchTime) -> Result<Option<Rdd<Self::Item>>>;

    /// See [`Control::durable`].
    fn durable(&self) -> Option<&dyn Durable> {
        None
    }
}

thread_local! {
    /// The graph and the number of the node that this thread computes, the
    /// innermost one if a node asks others.
    static COMPUTING: Cell<Option<(*const Graph, NodeId)>> = const { Cell::new(None) };
}

/// Marks this thread as computing a node until it is dropped.
struct Computing {
    outer: Option<(*const Graph, NodeId)>,
}

impl Computing {
    fn enter(graph: &Arc<Graph>, node: NodeId) -> Self {
        let outer = COMPUTING.with(|computing| computing.replace(Some((Arc::as_ptr(graph), node))));
        Self { outer }
    }
}

impl Drop for Computing {
    fn drop(&mut self) {
        COMPUTING.with(|computing| computing.set(self.outer));
    }
}

/// Whether this thread may ask the node for a batch. The code of an operator may
/// ask only for nodes that were declared before its own: whoever computes holds
/// locks of nodes, and takes them from later ones to earlier ones.
pub(crate) fn may_ask(graph: &Arc<Graph>, node: NodeId) -> bool {
    COMPUTING
        .with(Cell::get)
        .is_none_or(|(inside, computed)| inside == Arc::as_ptr(graph) && node < computed)
}

/// A derived node: an operator, and the Rdds that it gave.
pub(crate) struct Node<O: Operator> {
    graph: Arc<Graph>,
    meta: Meta,
    operator: O,
    memo: Mutex<Memo<O::Item>>,
}

/// What was computed for each time; nothing where the stream gives nothing. An
/// error is kept too: an operator runs once per batch, whoever asks.
type Memo<T> = BTreeMap<BatchTime, Result<Option<Rdd<T>>>>;

impl<O: Operator> Node<O> {
    /// Makes a node and enters it into the graph.
    pub(crate) fn declare(graph: &Arc<Graph>, meta: Meta, operator: O) -> Arc<Self> {
        let node = Arc::new(Self {
            graph: Arc::clone(graph),
            meta,
            operator,
            memo: Mutex::default(),
        });
        graph.add_node(Arc::clone(&node) as Arc<dyn Control>);
        node
    }

    fn compute(&self, time: BatchTime) -> Result<Option<Rdd<O::Item>>> {
        let _computing = Computing::enter(&self.graph, self.meta.id);
        self.operator.compute(time)
    }

    fn memo(&self) -> MutexGuard<'_, Memo<O::Item>> {
        lock(&self.memo)
    }
}

impl<O: Operator> Control for Node<O> {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn reach(&self) -> Duration {
        self.operator.reach()
    }

    fn clear(&self, done: BatchTime) {
        let old = self.meta.take_old(&mut self.memo(), done);
        drop(old);
    }

    fn durable(&self) -> Option<&dyn Durable> {
        self.operator.durable()
    }
}

impl<O: Operator> Stream<O::Item> for Node<O> {
    fn rdd(&self, time: BatchTime) -> Result<Option<Rdd<O::Item>>> {
        if !self.meta.is_valid(&self.graph, time) {
            return Ok(None);
        }
        if time > self.graph.last_cut() {
            // Asked for from outside, too early: what is there now must not be
            // taken for the batch that will be cut.
            return self.compute(time);
        }
        // Held while computing, so that two jobs get the same Rdd; computing
        // asks only parents, so locks are taken from child to parent.
        let mut memo = self.memo();
        if let Some(rdd) = memo.get(&time) {
            return rdd.clone();
        }
        let rdd = self.compute(time);
        memo.insert(time, rdd.clone());
        rdd
    }
}
