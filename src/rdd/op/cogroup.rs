//! `cogroup`: all values that two data sets have for a key.

use std::hash::Hash;
use std::panic::Location;

use crate::hash::KeyHash;
use crate::rdd::Rdd;
use crate::rdd::join::FIT;
use crate::rdd::pipe::{Data, Pipe, Step};
use crate::rdd::table::KeyTable;

impl<K, V, P> Rdd<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// For each key that either data set has, all its values in `self` and all in
    /// `other`; the order within the lists is not defined. One shuffle of both.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let clicks = ssc.parallelize([("ann", "home"), ("bob", "help")], 2);
    /// let cities = ssc.parallelize([("ann", "Oslo")], 2);
    /// assert_eq!(
    ///     clicks.cogroup(cities).sort().collect()?,
    ///     [("ann", (vec!["home"], vec!["Oslo"])), ("bob", (vec!["help"], vec![]))],
    /// );
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[doc(alias = "groupWith")]
    #[track_caller]
    pub fn cogroup<W, Q>(self, other: Rdd<(K, W), Q>) -> Rdd<(K, (Vec<V>, Vec<W>))>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        let partitions = self.default_parallelism();
        self.cogroup_into(other, partitions)
    }

    /// As [`cogroup`](Self::cogroup), into `partitions` partitions (at least one).
    #[track_caller]
    pub fn cogroup_into<W, Q>(
        self,
        other: Rdd<(K, W), Q>,
        partitions: usize,
    ) -> Rdd<(K, (Vec<V>, Vec<W>))>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        self.cogroup_as(other, partitions, Step::new("cogroup", Location::caller()))
    }

    pub(crate) fn cogroup_as<W, Q>(
        self,
        other: Rdd<(K, W), Q>,
        partitions: usize,
        step: Step,
    ) -> Rdd<(K, (Vec<V>, Vec<W>))>
    where
        W: Data,
        Q: Pipe<Out = (K, W)>,
    {
        let hash = KeyHash::get();
        self.meet(other, partitions, step, move |left, right| {
            let mut groups = KeyTable::with_capacity(left.len().max(right.len()).min(FIT));
            for (key, value) in left {
                groups.upsert(
                    hash.hash(&key),
                    key,
                    value,
                    |value| (vec![value], Vec::new()),
                    |group, value| group.0.push(value),
                );
            }
            for (key, value) in right {
                groups.upsert(
                    hash.hash(&key),
                    key,
                    value,
                    |value| (Vec::new(), vec![value]),
                    |group, value| group.1.push(value),
                );
            }
            groups.into_iter().collect()
        })
    }
}
