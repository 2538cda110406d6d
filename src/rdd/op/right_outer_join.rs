//! `right_outer_join`: every value of the second data set, with what the first has for its key.

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
    /// For each value of `other`: a pair with every value that `self` has for its
    /// key, or with `None` if it has none. One shuffle of both.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let clicks = ssc.parallelize([("ann", "home"), ("bob", "help")], 2);
    /// let cities = ssc.parallelize([("ann", "Oslo"), ("cid", "Rome")], 2);
    /// assert_eq!(
    ///     clicks.right_outer_join(cities).sort().collect()?,
    ///     [("ann", (Some("home"), "Oslo")), ("cid", (None, "Rome"))],
    /// );
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "rightOuterJoin")]
    #[track_caller]
    pub fn right_outer_join<W, Q>(self, other: Rdd<(K, W), Q>) -> Rdd<(K, (Option<V>, W))>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        let partitions = self.default_parallelism();
        self.right_outer_join_into(other, partitions)
    }

    /// As [`right_outer_join`](Self::right_outer_join), into `partitions` partitions (at least one).
    #[track_caller]
    pub fn right_outer_join_into<W, Q>(
        self,
        other: Rdd<(K, W), Q>,
        partitions: usize,
    ) -> Rdd<(K, (Option<V>, W))>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        let step = Step::new("right_outer_join", Location::caller());
        self.pair::<RightOuter, _, _>(other, partitions, step)
    }
}

/// Keys that the right side has.
pub(crate) struct RightOuter;

impl<V: Data, W: Data> Pairing<V, W> for RightOuter {
    type Out = (Option<V>, W);

    fn both(left: V, right: W) -> Self::Out {
        (Some(left), right)
    }

    fn left(_: V) -> Option<Self::Out> {
        None
    }

    fn right(right: W) -> Option<Self::Out> {
        Some((None, right))
    }
}
