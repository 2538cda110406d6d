//! A node whose batches build on each other: windows that change by what enters
//! and leaves, state by key.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::DStream;
use super::durable::{Durable, Kept, Piece, Saved, Uid};
use super::graph::Graph;
use super::node::{Control, Meta, Node, Operator, Stream};
use crate::error::{Error, ErrorKind, Result};
use crate::id::NodeId;
use crate::listener::StateInfo;
use crate::rdd::pipe::{Data, Step};
use crate::rdd::{Rdd, blame};
use crate::state::StateSize;
use crate::sync::engine::{Mutex, MutexGuard, lock};
use crate::time::{BatchTime, Duration};

/// What a stateful node does from one of its times to the next.
pub(crate) trait Advance: Send + 'static {
    /// What it gives for a time: an Rdd, or what the nodes that show parts of it
    /// make their Rdds of.
    type Output: Clone + Send + 'static;

    /// How far back, before the time that it advances to, it reads its parents.
    fn reach(&self) -> Duration {
        Duration::ZERO
    }

    /// Takes in what came up to `time`, and gives the data of that time. Called
    /// once for each time of the stream, in their order. An error leaves the state
    /// as it was.
    ///
    /// The work is done here, not when an action asks: the next time builds on it,
    /// whether this one is read or not.
    fn advance(&mut self, time: BatchTime) -> Result<Self::Output>;

    /// What it keeps from one time to the next.
    fn kept(&mut self) -> &mut dyn Kept;

    /// What it keeps is that of an earlier process.
    fn restored(&mut self) {}
}

/// Names the operation whose function panicked, or that would have kept too much.
pub(super) fn blame_step(step: Step, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Limit => Error::new(ErrorKind::Limit, step.to_string()).with_source(error),
        _ => blame(&[step], error),
    }
}

/// A node that keeps state from batch to batch.
///
/// Its data is shared with the Rdds that it gave. Whoever holds one of an earlier
/// time makes the next step copy what it changes; so a batch is kept here only as
/// long as a stream behind may ask for it again.
pub(crate) struct StatefulNode<A: Advance> {
    graph: Arc<Graph>,
    meta: Meta,
    /// What it is and where it was declared.
    name: Arc<str>,
    /// How much it keeps since it last moved on; apart, as it is asked for while others
    /// move it on.
    size: Mutex<StateSize>,
    state: Mutex<State<A>>,
}

struct State<A: Advance> {
    operator: A,
    /// The time that the operator has reached.
    reached: Option<BatchTime>,
    /// Up to here all batches are done, so far as it was told.
    done: BatchTime,
    /// What was given for each time; an error is kept too.
    memo: BTreeMap<BatchTime, Result<A::Output>>,
    /// What a time failed with that nobody asked for: told with the next one.
    missed: Option<Error>,
}

impl<A: Advance> StatefulNode<A> {
    /// Makes a node and enters it into the graph.
    pub(crate) fn declare(graph: &Arc<Graph>, meta: Meta, operator: A) -> Arc<Self> {
        let node = Arc::new(Self {
            graph: Arc::clone(graph),
            name: Step::new(meta.name, meta.site).to_string().into(),
            meta,
            size: Mutex::default(),
            state: Mutex::new(State {
                operator,
                reached: None,
                done: BatchTime::from_millis(i64::MIN),
                memo: BTreeMap::new(),
                missed: None,
            }),
        });
        graph.add_node(Arc::clone(&node) as Arc<dyn Control>);
        node
    }

    fn lock(&self) -> MutexGuard<'_, State<A>> {
        lock(&self.state)
    }

    fn note_size(&self, kept: &dyn Kept) {
        *self.size() = kept.size();
    }

    fn size(&self) -> MutexGuard<'_, StateSize> {
        lock(&self.size)
    }

    /// What was given for `time`; nothing if that is no time of this stream, is
    /// still to come, or was forgotten.
    pub(crate) fn output(&self, time: BatchTime) -> Result<Option<A::Output>> {
        // Asked for from outside, a time may be too early: the state must not run
        // ahead.
        if !self.meta.is_valid(&self.graph, time) || time > self.graph.last_cut() {
            return Ok(None);
        }
        let state = &mut *self.lock();
        self.move_on(state, time, true);
        state.memo.get(&time).cloned().transpose()
    }

    /// Takes in all times up to `time`, for somebody who asks for that one or for nobody.
    fn move_on(&self, state: &mut State<A>, time: BatchTime, is_asked: bool) {
        let forgotten = state.done - self.meta.remember();
        let mut next = state.reached.unwrap_or(self.graph.zero()) + self.meta.slide;
        while next <= time {
            let is_asked = is_asked && next == time;
            // Times that nobody asked for count too; they are kept only if a stream
            // behind can still ask, as a copy of the state is the price. That may be
            // one in an earlier batch, too, which waits or runs beside this one.
            state.reached = Some(next);
            let output = catch_unwind(AssertUnwindSafe(|| state.operator.advance(next)))
                .unwrap_or_else(|payload| {
                    let error = Error::from_panic(payload, self.meta.name);
                    Err(error.in_batch(next.as_millis()).at(self.meta.site))
                });
            self.note_size(state.operator.kept());
            if let Err(error) = &output {
                state.missed.get_or_insert_with(|| error.clone());
            }
            let output = match state.missed.take_if(|_| is_asked) {
                Some(error) => Err(error),
                None => output,
            };
            if is_asked || next > forgotten {
                state.memo.insert(next, output);
            }
            next = next + self.meta.slide;
        }
    }
}

