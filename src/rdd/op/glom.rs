//! `glom`: partitions as records.

use std::iter;
use std::panic::Location;
use std::sync::Arc;

use crate::rdd::pipe::{Data, Pipe, Step};
use crate::rdd::{Rdd, Records};

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// The records of each partition as one list; that of an empty one is empty.
    /// No shuffle.
    ///
    /// # Examples
    /// ```
    /// # use millstream::prelude::*;
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let lists = ssc.parallelize(1..=3, 2).glom();
    /// assert_eq!(lists.collect()?, [vec![1], vec![2, 3]]);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    #[track_caller]
    pub fn glom(self) -> Rdd<Vec<T>> {
        self.glom_as(Step::new("glom", Location::caller()))
    }

    pub(crate) fn glom_as(self, step: Step) -> Rdd<Vec<T>> {
        let list = |records: Records<T>| iter::once(records.into_vec());
        self.map_partitions_as(step, Arc::new(list))
    }
}
