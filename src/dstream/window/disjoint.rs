//! The node of a window by key that has no batch in common with the one before:
//! it is reduced by itself.

use std::hash::Hash;
use std::panic::Location;
use std::sync::Arc;

use super::Extent;
use crate::dstream::{DStream, Meta, Node, Operator};
use crate::error::Result;
use crate::rdd::pipe::{Data, Pipe, Step};
use crate::rdd::{Aggregate, Combine, Rdd, at_rest};
use crate::time::{BatchTime, Duration};

/// Reduces the batches of each window at once.
pub(super) struct Disjoint<K: Data, V: Data, P: Pipe<Out = (K, V)>, C: Combine<V>> {
    parent: DStream<(K, V), P>,
    aggregate: Arc<Aggregate<K, V, C>>,
    extent: Extent,
}

impl<K, V, P, C> Disjoint<K, V, P, C>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
    C: Combine<V, Combined = V>,
{
    pub(super) fn declare(
        parent: &DStream<(K, V), P>,
        extent: Extent,
        combine: C,
        partitions: usize,
        name: &'static str,
        site: &'static Location<'static>,
    ) -> DStream<(K, V)> {
        let graph = Arc::clone(parent.graph());
        let meta = Meta::new(&graph, name, site, extent.slide, vec![parent.control()]);
        let operator = Self {
            parent: parent.clone(),
            aggregate: Arc::new(Aggregate::new(combine, partitions, Step::new(name, site))),
            extent,
        };
        let node = Node::declare(&graph, meta, operator);
        DStream::from_node(graph, node)
    }
}

impl<K, V, P, C> Operator for Disjoint<K, V, P, C>
where
    K: Data + Hash + Eq,
    V: Data,
    P: Pipe<Out = (K, V)>,
    C: Combine<V, Combined = V>,
{
    type Item = (K, V);

    fn reach(&self) -> Duration {
        self.extent.reach(self.parent.slide_interval())
    }

    fn compute(&self, time: BatchTime) -> Result<Option<Rdd<(K, V)>>> {
        let batches = self.parent.batches_until(time, self.extent.length)?;
        let rdd = match Rdd::union_of_batches(batches) {
            Some(batches) => batches.aggregate_with(Arc::clone(&self.aggregate)),
            None => {
                let empty = (0..self.aggregate.partitions()).map(|_| Vec::new());
                Rdd::ready(at_rest(empty), Arc::clone(self.parent.graph().executor()))
            }
        };
        Ok(Some(rdd))
    }
}
