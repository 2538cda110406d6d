//! `subtract`: records that another data set does not have.

use std::hash::Hash;
use std::panic::Location;

use crate::rdd::Rdd;
use crate::rdd::pipe::{Data, Pipe, Step};

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
        self.filter_by(other, step, |there, record| !there.has(record))
    }
}
