//! `values`: pairs without their keys.

use std::panic::Location;

use crate::rdd::Rdd;
use crate::rdd::pipe::{Chain, Data, Narrow, Pipe, Sink, Step};

impl<K: Data, V: Data, P: Pipe<Out = (K, V)>> Rdd<(K, V), P> {
    /// The value of each pair. Narrow: runs in the loop of its chain.
    #[track_caller]
    pub fn values(self) -> Rdd<V, Chain<P, Values>> {
        self.then(Values, Step::new("values", Location::caller()))
    }
}

/// The operation `values`.
#[derive(Debug)]
pub struct Values;

impl<K, V> Narrow<(K, V)> for Values {
    type Out = V;

    #[inline(always)]
    fn apply<S: Sink<V>>(&self, (_, value): (K, V), next: &mut S) {
        next.push(value);
    }
}
