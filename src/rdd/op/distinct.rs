//! `distinct`: each record once.

use std::hash::Hash;
use std::panic::Location;
use std::sync::Arc;

use crate::rdd::op::reduce_by_key::Reducer;
use crate::rdd::pipe::{Data, Pipe, Step};
use crate::rdd::{Aggregate, Map, Rdd};

impl<T: Data + Hash + Eq, P: Pipe<Out = T>> Rdd<T, P> {
    /// Each record once, however often it occurs. One shuffle, of one entry per
    /// distinct record and worker.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let users = ssc.parallelize(["ann", "bob", "ann"], 2).distinct();
    /// assert_eq!(users.sort().collect()?, ["ann", "bob"]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[track_caller]
    pub fn distinct(self) -> Rdd<T> {
        let step = Step::new("distinct", Location::caller());
        let seen = Aggregate::new(Reducer(|(), ()| ()), self.default_parallelism(), step);
        let executor = Arc::clone(&self.executor);
        let keyed = self.then(Map(|record| (record, ())), step);
        Rdd::lazy(seen.partitions(), executor, move |executor| {
            seen.run_into(&keyed, executor, |list| {
                list.into_iter().map(|(record, ())| record).collect()
            })
        })
    }
}