impl<A: Advance> Control for StatefulNode<A> {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn reach(&self) -> Duration {
        self.lock().operator.reach()
    }

    fn clear(&self, done: BatchTime) {
        let mut state = self.lock();
        state.done = state.done.max(done);
        // Who reads it may have failed before they asked for this time, and what it needs for
        // that is about to go.
        if let Some(due) = self.meta.due(&self.graph, done) {
            self.move_on(&mut state, due, false);
        }
        let old = self.meta.take_old(&mut state.memo, done);
        drop(state);
        drop(old);
    }

    fn durable(&self) -> Option<&dyn Durable> {
        Some(self)
    }

    fn state(&self) -> Option<StateInfo> {
        let StateSize { keys, bytes } = *self.size();
        Some(StateInfo::new(&self.name, keys, bytes))
    }
}

impl<A: Advance> Durable for StatefulNode<A> {
    fn node(&self) -> NodeId {
        self.meta.id
    }

    fn uid(&self) -> &Uid {
        &self.meta.uid
    }

    fn kind(&self) -> &'static str {
        self.lock().operator.kept().kind()
    }

    fn keys(&self) -> Option<u64> {
        Some(self.size().keys)
    }

    fn offer_codec(&self, codec: &dyn Any) -> bool {
        self.lock().operator.kept().offer_codec(codec)
    }

    fn can_be_saved(&self) -> bool {
        self.lock().operator.kept().can_be_saved()
    }

    fn begin(&self) {
        self.lock().operator.kept().begin();
    }

    fn save(&self, time: BatchTime, all: bool) -> Result<Saved> {
        // Nobody may have asked for this time yet. If it fails, that is told to who
        // does.
        let _ = self.output(time);
        self.lock().operator.kept().save(time, all)
    }

    fn begin_behind(&self, time: BatchTime) {
        let mut state = self.lock();
        state.reached = Some(time);
        state.done = time;
    }

    fn restore(&self, time: BatchTime, pieces: Vec<Piece>) -> Result<()> {
        self.begin_behind(time);
        let mut state = self.lock();
        state.operator.kept().restore(time, pieces)?;
        self.note_size(state.operator.kept());
        state.operator.restored();
        Ok(())
    }
}

impl<T: Data, A: Advance<Output = Rdd<T>>> Stream<T> for StatefulNode<A> {
    fn rdd(&self, time: BatchTime) -> Result<Option<Rdd<T>>> {
        if !self.meta.is_valid(&self.graph, time) {
            return Ok(None);
        }
        // Too early or forgotten: as a time of an input would be.
        let output = self.output(time)?;
        Ok(Some(output.unwrap_or_else(|| {
            Rdd::empty(Arc::clone(self.graph.executor()))
        })))
    }
}

/// A stream that shows a part of what a stateful node gave.
pub(crate) struct View<A: Advance, T: Data> {
    node: Arc<StatefulNode<A>>,
    part: fn(A::Output) -> Option<Rdd<T>>,
}

impl<A: Advance, T: Data> View<A, T> {
    /// Declares a stream of the parts; where there is none it gives no Rdd.
    pub(crate) fn declare(
        node: &Arc<StatefulNode<A>>,
        name: &'static str,
        part: fn(A::Output) -> Option<Rdd<T>>,
    ) -> DStream<T> {
        let (graph, of) = (&node.graph, &node.meta);
        let parent = Arc::clone(node) as Arc<dyn Control>;
        let meta = Meta::new(graph, name, of.site, of.slide, vec![parent]);
        let view = Self {
            node: Arc::clone(node),
            part,
        };
        DStream::from_node(Arc::clone(graph), Node::declare(graph, meta, view))
    }
}

impl<A: Advance, T: Data> Operator for View<A, T> {
    type Item = T;

    fn compute(&self, time: BatchTime) -> Result<Option<Rdd<T>>> {
        Ok(match self.node.output(time)? {
            Some(output) => (self.part)(output),
            // As a time of an input would be.
            None => Some(Rdd::empty(Arc::clone(self.node.graph.executor()))),
        })
    }

    fn durable(&self) -> Option<&dyn Durable> {
        Some(&*self.node)
    }
}
