//! `subtract_by_key`: pairs whose key another data set does not have.

use std::hash::Hash;
use std::panic::Location;

use crate::rdd::Rdd;
use crate::rdd::pipe::{Data, Pipe, Step};

impl<K, V, P> Rdd<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// The pairs of `self` whose key `other` does not have, each as often as it
    /// occurs. One shuffle of both.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let clicks = ssc.parallelize([("ann", "home"), ("bob", "help")], 2);
    /// let blocked = ssc.parallelize([("bob", "since May")], 1);
    /// assert_eq!(clicks.subtract_by_key(blocked).collect()?, [("ann", "home")]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "subtractByKey")]
    #[track_caller]
    pub fn subtract_by_key<W, Q>(self, other: Rdd<(K, W), Q>) -> Rdd<(K, V)>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        let step = Step::new("subtract_by_key", Location::caller());
        let partitions = self.default_parallelism();
        self.meet(other, partitions, step, |left, right| {
            let mut keys = right.keys();
            let kept = left.into_iter().filter(|(key, _)| !keys.has(key));
            kept.collect()
        })
    }
}
