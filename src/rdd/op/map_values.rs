//! `map_values`: another value for each key.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::rdd::Rdd;
use crate::rdd::pipe::{Chunk, Data, Pipe, Sink, Step};

impl<K: Data, V: Data, P: Pipe<Out = (K, V)>> Rdd<(K, V), P> {
    /// Applies `f` to the value of each pair; the key stays, and so does the
    /// partition. Narrow: runs in the loop of its chain.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let lengths = ssc.parallelize([(1, "one"), (3, "three")], 2).map_values(|name| name.len());
    /// assert_eq!(lengths.collect()?, [(1, 3), (3, 5)]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "mapValues")]
    #[track_caller]
    pub fn map_values<U: Data, F>(self, f: F) -> Rdd<(K, U), MapValues<P, F>>
    where
        F: Fn(V) -> U + Send + Sync + 'static,
    {
        let site = Location::caller();
        self.then(|base| MapValues::new(base, f, site))
    }
}

/// The chain of a `map_values`.
pub struct MapValues<P, F> {
    base: Arc<P>,
    f: F,
    site: &'static Location<'static>,
}

impl<P, F> MapValues<P, F> {
    pub(crate) fn new(base: Arc<P>, f: F, site: &'static Location<'static>) -> Self {
        Self { base, f, site }
    }
}

impl<P, F> fmt::Debug for MapValues<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapValues({})", self.site)
    }
}

struct MapValuesSink<'s, F, S> {
    f: &'s F,
    next: &'s mut S,
}

impl<K, V, U, F, S> Sink<(K, V)> for MapValuesSink<'_, F, S>
where
    F: Fn(V) -> U,
    S: Sink<(K, U)>,
{
    const BOUNDED: bool = S::BOUNDED;

    #[inline(always)]
    fn push(&mut self, (key, value): (K, V)) {
        self.next.push((key, (self.f)(value)));
    }

    #[inline(always)]
    fn is_full(&self) -> bool {
        self.next.is_full()
    }
}

// `keeps_count` stays false, as for `map`: the closure must be called.
impl<P, K, V, U, F> Pipe for MapValues<P, F>
where
    P: Pipe<Out = (K, V)>,
    F: Fn(V) -> U + Send + Sync + 'static,
{
    type In = P::In;
    type Out = (K, U);

    #[inline(always)]
    fn feed<S: Sink<(K, U)>>(&self, chunk: Chunk<'_, P::In>, sink: &mut S) {
        self.base.feed(
            chunk,
            &mut MapValuesSink {
                f: &self.f,
                next: sink,
            },
        );
    }

    fn steps(&self, steps: &mut Vec<Step>) {
        self.base.steps(steps);
        steps.push(Step {
            name: "map_values",
            site: self.site,
        });
    }
}
