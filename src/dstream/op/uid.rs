//! `uid`: the name under which a stream is found again.

use std::panic::Location;

use crate::dstream::DStream;
use crate::error::{Error, Result};
use crate::rdd::pipe::{Data, Pipe};

/// # Checkpoints
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Names this stream: what a checkpoint has of it is found by this name when the
    /// program starts again, however the rest of the program has changed.
    ///
    /// Without a name a stream that keeps something is known by its operation, and
    /// by how many of the same kind were declared before it: `map_with_state-0`. So
    /// one that is added before it takes its place; name streams whose state is worth
    /// keeping.
    ///
    /// # Errors
    /// If the stream has another name already, or the context was started. Two
    /// streams of one name are found when the context starts.
    #[track_caller]
    pub fn uid(&self, name: &str) -> Result<Self> {
        let site = Location::caller();
        self.graph.check_open(site)?;
        let uid = match self.node.durable() {
            Some(durable) => durable.uid(),
            None => &self.node.meta().uid,
        };
        uid.set(name).map_err(|before| {
            let what = format!("uid({name:?}): the stream was named {before:?} before");
            Error::invalid_argument(what).at(site)
        })?;
        Ok(self.clone())
    }
}
