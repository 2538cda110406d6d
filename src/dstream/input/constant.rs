//! Constant input: the same Rdd in every batch.

use std::panic::Location;
use std::sync::Arc;

use super::{Cut, Ingest, InputNode};
use crate::dstream::{DStream, Graph};
use crate::error::Result;
use crate::rdd::Rdd;
use crate::rdd::pipe::Data;
use crate::time::BatchTime;

/// Gives one Rdd again and again.
pub(crate) struct ConstantIngest<T: Data>(Rdd<T>);

impl<T: Data> ConstantIngest<T> {
    pub(crate) fn declare(
        graph: &Arc<Graph>,
        site: &'static Location<'static>,
        rdd: Rdd<T>,
    ) -> Result<DStream<T>> {
        InputNode::declare(graph, "Constant", site, |_, _| Self(rdd))
    }
}

impl<T: Data> Ingest<T> for ConstantIngest<T> {
    fn cut(&self, _: BatchTime) -> Cut<T> {
        Cut::plain(self.0.clone())
    }

    fn is_waiting(&self) -> bool {
        false
    }
}
