//! `map`: one record out for each record in.

use std::panic::Location;

use crate::rdd::Rdd;
use crate::rdd::pipe::{Chain, Data, Narrow, Pipe, Sink, Step};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Applies `f` to each record. Narrow: runs in the loop of its chain.
    #[track_caller]
    pub fn map<U: Data, F>(self, f: F) -> Rdd<U, Chain<P, Map<F>>>
    where
        F: Fn(T) -> U + Send + Sync + 'static,
    {
        self.then(Map(f), Step::new("map", Location::caller()))
    }
}

/// The operation `map`.
#[derive(Debug)]
pub struct Map<F>(pub(crate) F);

impl<T, U, F: Fn(T) -> U + Send + Sync + 'static> Narrow<T> for Map<F> {
    type Out = U;

    #[inline(always)]
    fn apply<S: Sink<U>>(&self, record: T, next: &mut S) {
        next.push((self.0)(record));
    }

    #[inline(always)]
    fn apply_all<S: Sink<U>>(&self, records: impl Iterator<Item = T>, next: &mut S) {
        next.push_all(records.map(&self.0));
    }
}
