//! `save_as_text_files`: a directory of text files for each batch.

use std::panic::Location;

use crate::dstream::DStream;
use crate::rdd::format::TextLines;
use crate::rdd::pipe::{Data, Pipe};
use crate::rdd::{Step, Text};

/// # Output operations
impl<T: Data + Text, P: Pipe<Out = T>> DStream<T, P> {
    /// Saves each batch as a directory `prefix-TIME_IN_MS.suffix` of text files, with
    /// one line per record in its [`Text`] form: see
    /// [`save_as_files`](Self::save_as_files).
    ///
    /// Guide: Output Operations on DStreams.
    ///
    /// # Panics
    /// If the context was started.
    #[doc(alias = "saveAsTextFiles")]
    #[track_caller]
    pub fn save_as_text_files(&self, prefix: &str, suffix: &str) {
        let step = Step::new("save_as_text_files", Location::caller());
        self.save(step, prefix, suffix, TextLines);
    }
}
