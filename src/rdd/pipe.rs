//! Chains of narrow steps: one loop between two boundaries.
//!
//! A *boundary* is where records rest: a received block, a shuffle, an output.
//! Between two boundaries a chain of steps (`map`, `filter`, `flat_map`) is one
//! type, a [`Pipe`] around a pipe around a [`Source`], and runs as one loop in
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

/// Where a chain pushes its records.
pub trait Sink<T> {
    /// Whether the sink may become full, so that loops have to ask.
    const BOUNDED: bool = false;

    /// Takes a record.
    fn push(&mut self, record: T);

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

/// One step of a chain: what it does, and where it was declared.
#[derive(Clone, Copy)]
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
            Chunk::Shared(records) => {
                for record in records {
                    if S::BOUNDED && sink.is_full() {
                        return;
                    }
                    sink.push(record.clone());
                }
            }
            Chunk::Owned(records) => {
                for record in records.drain(..) {
                    if S::BOUNDED && sink.is_full() {
                        return;
                    }
                    sink.push(record);
                }
            }
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
