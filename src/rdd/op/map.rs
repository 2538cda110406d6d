//! `map`: one record out for each record in.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::rdd::Rdd;
use crate::rdd::pipe::{Chunk, Data, Pipe, Sink, Step};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Applies `f` to each record. Narrow: runs in the loop of its chain.
    #[track_caller]
    pub fn map<U: Data, F>(self, f: F) -> Rdd<U, Map<P, F>>
    where
        F: Fn(T) -> U + Send + Sync + 'static,
    {
        let site = Location::caller();
        self.then(|base| Map::new(base, f, site))
    }
}

/// The chain of a `map`.
pub struct Map<P, F> {
    base: Arc<P>,
    f: F,
    site: &'static Location<'static>,
}

impl<P, F> Map<P, F> {
    pub(crate) fn new(base: Arc<P>, f: F, site: &'static Location<'static>) -> Self {
        Self { base, f, site }
    }
}

impl<P, F> fmt::Debug for Map<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map({})", self.site)
    }
}

struct MapSink<'s, F, S> {
    f: &'s F,
    next: &'s mut S,
}

impl<T, U, F: Fn(T) -> U, S: Sink<U>> Sink<T> for MapSink<'_, F, S> {
    const BOUNDED: bool = S::BOUNDED;

    #[inline(always)]
    fn push(&mut self, record: T) {
        self.next.push((self.f)(record));
    }

    #[inline(always)]
    fn is_full(&self) -> bool {
        self.next.is_full()
    }
}

impl<P, U, F> Pipe for Map<P, F>
where
    P: Pipe,
    F: Fn(P::Out) -> U + Send + Sync + 'static,
{
    type In = P::In;
    type Out = U;

    #[inline(always)]
    fn feed<S: Sink<U>>(&self, chunk: Chunk<'_, P::In>, sink: &mut S) {
        self.base.feed(
            chunk,
            &mut MapSink {
                f: &self.f,
                next: sink,
            },
        );
    }

    fn steps(&self, steps: &mut Vec<Step>) {
        self.base.steps(steps);
        steps.push(Step {
            name: "map",
            site: self.site,
        });
    }

    fn keeps_count(&self) -> bool {
        // A closure that panics or counts must be called even for a count.
        false
    }
}
