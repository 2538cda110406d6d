//! `flat_map`: any number of records out for each record in.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::rdd::Rdd;
use crate::rdd::pipe::{Chunk, Data, Pipe, Sink, Step};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Applies `f` to each record and gives all records of what it returns.
    /// Narrow: runs in the loop of its chain.
    #[doc(alias = "flatMap")]
    #[track_caller]
    pub fn flat_map<I, F>(self, f: F) -> Rdd<I::Item, FlatMap<P, F>>
    where
        I: IntoIterator<Item: Data>,
        F: Fn(T) -> I + Send + Sync + 'static,
    {
        let site = Location::caller();
        self.then(|base| FlatMap::new(base, f, site))
    }
}

/// The chain of a `flat_map`.
pub struct FlatMap<P, F> {
    base: Arc<P>,
    f: F,
    site: &'static Location<'static>,
}

impl<P, F> FlatMap<P, F> {
    pub(crate) fn new(base: Arc<P>, f: F, site: &'static Location<'static>) -> Self {
        Self { base, f, site }
    }
}

impl<P, F> fmt::Debug for FlatMap<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlatMap({})", self.site)
    }
}

struct FlatMapSink<'s, F, S> {
    f: &'s F,
    next: &'s mut S,
}

impl<T, I: IntoIterator, F: Fn(T) -> I, S: Sink<I::Item>> Sink<T> for FlatMapSink<'_, F, S> {
    const BOUNDED: bool = S::BOUNDED;

    #[inline(always)]
    fn push(&mut self, record: T) {
        let records = (self.f)(record).into_iter();
        if S::BOUNDED {
            for record in records {
                if self.next.is_full() {
                    return;
                }
                self.next.push(record);
            }
        } else {
            // The iterator's own loop, which may be better than `next`.
            records.for_each(|record| self.next.push(record));
        }
    }

    #[inline(always)]
    fn is_full(&self) -> bool {
        self.next.is_full()
    }
}

impl<P, I, F> Pipe for FlatMap<P, F>
where
    P: Pipe,
    I: IntoIterator,
    F: Fn(P::Out) -> I + Send + Sync + 'static,
{
    type In = P::In;
    type Out = I::Item;

    #[inline(always)]
    fn feed<S: Sink<I::Item>>(&self, chunk: Chunk<'_, P::In>, sink: &mut S) {
        self.base.feed(
            chunk,
            &mut FlatMapSink {
                f: &self.f,
                next: sink,
            },
        );
    }

    fn steps(&self, steps: &mut Vec<Step>) {
        self.base.steps(steps);
        steps.push(Step {
            name: "flat_map",
            site: self.site,
        });
    }
}
