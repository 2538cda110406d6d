//! `join`: pairs of the values that two data sets have for a key.

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
    /// For each key that both data sets have, every pair of a value of `self` and
    /// one of `other`. One shuffle of both.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let clicks = ssc.parallelize([("ann", "home"), ("bob", "help"), ("ann", "buy")], 2);
    /// let cities = ssc.parallelize([("ann", "Oslo"), ("cid", "Rome")], 2);
    /// assert_eq!(
    ///     clicks.join(cities).sort().collect()?,
    ///     [("ann", ("buy", "Oslo")), ("ann", ("home", "Oslo"))],
    /// );
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[track_caller]
    pub fn join<W, Q>(self, other: Rdd<(K, W), Q>) -> Rdd<(K, (V, W))>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        let partitions = self.default_parallelism();
        self.join_into(other, partitions)
    }

    /// As [`join`](Self::join), into `partitions` partitions (at least one).
    #[track_caller]
    pub fn join_into<W, Q>(self, other: Rdd<(K, W), Q>, partitions: usize) -> Rdd<(K, (V, W))>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        let step = Step::new("join", Location::caller());
        self.pair::<Inner, _, _>(other, partitions, step)
    }
}

/// Keys that both sides have.
pub(crate) struct Inner;

impl<V: Data, W: Data> Pairing<V, W> for Inner {
    type Out = (V, W);

    fn both(left: V, right: W) -> Self::Out {
        (left, right)
    }

    fn left(_: V) -> Option<Self::Out> {
        None
    }

    fn right(_: W) -> Option<Self::Out> {
        None
    }
}
