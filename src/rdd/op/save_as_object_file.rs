//! `save_as_object_file`: records that can be read back.

use std::panic::Location;
use std::path::Path;

use crate::codec::Codec;
use crate::error::Result;
use crate::rdd::Rdd;
use crate::rdd::format::objects::Objects;
use crate::rdd::pipe::{Data, Pipe, Step};

impl<T: Data + Codec, P: Pipe<Out = T>> Rdd<T, P> {
    /// Writes the records as bytes into the directory, for
    /// [`object_file`](crate::StreamingContext::object_file) to read back: see
    /// [`save_as_file`](Self::save_as_file). They are in blocks with a checksum
    /// each, and an end, so that damage is found when they are read.
    ///
    /// # Errors
    /// If a file cannot be written (the message names it), a step fails, or the records are of
    /// a type that could not be read back, as one with serde's `tag` or `untagged`.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let directory = std::env::temp_dir().join(format!("objects-{}", std::process::id()));
    /// let counts = [(Str::from("to"), 2_u64), (Str::from("be"), 2)];
    /// ssc.parallelize(counts.clone(), 2).save_as_object_file(&directory)?;
    /// let read: Rdd<(Str, u64)> = ssc.object_file(&directory)?;
    /// assert_eq!(read.collect()?, counts);
    /// # std::fs::remove_dir_all(directory)?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "saveAsObjectFile")]
    #[track_caller]
    pub fn save_as_object_file(&self, directory: impl AsRef<Path>) -> Result<()> {
        let step = Step::new("save_as_object_file", Location::caller());
        self.save(step, directory.as_ref(), &Objects)
    }
}
