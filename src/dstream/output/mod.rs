//! Output operations: what makes a batch run.

pub(crate) mod for_each_partition_once;
pub(crate) mod foreach_rdd;
pub(crate) mod print;
pub(crate) mod save_as_files;
#[cfg(feature = "checkpoint")]
pub(crate) mod save_as_object_files;
pub(crate) mod save_as_text_files;

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::DStream;
use super::graph::Graph;
use super::node::Control;
use crate::error::Result;
use crate::id::OutputId;
use crate::rdd::pipe::{Data, Pipe};
use crate::rdd::{Rdd, Step};
use crate::time::BatchTime;

/// A declared output operation: one job per batch of its stream.
pub(crate) struct Output {
    id: OutputId,
    /// What it is and where it was declared.
    description: Arc<str>,
    site: &'static Location<'static>,
    /// Of one that writes each batch once: what it is known by to the store.
    once: Option<Arc<str>>,
    parent: Arc<dyn Control>,
    job: Box<dyn Fn(BatchTime) -> Result<()> + Send + Sync>,
}

impl Output {
    pub(crate) fn id(&self) -> OutputId {
        self.id
    }

    /// What it is and where it was declared.
    pub(crate) fn description(&self) -> &Arc<str> {
        &self.description
    }

    /// The name by which it is known to the store in which it writes each batch once, if
    /// it does that.
    pub(crate) fn once(&self) -> Option<&str> {
        self.once.as_deref()
    }

    pub(crate) fn site(&self) -> &'static Location<'static> {
        self.site
    }

    /// The node whose data it reads.
    pub(crate) fn parent(&self) -> &dyn Control {
        &*self.parent
    }

    /// Whether there is a job in this batch.
    pub(crate) fn is_due(&self, graph: &Graph, time: BatchTime) -> bool {
        self.parent.meta().is_valid(graph, time)
    }

    /// Runs the job of one batch on the calling thread.
    pub(crate) fn run(&self, time: BatchTime) -> Result<()> {
        (self.job)(time)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("id", &self.id)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Declares an output operation.
    ///
    /// # Panics
    /// If the context was started.
    fn output<F>(&self, name: &'static str, site: &'static Location<'static>, f: F)
    where
        F: Fn(Rdd<T, P>, BatchTime) -> Result<()> + Send + Sync + 'static,
    {
        self.graph().assert_open(site);
        self.declare_output(Step::new(name, site), None, f);
    }

    /// Declares an output operation that writes each batch once, by its name; whether
    /// no other one has that.
    fn once_output<F>(&self, step: Step, name: Arc<str>, f: F) -> bool
    where
        F: Fn(Rdd<T, P>, BatchTime) -> Result<()> + Send + Sync + 'static,
    {
        self.declare_output(step, Some(name), f)
    }

    fn declare_output<F>(&self, step: Step, once: Option<Arc<str>>, f: F) -> bool
    where
        F: Fn(Rdd<T, P>, BatchTime) -> Result<()> + Send + Sync + 'static,
    {
        let stream = self.clone();
        let job = move |time| match stream.at(time)? {
            Some(rdd) => f(rdd, time),
            None => Ok(()),
        };
        self.graph().add_output(|id| Output {
            id,
            description: step.to_string().into(),
            site: step.site,
            once,
            parent: self.control(),
            job: Box::new(job),
        })
    }
}
