//! `left_outer_join`: every value of the first data set, with what the second has for its key.

use std::hash::Hash;
use std::panic::Location;

use crate::rdd::Rdd;
use crate::rdd::join::Pairing;
use crate::rdd::pipe::{Data, Pipe, Step};

impl<K, V, P> Rdd<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// For each value of `self`: a pair with every value that `other` has for its
    /// key, or with `None` if it has none. One shuffle of both.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let clicks = ssc.parallelize([("ann", "home"), ("bob", "help")], 2);
    /// let cities = ssc.parallelize([("ann", "Oslo"), ("cid", "Rome")], 2);
    /// assert_eq!(
    ///     clicks.left_outer_join(cities).sort().collect()?,
    ///     [("ann", ("home", Some("Oslo"))), ("bob", ("help", None))],
    /// );
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "leftOuterJoin")]
    #[track_caller]
    pub fn left_outer_join<W, Q>(self, other: Rdd<(K, W), Q>) -> Rdd<(K, (V, Option<W>))>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        let partitions = self.default_parallelism();
        self.left_outer_join_into(other, partitions)
    }

    /// As [`left_outer_join`](Self::left_outer_join), into `partitions` partitions (at least one).
    #[track_caller]
    pub fn left_outer_join_into<W, Q>(
        self,
        other: Rdd<(K, W), Q>,
        partitions: usize,
    ) -> Rdd<(K, (V, Option<W>))>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        let step = Step::new("left_outer_join", Location::caller());
        self.pair::<LeftOuter, _, _>(other, partitions, step)
    }
}

/// Keys that the left side has.
pub(crate) struct LeftOuter;

impl<V: Data, W: Data> Pairing<V, W> for LeftOuter {
    type Out = (V, Option<W>);

    fn both(left: V, right: W) -> Self::Out {
        (left, Some(right))
    }

    fn left(left: V) -> Option<Self::Out> {
        Some((left, None))
    }

    fn right(_: W) -> Option<Self::Out> {
        None
    }
}
