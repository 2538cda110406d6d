//! Chains of narrow steps: one loop between two boundaries.
//!
//! A *boundary* is where records rest: a received block, a shuffle, an output.
//! Between two boundaries a chain of steps (`map`, `filter`, `flat_map`) is one
//! type, a [`Chain`] around a chain around a [`Source`], and runs as one loop in
//! which the compiler sees every closure. Boundaries are erased: they hand over
//! records a [`Chunk`] at a time, so a call through a pointer is paid once per
//! some hundred records.

use std::any::{Any, TypeId};
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

/// What a stream or an Rdd can hold: values that threads can share and copy.
///
/// Implemented for every such type.
pub trait Data: Clone + Send + Sync + 'static {}

impl<T: Clone + Send + Sync + 'static> Data for T {}

/// Some consecutive records at a boundary.
#[derive(Debug)]
pub enum Chunk<'c, T> {
    /// Records that others share; they are cloned.
    Shared(&'c [T]),
    /// Records that were made for this reader; they are moved out.
    Owned(&'c mut Vec<T>),
}

impl<T> Chunk<'_, T> {
    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Shared(records) => records.len(),
            Self::Owned(records) => records.len(),
        }
    }
}

/// Where a chain pushes its records.
pub trait Sink<T> {
    /// Whether the sink may become full, so that loops have to ask.
    const BOUNDED: bool = false;

    /// Takes a record.
    fn push(&mut self, record: T);

    /// Takes all that an iterator gives, or as much as there is room for.
    #[inline(always)]
    fn push_all(&mut self, mut records: impl Iterator<Item = T>) {
        if Self::BOUNDED {
            while !self.is_full()
                && let Some(record) = records.next()
            {
                self.push(record);
            }
        } else {
            // The iterator's own loop, which may be better than `next`.
            records.for_each(|record| self.push(record));
        }
    }

    /// Whether further records would be ignored.
    fn is_full(&self) -> bool {
        false
    }
}

/// A chain of narrow steps from records of type `In` to records of type `Out`.
///
/// User code names this trait only in signatures of its own that are generic
/// over a chain; everything else takes a boxed stream or Rdd.
pub trait Pipe: Send + Sync + 'static {
    /// The records at the boundary before the chain.
    type In: Data;
    /// The records behind the chain.
    type Out;

    /// Runs the chain over a chunk.
    fn feed<S: Sink<Self::Out>>(&self, chunk: Chunk<'_, Self::In>, sink: &mut S);

    /// Appends the steps of the chain, first to last.
    fn steps(&self, steps: &mut Vec<Step>);

    /// Whether each record at the boundary gives exactly one behind the chain.
    fn keeps_count(&self) -> bool {
        false
    }
}

/// A narrow operation: what a step does with each record, whatever was before.
///
/// An operation writes [`apply`](Self::apply); [`Chain`] makes a [`Pipe`] of it. It
/// is public only because the types of chains name it.
pub trait Narrow<T>: Send + Sync + 'static {
    /// The records that it gives.
    type Out;

    /// Takes a record, and pushes on what it gives for it.
    fn apply<S: Sink<Self::Out>>(&self, record: T, next: &mut S);

    /// Takes records. An operation writes this, too, if it has something better to
    /// do with many of them.
    #[inline(always)]
    fn apply_all<S: Sink<Self::Out>>(&self, mut records: impl Iterator<Item = T>, next: &mut S) {
        if S::BOUNDED {
            while !next.is_full()
                && let Some(record) = records.next()
            {
                self.apply(record, next);
            }
        } else {
            records.for_each(|record| self.apply(record, next));
        }
    }
}

/// The chain `P` with one step more.
pub struct Chain<P, O> {
    base: Arc<P>,
    operation: O,
    step: Step,
}

impl<P, O> Chain<P, O> {
    pub(crate) fn new(base: Arc<P>, operation: O, step: Step) -> Self {
        Self {
            base,
            operation,
            step,
        }
    }
}

impl<P, O> fmt::Debug for Chain<P, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({})", self.step)
    }
}

// `keeps_count` stays false: a closure that panics or counts must be called even
// for a count.
impl<P: Pipe, O: Narrow<P::Out>> Pipe for Chain<P, O> {
    type In = P::In;
    type Out = O::Out;

    #[inline(always)]
    fn feed<S: Sink<O::Out>>(&self, chunk: Chunk<'_, P::In>, sink: &mut S) {
        self.base.feed(
            chunk,
            &mut Applied {
                operation: &self.operation,
                next: sink,
            },
        );
    }

    fn steps(&self, steps: &mut Vec<Step>) {
        self.base.steps(steps);
        steps.push(self.step);
    }
}

/// A sink behind an operation.
struct Applied<'s, O, S> {
    operation: &'s O,
    next: &'s mut S,
}

impl<T, O: Narrow<T>, S: Sink<O::Out>> Sink<T> for Applied<'_, O, S> {
    const BOUNDED: bool = S::BOUNDED;

    #[inline(always)]
    fn push(&mut self, record: T) {
        self.operation.apply(record, self.next);
    }

    #[inline(always)]
    fn push_all(&mut self, records: impl Iterator<Item = T>) {
        self.operation.apply_all(records, self.next);
    }

    #[inline(always)]
    fn is_full(&self) -> bool {
        self.next.is_full()
    }
}

/// One step of a chain: what it does, and where it was declared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The operation, such as `flat_map`.
    pub name: &'static str,
    /// The place in the user's code.
    pub site: &'static Location<'static>,
}

impl Step {
    pub(crate) fn new(name: &'static str, site: &'static Location<'static>) -> Self {
        Self { name, site }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at {}:{}",
            self.name,
            self.site.file(),
            self.site.line()
        )
    }
}

/// The empty chain: the records of the boundary as they are.
pub struct Source<T>(PhantomData<fn() -> T>);

impl<T> Source<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(PhantomData))
    }
}

/// What stands before a chain, as what stands behind it, if `P` is the empty
/// chain: then it gives the same records.
pub(crate) fn as_source<P: Pipe<Out: Data>, A: 'static>(before: &dyn Any) -> Option<&A> {
    if TypeId::of::<P>() == TypeId::of::<Source<P::Out>>() {
        before.downcast_ref()
    } else {
        None
    }
}

impl<T> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

impl<T: Data> Pipe for Source<T> {
    type In = T;
    type Out = T;

    #[inline(always)]
    fn feed<S: Sink<T>>(&self, chunk: Chunk<'_, T>, sink: &mut S) {
        match chunk {
            Chunk::Shared(records) => sink.push_all(records.iter().cloned()),
            Chunk::Owned(records) => sink.push_all(records.drain(..)),
        }
    }

    fn steps(&self, _: &mut Vec<Step>) {}

    fn keeps_count(&self) -> bool {
        true
    }
}

impl<T> Sink<T> for Vec<T> {
    #[inline(always)]
    fn push(&mut self, record: T) {
        self.push(record);
    }
}

/// A sink that keeps the first `limit` records.
#[derive(Debug)]
pub(crate) struct First<T> {
    pub(crate) records: Vec<T>,
    pub(crate) limit: usize,
}

impl<T> Sink<T> for First<T> {
    const BOUNDED: bool = true;

    #[inline]
    fn push(&mut self, record: T) {
        if self.records.len() < self.limit {
            self.records.push(record);
        }
    }

    fn is_full(&self) -> bool {
        self.records.len() >= self.limit
    }
}
