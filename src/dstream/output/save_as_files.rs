//! `save_as_files`: a directory of files for each batch.

use std::panic::Location;
use std::path::PathBuf;

use crate::dstream::DStream;
use crate::rdd::Step;
use crate::rdd::format::OutputFormat;
use crate::rdd::pipe::{Data, Pipe};
use crate::time::BatchTime;

/// # Output operations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Saves each batch, also an empty one, in a [format](crate::rdd::format) as the
    /// directory `prefix-TIME_IN_MS.suffix`: one file per partition, named
    /// `part-00000` and so on with the extension of the format, and an empty file
    /// `_SUCCESS` when all are there. Without a suffix there is no dot; an empty
    /// prefix leaves only the time. Directories in the prefix are made.
    ///
    /// Guide: Output Operations on DStreams. No shuffle, no state; the workers
    /// write in parallel, a partition each. A file that cannot be written fails this
    /// operation of this batch, with its name in the message.
    ///
    /// # Panics
    /// If the context was started.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    /// use millstream::rdd::format::TextLines;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// # let queue = RddQueue::<(Str, u64)>::new();
    /// let counts = ssc.queue_stream(&queue)?;
    /// // out/counts-1700000000000.txt/part-00000, ...
    /// counts.save_as_files("out/counts", "txt", TextLines);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "saveAsHadoopFiles")]
    #[doc(alias = "saveAsNewAPIHadoopFiles")]
    #[track_caller]
    pub fn save_as_files(&self, prefix: &str, suffix: &str, format: impl OutputFormat<T>) {
        let step = Step::new("save_as_files", Location::caller());
        self.save(step, prefix, suffix, format);
    }

    /// See [`save_as_files`](Self::save_as_files); `step` is who asks for it.
    pub(super) fn save(
        &self,
        step: Step,
        prefix: &str,
        suffix: &str,
        format: impl OutputFormat<T>,
    ) {
        let (prefix, suffix) = (prefix.to_owned(), suffix.to_owned());
        self.output(step.name, step.site, move |rdd, time| {
            rdd.save(step, &directory(&prefix, time, &suffix), &format)
        });
    }
}

/// The directory of a batch.
fn directory(prefix: &str, time: BatchTime, suffix: &str) -> PathBuf {
    let mut name = String::new();
    if !prefix.is_empty() {
        name.push_str(prefix);
        name.push('-');
    }
    name.push_str(&time.as_millis().to_string());
    if !suffix.is_empty() {
        name.push('.');
        name.push_str(suffix);
    }
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_guide() {
        let name = |prefix, suffix| {
            let path = directory(prefix, BatchTime::from_millis(1000), suffix);
            path.to_str().map(str::to_owned).unwrap()
        };
        assert_eq!(name("out/words", "txt"), "out/words-1000.txt");
        assert_eq!(name("words", ""), "words-1000");
        assert_eq!(name("", "txt"), "1000.txt");
    }
}
