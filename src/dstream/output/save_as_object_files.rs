//! `save_as_object_files`: a directory of records that can be read back, for each
//! batch.

use std::panic::Location;

use crate::codec::Codec;
use crate::dstream::DStream;
use crate::rdd::Step;
use crate::rdd::format::objects::Objects;
use crate::rdd::pipe::{Data, Pipe};

/// # Output operations
impl<T: Data + Codec, P: Pipe<Out = T>> DStream<T, P> {
    /// Saves each batch as a directory `prefix-TIME_IN_MS.suffix` of its records as
    /// bytes, for [`object_file`](crate::StreamingContext::object_file) to read back:
    /// see [`save_as_files`](Self::save_as_files). A batch fails if its records are of a type
    /// that could not be read back, as one with serde's `tag` or `untagged`.
    ///
    /// Guide: Output Operations on DStreams.
    ///
    /// # Panics
    /// If the context was started.
    #[doc(alias = "saveAsObjectFiles")]
    #[track_caller]
    pub fn save_as_object_files(&self, prefix: &str, suffix: &str) {
        let step = Step::new("save_as_object_files", Location::caller());
        self.save(step, prefix, suffix, Objects);
    }
}
