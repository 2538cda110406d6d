//! `intersection`: records that two data sets have.

use std::hash::Hash;
use std::panic::Location;

use crate::rdd::Rdd;
use crate::rdd::pipe::{Data, Pipe, Step};

impl<T: Data + Hash + Eq, P: Pipe<Out = T>> Rdd<T, P> {
    /// The records that both data sets have, each once. One shuffle of both.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let words = ssc.parallelize(["be", "or", "be", "not"], 2);
    /// let verbs = ssc.parallelize(["be", "go"], 1);
    /// assert_eq!(words.intersection(verbs).collect()?, ["be"]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[track_caller]
    pub fn intersection<Q: Pipe<Out = T>>(self, other: Rdd<T, Q>) -> Rdd<T> {
        let step = Step::new("intersection", Location::caller());
        // Taken out, so that it is not found again.
        self.filter_by(other, step, |there, record| there.take(record))
    }
}
