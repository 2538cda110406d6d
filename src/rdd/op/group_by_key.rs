//! `group_by_key`: all values of each key.

use std::hash::Hash;
use std::panic::Location;
use std::sync::Arc;

use crate::rdd::pipe::{Data, Pipe, Step};
use crate::rdd::{Aggregate, Combine, Rdd};

impl<K, V, P> Rdd<(K, V), P>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
{
    /// The values of each key as a list; the order within it is not defined.
    /// One shuffle. To reduce them at once use
    /// [`reduce_by_key`](Self::reduce_by_key), which keeps one value per key.
    #[doc(alias = "groupByKey")]
    #[track_caller]
    pub fn group_by_key(self) -> Rdd<(K, Vec<V>)> {
        let partitions = self.default_parallelism();
        self.group_by_key_into(partitions)
    }

    /// As [`group_by_key`](Self::group_by_key), into `partitions` partitions (at
    /// least one).
    #[track_caller]
    pub fn group_by_key_into(self, partitions: usize) -> Rdd<(K, Vec<V>)> {
        let step = Step::new("group_by_key", Location::caller());
        self.aggregate_with(Arc::new(Aggregate::new(Grouper, partitions, step)))
    }
}

/// Values into lists.
pub(crate) struct Grouper;

impl<V: Data> Combine<V> for Grouper {
    type Combined = Vec<V>;

    fn first(&self, value: V) -> Vec<V> {
        vec![value]
    }

    fn value(&self, combined: &mut Vec<V>, value: V) {
        combined.push(value);
    }

    fn combined(&self, combined: &mut Vec<V>, mut other: Vec<V>) {
        combined.append(&mut other);
    }
}
