//! `save_as_text_file`: a directory with one file of lines per partition.

use std::panic::Location;
use std::path::Path;

use crate::error::Result;
use crate::rdd::format::TextLines;
use crate::rdd::pipe::{Data, Pipe, Step};
use crate::rdd::{Rdd, Text};

impl<T: Data + Text, P: Pipe<Out = T>> Rdd<T, P> {
    /// Writes one line per record, in its [`Text`] form, into the directory: see
    /// [`save_as_file`](Self::save_as_file).
    ///
    /// # Errors
    /// If a file cannot be written (the message names it), or a step fails.
    #[doc(alias = "saveAsTextFile")]
    #[track_caller]
    pub fn save_as_text_file(&self, directory: impl AsRef<Path>) -> Result<()> {
        let step = Step::new("save_as_text_file", Location::caller());
        self.save(step, directory.as_ref(), &TextLines)
    }
}
