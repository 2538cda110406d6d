//! `keys`: pairs without their values.

use std::panic::Location;

use crate::rdd::Rdd;
use crate::rdd::pipe::{Chain, Data, Narrow, Pipe, Sink, Step};

impl<K: Data, V: Data, P: Pipe<Out = (K, V)>> Rdd<(K, V), P> {
    /// The key of each pair. Narrow: runs in the loop of its chain.
    #[track_caller]
    pub fn keys(self) -> Rdd<K, Chain<P, Keys>> {
        self.then(Keys, Step::new("keys", Location::caller()))
    }
}

/// The operation `keys`.
#[derive(Debug)]
pub struct Keys;

impl<K, V> Narrow<(K, V)> for Keys {
    type Out = K;

    #[inline(always)]
    fn apply<S: Sink<K>>(&self, (key, _): (K, V), next: &mut S) {
        next.push(key);
    }
}
