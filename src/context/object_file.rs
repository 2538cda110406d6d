//! Reading object files.

use std::panic::Location;
use std::path::Path;
use std::sync::Arc;

use super::StreamingContext;
use crate::codec::Codec;
use crate::error::Result;
use crate::rdd::format::objects::object_files;
use crate::rdd::pipe::Data;
use crate::rdd::{Rdd, Step};

/// # Data sets
impl StreamingContext {
    /// What [`save_as_object_files`](crate::DStream::save_as_object_files) or
    /// [`save_as_object_file`](crate::Rdd::save_as_object_file) wrote: a directory,
    /// with its partitions in their order, or one file of it.
    ///
    /// `T` must be the type that was written. The files are read by the workers, a
    /// block at a time, whenever an action asks; they have to stay until then, or be
    /// [cached](Rdd::cache).
    ///
    /// # Errors
    /// If the directory or the file cannot be read, or the directory has no
    /// `_SUCCESS`, as its save did not end. An action fails if a file was
    /// damaged, cut off, or has records of another type. All name the file.
    #[doc(alias = "objectFile")]
    #[track_caller]
    pub fn object_file<T: Data + Codec>(&self, path: impl AsRef<Path>) -> Result<Rdd<T>> {
        let step = Step::new("object_file", Location::caller());
        let files = object_files(path.as_ref(), step)?;
        let executor = Arc::clone(self.inner.graph.executor());
        Ok(Rdd::new(Arc::new(files), executor))
    }
}
