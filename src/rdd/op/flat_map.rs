//! `flat_map`: any number of records out for each record in.

use std::panic::Location;

use crate::rdd::Rdd;
use crate::rdd::pipe::{Chain, Data, Narrow, Pipe, Sink, Step, push_all};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Applies `f` to each record and gives all records of what it returns.
    /// Narrow: runs in the loop of its chain.
    #[doc(alias = "flatMap")]
    #[track_caller]
    pub fn flat_map<I, F>(self, f: F) -> Rdd<I::Item, Chain<P, FlatMap<F>>>
    where
        I: IntoIterator<Item: Data>,
        F: Fn(T) -> I + Send + Sync + 'static,
    {
        self.then(FlatMap(f), Step::new("flat_map", Location::caller()))
    }
}

/// The operation `flat_map`.
#[derive(Debug)]
pub struct FlatMap<F>(pub(crate) F);

impl<T, I, F> Narrow<T> for FlatMap<F>
where
    I: IntoIterator,
    F: Fn(T) -> I + Send + Sync + 'static,
{
    type Out = I::Item;

    #[inline(always)]
    fn apply<S: Sink<I::Item>>(&self, record: T, next: &mut S) {
        push_all((self.0)(record).into_iter(), next);
    }
}
