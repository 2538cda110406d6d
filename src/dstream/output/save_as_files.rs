//! `save_as_files`: a directory of files for each batch.

use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::Once;

use crate::disk::{Disk, SharedDisk};
use crate::dstream::DStream;
use crate::rdd::Step;
use crate::rdd::file::clean;
use crate::rdd::format::OutputFormat;
use crate::rdd::pipe::{Data, Pipe};
use crate::time::BatchTime;

/// # Output operations
impl<T: Data, P: Pipe<Out = T>> DStream<T, P> {
    /// Saves each batch, also an empty one, in a [format](crate::rdd::format) as the
    /// directory `prefix-TIME_IN_MS.suffix`: one file per partition, named
    /// `part-00000` and so on with the extension of the format, and an empty file
    /// `_SUCCESS`. Without a suffix there is no dot; an empty
    /// prefix leaves only the time. Directories in the prefix are made.
    ///
    /// The directory appears whole or not at all, and is there after a crash when the
    /// batch has ended; a batch that comes again after a recovery replaces its directory.
    /// So who reads only directories with these names has each batch once: see
    /// [`guide::outputs`](crate::guide::outputs). What a crash left in hidden directories
    /// beside them is removed before the first batch is saved, so no two programs may save
    /// under the same prefix and suffix.
    ///
    /// Guide: Output Operations on DStreams. No shuffle, no state; the workers
    /// write in parallel, a partition each. Per batch each file is synced, and two
    /// directories. A file that cannot be written fails this
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
        let first = Once::new();
        self.output(step.name, step.site, move |rdd, time| {
            first.call_once(|| clean_up(&SharedDisk, &prefix, &suffix));
            rdd.save(step, &directory(&prefix, time, &suffix), &format)
        });
    }
}

/// Removes what a crash left of directories that were not saved to their end.
fn clean_up(disk: &dyn Disk, prefix: &str, suffix: &str) {
    let any = directory(prefix, BatchTime::from_millis(0), suffix);
    let parent = match any.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // The zero in the name stands for all times.
    let after = ending(suffix);
    let before = any
        .file_name()
        .and_then(|name| name.to_str()?.strip_suffix(&after)?.strip_suffix('0'));
    let Some(before) = before else {
        return;
    };
    let is_ours = |name: &str| {
        let time = name
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(&after));
        time.is_some_and(|time| time.parse::<i64>().is_ok())
    };
    if let Err(error) = clean(disk, parent, is_ours) {
        tracing::warn!(?parent, %error, "what was not saved to its end cannot be removed");
    }
}

/// The directory of a batch.
fn directory(prefix: &str, time: BatchTime, suffix: &str) -> PathBuf {
    let dash = if prefix.is_empty() { "" } else { "-" };
    let (time, ending) = (time.as_millis(), ending(suffix));
    format!("{prefix}{dash}{time}{ending}").into()
}

/// What stands behind the time.
fn ending(suffix: &str) -> String {
    let dot = if suffix.is_empty() { "" } else { "." };
    format!("{dot}{suffix}")
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
