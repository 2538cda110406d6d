//! `subtract`: records that another data set does not have.

use std::hash::Hash;
use std::panic::Location;

use crate::rdd::pipe::{Data, Pipe, Step};
use crate::rdd::{Map, Rdd};

impl<T: Data + Hash + Eq, P: Pipe<Out = T>> Rdd<T, P> {
    /// The records of `self` that `other` does not have, each as often as it
    /// occurs. One shuffle of both.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let words = ssc.parallelize(["be", "or", "be", "not"], 2);
    /// let common = ssc.parallelize(["or", "not", "to"], 1);
    /// assert_eq!(words.subtract(common).collect()?, ["be", "be"]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[track_caller]
    pub fn subtract<Q: Pipe<Out = T>>(self, other: Rdd<T, Q>) -> Rdd<T> {
        let step = Step::new("subtract", Location::caller());
        let partitions = self.default_parallelism();
        let key = |record: T| (record, ());
        self.then(Map(key), step).meet(
            other.then(Map(key), step),
            partitions,
            step,
            |left, right| {
                let mut there = right.keys();
                let records = left.into_iter().map(|(record, ())| record);
                records.filter(|record| !there.has(record)).collect()
            },
        )
    }
}
