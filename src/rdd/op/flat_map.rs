//! `flat_map`: any number of records out for each record in.

use std::any::{Any, TypeId};
use std::panic::Location;

use crate::block::{Split, Str};
use crate::rdd::Rdd;
use crate::rdd::pipe::{Chain, Data, Narrow, Pipe, Sink, Step};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Applies `f` to each record and gives all records of what it returns.
    /// Narrow: runs in the loop of its chain.
    #[doc(alias = "flatMap")]
    #[track_caller]
    pub fn flat_map<I, F>(self, f: F) -> Rdd<I::Item, Chain<P, FlatMap<F>>>
    where
        I: IntoIterator<Item: Data, IntoIter: 'static>,
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
    I: IntoIterator<Item: 'static, IntoIter: 'static>,
    F: Fn(T) -> I + Send + Sync + 'static,
{
    type Out = I::Item;

    #[inline(always)]
    fn apply<S: Sink<I::Item>>(&self, record: T, next: &mut S) {
        next.push_all((self.0)(record).into_iter());
    }

    #[inline(always)]
    fn apply_all<S: Sink<I::Item>>(&self, records: impl Iterator<Item = T>, next: &mut S) {
        let iterators = records.map(|record| (self.0)(record).into_iter());
        if TypeId::of::<I::IntoIter>() == TypeId::of::<Split>() {
            // Many lines can be split faster than each for itself.
            let parts = Split::all(iterators.map(same::<I::IntoIter, Split>));
            next.push_all(parts.map(same::<Str, I::Item>));
        } else if S::BOUNDED {
            next.push_all(iterators.flatten());
        } else {
            iterators.for_each(|iterator| next.push_all(iterator));
        }
    }
}

/// A value of a type that is the same by another name.
#[inline(always)]
fn same<A: 'static, B: 'static>(value: A) -> B {
    let mut value = Some(value);
    let same = (&mut value as &mut dyn Any).downcast_mut::<Option<B>>();
    same.and_then(Option::take).expect("the types are the same")
}
