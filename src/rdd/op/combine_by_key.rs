//! `combine_by_key`: keyed aggregation into another type; the other keyed
//! reductions are built on it.

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
    /// Combines the values of each key: `create` makes the result of a first
    /// value, `merge_value` takes in a further one, `merge_combiners` joins the
    /// results of two workers. One shuffle, after combining on each worker.
    #[doc(alias = "combineByKey")]
    #[doc(alias = "aggregateByKey")]
    #[track_caller]
    pub fn combine_by_key<C: Data>(
        self,
        create: impl Fn(V) -> C + Send + Sync + 'static,
        merge_value: impl Fn(&mut C, V) + Send + Sync + 'static,
        merge_combiners: impl Fn(&mut C, C) + Send + Sync + 'static,
    ) -> Rdd<(K, C)> {
        let partitions = self.default_parallelism();
        self.combine_by_key_into(create, merge_value, merge_combiners, partitions)
    }

    /// As [`combine_by_key`](Self::combine_by_key), into `partitions` partitions
    /// (at least one).
    #[track_caller]
    pub fn combine_by_key_into<C: Data>(
        self,
        create: impl Fn(V) -> C + Send + Sync + 'static,
        merge_value: impl Fn(&mut C, V) + Send + Sync + 'static,
        merge_combiners: impl Fn(&mut C, C) + Send + Sync + 'static,
        partitions: usize,
    ) -> Rdd<(K, C)> {
        let combine = Combiner {
            create,
            merge_value,
            merge_combiners,
        };
        let step = Step::new("combine_by_key", Location::caller());
        self.aggregate_with(Arc::new(Aggregate::new(combine, partitions, step)))
    }

    /// Runs an aggregation, which may keep its tables for the next batch.
    pub(crate) fn aggregate_with<C: Combine<V>>(
        self,
        aggregate: Arc<Aggregate<K, V, C>>,
    ) -> Rdd<(K, C::Combined)> {
        let executor = Arc::clone(&self.executor);
        Rdd::lazy(aggregate.partitions(), executor, move |executor| {
            aggregate.run(&self, executor)
        })
    }
}

/// The three closures of `combine_by_key`.
pub(crate) struct Combiner<A, M, J> {
    pub(crate) create: A,
    pub(crate) merge_value: M,
    pub(crate) merge_combiners: J,
}

impl<V, C, A, M, J> Combine<V> for Combiner<A, M, J>
where
    C: Data,
    A: Fn(V) -> C + Send + Sync + 'static,
    M: Fn(&mut C, V) + Send + Sync + 'static,
    J: Fn(&mut C, C) + Send + Sync + 'static,
{
    type Combined = C;

    #[inline(always)]
    fn first(&self, value: V) -> C {
        (self.create)(value)
    }

    #[inline(always)]
    fn value(&self, combined: &mut C, value: V) {
        (self.merge_value)(combined, value);
    }

    fn combined(&self, combined: &mut C, other: C) {
        (self.merge_combiners)(combined, other);
    }
}
