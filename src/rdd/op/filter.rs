//! `filter`: keeps the records that satisfy a predicate.

use std::panic::Location;

use crate::rdd::Rdd;
use crate::rdd::pipe::{Chain, Data, Narrow, Pipe, Sink, Step};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Keeps the records for which `f` is true. Narrow: runs in the loop of its
    /// chain.
    #[track_caller]
    pub fn filter<F>(self, f: F) -> Rdd<T, Chain<P, Filter<F>>>
    where
        F: Fn(&T) -> bool + Send + Sync + 'static,
    {
        self.then(Filter(f), Step::new("filter", Location::caller()))
    }
}

/// The operation `filter`.
#[derive(Debug)]
pub struct Filter<F>(pub(crate) F);

impl<T, F: Fn(&T) -> bool + Send + Sync + 'static> Narrow<T> for Filter<F> {
    type Out = T;

    #[inline(always)]
    fn apply<S: Sink<T>>(&self, record: T, next: &mut S) {
        if (self.0)(&record) {
            next.push(record);
        }
    }

    #[inline(always)]
    fn apply_all<S: Sink<T>>(&self, records: impl Iterator<Item = T>, next: &mut S) {
        next.push_all(records.filter(&self.0));
    }
}
