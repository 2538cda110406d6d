//! A node whose batches build on each other: windows that change by what enters
//! and leaves, state by key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::graph::Graph;
use super::node::{Control, Meta, Stream};
use crate::error::Result;
use crate::rdd::Rdd;
use crate::rdd::pipe::Data;
use crate::time::{BatchTime, Duration};

/// What a stateful node does from one of its times to the next.
pub(crate) trait Advance: Send + 'static {
    type Item: Data;

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
    fn advance(&mut self, time: BatchTime) -> Result<Rdd<Self::Item>>;
}

/// A node that keeps state from batch to batch.
///
/// Its data is shared with the Rdds that it gave. Whoever holds one of an earlier
/// time makes the next step copy what it changes; so a batch is kept here only as
/// long as a stream behind may ask for it again.
pub(crate) struct StatefulNode<A: Advance> {
    graph: Arc<Graph>,
    meta: Meta,
    state: Mutex<State<A>>,
}

struct State<A: Advance> {
    operator: A,
    /// The time that the operator has reached.
    reached: Option<BatchTime>,
    /// What was given for each time; an error is kept too.
    memo: BTreeMap<BatchTime, Result<Rdd<A::Item>>>,
}

impl<A: Advance> StatefulNode<A> {
    /// Makes a node and enters it into the graph.
    pub(crate) fn declare(graph: &Arc<Graph>, meta: Meta, operator: A) -> Arc<Self> {
        let node = Arc::new(Self {
            graph: Arc::clone(graph),
            meta,
            state: Mutex::new(State {
                operator,
                reached: None,
                memo: BTreeMap::new(),
            }),
        });
        graph.add_node(Arc::clone(&node) as Arc<dyn Control>);
        node
    }

    fn state(&self) -> MutexGuard<'_, State<A>> {
        self.state
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }

    fn nothing(&self) -> Rdd<A::Item> {
        Rdd::ready(Vec::new().into(), Arc::clone(self.graph.executor()))
    }
}

impl<A: Advance> Control for StatefulNode<A> {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn reach(&self) -> Duration {
        self.state().operator.reach()
    }

    fn clear(&self, done: BatchTime) {
        let old = self.meta.take_old(&mut self.state().memo, done);
        drop(old);
    }
}

impl<A: Advance> Stream<A::Item> for StatefulNode<A> {
    fn rdd(&self, time: BatchTime) -> Result<Option<Rdd<A::Item>>> {
        if !self.meta.is_valid(&self.graph, time) {
            return Ok(None);
        }
        if time > self.graph.last_cut() {
            // Asked for from outside, too early: the state must not run ahead.
            return Ok(Some(self.nothing()));
        }
        let state = &mut *self.state();
        let remember = self.meta.remember();
        let mut next = state.reached.unwrap_or(self.graph.zero()) + self.meta.slide;
        while next <= time {
            // Times that nobody asked for count too; they are kept only if a stream
            // behind can still ask, as a copy of the state is the price.
            state.reached = Some(next);
            let rdd = state.operator.advance(next);
            if next == time || time - next <= remember {
                state.memo.insert(next, rdd);
            }
            next = next + self.meta.slide;
        }
        match state.memo.get(&time) {
            Some(rdd) => rdd.clone().map(Some),
            // Forgotten, as a time of an input would be.
            None => Ok(Some(self.nothing())),
        }
    }
}
