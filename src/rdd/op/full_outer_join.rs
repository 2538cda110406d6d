//! `full_outer_join`: every value of both data sets, paired by key where it can be.

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
    /// For each key every pair of a value of `self` and one of `other`; where one
    /// of them has none, `None` stands for it. One shuffle of both.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let clicks = ssc.parallelize([("ann", "home"), ("bob", "help")], 2);
    /// let cities = ssc.parallelize([("ann", "Oslo"), ("cid", "Rome")], 2);
    /// assert_eq!(
    ///     clicks.full_outer_join(cities).sort().collect()?,
    ///     [
    ///         ("ann", (Some("home"), Some("Oslo"))),
    ///         ("bob", (Some("help"), None)),
    ///         ("cid", (None, Some("Rome"))),
    ///     ],
    /// );
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "fullOuterJoin")]
    #[track_caller]
    pub fn full_outer_join<W, Q>(self, other: Rdd<(K, W), Q>) -> Rdd<(K, (Option<V>, Option<W>))>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        let partitions = self.default_parallelism();
        self.full_outer_join_into(other, partitions)
    }

    /// As [`full_outer_join`](Self::full_outer_join), into `partitions` partitions (at least one).
    #[track_caller]
    pub fn full_outer_join_into<W, Q>(
        self,
        other: Rdd<(K, W), Q>,
        partitions: usize,
    ) -> Rdd<(K, (Option<V>, Option<W>))>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        let step = Step::new("full_outer_join", Location::caller());
        self.pair::<FullOuter, _, _>(other, partitions, step)
    }
}

/// Keys that either side has.
pub(crate) struct FullOuter;

impl<V: Data, W: Data> Pairing<V, W> for FullOuter {
    type Out = (Option<V>, Option<W>);

    fn both(left: V, right: W) -> Self::Out {
        (Some(left), Some(right))
    }

    fn left(left: V) -> Option<Self::Out> {
        Some((Some(left), None))
    }

    fn right(right: W) -> Option<Self::Out> {
        Some((None, Some(right)))
    }
}
