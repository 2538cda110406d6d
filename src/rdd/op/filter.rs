//! `filter`: keeps the records that satisfy a predicate.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::rdd::Rdd;
use crate::rdd::pipe::{Chunk, Data, Pipe, Sink, Step};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Keeps the records for which `f` is true. Narrow: runs in the loop of its
    /// chain.
    #[track_caller]
    pub fn filter<F>(self, f: F) -> Rdd<T, Filter<P, F>>
    where
        F: Fn(&T) -> bool + Send + Sync + 'static,
    {
        let site = Location::caller();
        self.then(|base| Filter::new(base, f, site))
    }
}

/// The chain of a `filter`.
pub struct Filter<P, F> {
    base: Arc<P>,
    f: F,
    site: &'static Location<'static>,
}

impl<P, F> Filter<P, F> {
    pub(crate) fn new(base: Arc<P>, f: F, site: &'static Location<'static>) -> Self {
        Self { base, f, site }
    }
}

impl<P, F> fmt::Debug for Filter<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({})", self.site)
    }
}

struct FilterSink<'s, F, S> {
    f: &'s F,
    next: &'s mut S,
}

impl<T, F: Fn(&T) -> bool, S: Sink<T>> Sink<T> for FilterSink<'_, F, S> {
    const BOUNDED: bool = S::BOUNDED;

    #[inline(always)]
    fn push(&mut self, record: T) {
        if (self.f)(&record) {
            self.next.push(record);
        }
    }

    #[inline(always)]
    fn is_full(&self) -> bool {
        self.next.is_full()
    }
}

impl<P, F> Pipe for Filter<P, F>
where
    P: Pipe,
    F: Fn(&P::Out) -> bool + Send + Sync + 'static,
{
    type In = P::In;
    type Out = P::Out;

    #[inline(always)]
    fn feed<S: Sink<P::Out>>(&self, chunk: Chunk<'_, P::In>, sink: &mut S) {
        self.base.feed(
            chunk,
            &mut FilterSink {
                f: &self.f,
                next: sink,
            },
        );
    }

    fn steps(&self, steps: &mut Vec<Step>) {
        self.base.steps(steps);
        steps.push(Step {
            name: "filter",
            site: self.site,
        });
    }
}
