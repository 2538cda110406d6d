//! `cache`: records that are computed once.

use std::sync::Arc;

use crate::rdd::pipe::{Data, Pipe};
use crate::rdd::{Rdd, at_rest};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// The same records, kept in memory from the first action on, so that its
    /// chain runs once however often they are read. Records that rest already
    /// stay where they are.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let squares = ssc.parallelize(1..=4, 2).map(|x: u64| x * x).cache();
    /// assert_eq!(squares.collect()?, [1, 4, 9, 16]); // runs the chain
    /// assert_eq!(squares.count()?, 4); // does not
    /// # Ok::<(), millstream::Error>(())
    /// ```
    pub fn cache(self) -> Rdd<T> {
        if self.is_at_rest() {
            return self.boxed();
        }
        let executor = Arc::clone(&self.executor);
        Rdd::lazy(self.num_partitions(), executor, move |_| {
            Ok(at_rest(self.collect_partitions()?))
        })
    }
}
