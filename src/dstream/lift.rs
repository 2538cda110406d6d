//! Operations on batches, lifted over time: the nodes of most operators.

use std::panic::Location;
use std::sync::Arc;

use super::durable::Durable;
use super::{DStream, Meta, Node, Operator, check_like};
use crate::error::{Error, Result};
use crate::rdd::pipe::{Data, Pipe};
use crate::rdd::{Rdd, Step};
use crate::time::BatchTime;

impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// A node that applies an operation to each batch on its own; where there is
    /// none, it has none either.
    ///
    /// # Panics
    /// If the context was started.
    pub(super) fn lift<U, F>(
        &self,
        name: &'static str,
        site: &'static Location<'static>,
        f: F,
    ) -> DStream<U>
    where
        U: Data,
        F: Fn(Rdd<T, P>, BatchTime) -> Result<Rdd<U>> + Send + Sync + 'static,
    {
        self.lift_as(Step::new(name, site), Gap::Passed, f)
    }

    /// As [`lift`](Self::lift), for a node that only shows in another way what this
    /// stream has: if that keeps something, it is known by the name of this node.
    pub(super) fn shown<U, F>(
        &self,
        name: &'static str,
        site: &'static Location<'static>,
        f: F,
    ) -> DStream<U>
    where
        U: Data,
        F: Fn(Rdd<T, P>, BatchTime) -> Result<Rdd<U>> + Send + Sync + 'static,
    {
        self.lifted(Step::new(name, site), Gap::Passed, true, f)
    }

    /// As [`lift`](Self::lift), where `gap` tells what happens at a time at which
    /// this stream has no batch.
    pub(super) fn lift_as<U, F>(&self, step: Step, gap: Gap, f: F) -> DStream<U>
    where
        U: Data,
        F: Fn(Rdd<T, P>, BatchTime) -> Result<Rdd<U>> + Send + Sync + 'static,
    {
        self.lifted(step, gap, false, f)
    }

    fn lifted<U, F>(&self, step: Step, gap: Gap, is_shown: bool, f: F) -> DStream<U>
    where
        U: Data,
        F: Fn(Rdd<T, P>, BatchTime) -> Result<Rdd<U>> + Send + Sync + 'static,
    {
        self.graph.assert_open(step.site);
        let (slide, parents) = (self.slide_interval(), vec![self.control()]);
        let meta = Meta::new(&self.graph, step.name, step.site, slide, parents);
        let lifted = Lifted {
            parent: self.clone(),
            step,
            gap,
            is_shown,
            f,
        };
        let node = Node::declare(&self.graph, meta, lifted);
        DStream::from_node(Arc::clone(&self.graph), node)
    }

    /// A node that applies an operation to the batches that two streams have at
    /// the same time.
    pub(super) fn lift_with<U, Q, V, F>(
        &self,
        other: &DStream<U, Q>,
        step: Step,
        f: F,
    ) -> Result<DStream<V>>
    where
        U: Data,
        Q: Pipe<Out = U>,
        V: Data,
        F: Fn(Rdd<T, P>, Rdd<U, Q>, BatchTime) -> Result<Rdd<V>> + Send + Sync + 'static,
    {
        let (graph, slide) = (self.graph(), self.slide_interval());
        graph.check_open(step.site)?;
        check_like(step.name, graph, slide, other, step.site)?;
        let parents = vec![self.control(), other.control()];
        let meta = Meta::new(graph, step.name, step.site, slide, parents);
        let paired = Paired {
            parents: (self.clone(), other.clone()),
            step,
            f,
        };
        let node = Node::declare(graph, meta, paired);
        Ok(DStream::from_node(Arc::clone(graph), node))
    }
}

/// Runs user code that makes an Rdd, in `transform` and its like. What goes wrong
/// in it has no place of its own yet; a parent's error has one already.
pub(super) fn guarded<T>(
    step: Step,
    time: BatchTime,
    make: impl FnOnce() -> Result<T>,
) -> Result<T> {
    Error::caught(step.name, make).map_err(|error| error.in_batch(time.as_millis()).at(step.site))
}

/// What a stream makes of a time at which its parent has no batch.
#[derive(Clone, Copy)]
pub(super) enum Gap {
    /// It has none either.
    Passed,
    /// An error.
    Refused,
}

/// See [`DStream::lift`].
struct Lifted<T: Data, P: Pipe<Out = T>, F> {
    parent: DStream<T, P>,
    step: Step,
    gap: Gap,
    is_shown: bool,
    f: F,
}

impl<T, P, U, F> Operator for Lifted<T, P, F>
where
    T: Data,
    P: Pipe<Out = T>,
    U: Data,
    F: Fn(Rdd<T, P>, BatchTime) -> Result<Rdd<U>> + Send + Sync + 'static,
{
    type Item = U;

    fn compute(&self, time: BatchTime) -> Result<Option<Rdd<U>>> {
        let rdd = match self.gap {
            Gap::Passed => self.parent.at(time)?,
            Gap::Refused => Some(self.parent.at_or_error(self.step.name, time)?),
        };
        rdd.map(|rdd| guarded(self.step, time, || (self.f)(rdd, time)))
            .transpose()
    }

    fn durable(&self) -> Option<&dyn Durable> {
        self.parent.node.durable().filter(|_| self.is_shown)
    }
}

/// See [`DStream::lift_with`].
struct Paired<T: Data, P: Pipe<Out = T>, U: Data, Q: Pipe<Out = U>, F> {
    parents: (DStream<T, P>, DStream<U, Q>),
    step: Step,
    f: F,
}

impl<T, P, U, Q, V, F> Operator for Paired<T, P, U, Q, F>
where
    T: Data,
    P: Pipe<Out = T>,
    U: Data,
    Q: Pipe<Out = U>,
    V: Data,
    F: Fn(Rdd<T, P>, Rdd<U, Q>, BatchTime) -> Result<Rdd<V>> + Send + Sync + 'static,
{
    type Item = V;

    fn compute(&self, time: BatchTime) -> Result<Option<Rdd<V>>> {
        let one = self.parents.0.at_or_error(self.step.name, time)?;
        let two = self.parents.1.at_or_error(self.step.name, time)?;
        guarded(self.step, time, || (self.f)(one, two, time)).map(Some)
    }
}
