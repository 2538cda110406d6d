//! `save_as_file`: a directory with one file per partition.

use std::io::{self, BufWriter, Write};
use std::panic::Location;
use std::path::Path;

use crate::disk::{Disk, SharedDisk};
use crate::error::{Error, Result};
use crate::rdd::Rdd;
use crate::rdd::file::{Appending, NewDirectory};
use crate::rdd::format::OutputFormat;
use crate::rdd::pipe::{Data, Pipe, Step};

/// The empty file that tells that all others are there.
pub(crate) const MARKER: &str = "_SUCCESS";

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Writes the records in a [format](crate::rdd::format): partition `i` into
    /// `part-0000i`, with the extension of the format if it has one, and an empty
    /// file `_SUCCESS`. The directory appears whole or not at all, and is there after a
    /// crash when this returns: the files are written into a directory beside it, named
    /// `.NAME.saving`, which gets its name when all of them are durable. One that was
    /// saved before is replaced.
    ///
    /// No shuffle; the workers write in parallel, a partition each. Each file is synced,
    /// and two directories.
    ///
    /// # Errors
    /// If the name of the directory is empty, there is one with files that were not saved
    /// there, a file cannot be written (the message names it), or a step or the format
    /// fails. Then what was there before stays.
    ///
    /// # Examples
    /// ```
    /// use millstream::prelude::*;
    /// use millstream::rdd::format::TextLines;
    ///
    /// # fn main() -> millstream::Result<()> {
    /// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
    /// let directory = std::env::temp_dir().join(format!("pairs-{}", std::process::id()));
    /// ssc.parallelize([("a", 1), ("b", 2)], 2).save_as_file(&directory, &TextLines)?;
    /// assert_eq!(std::fs::read_to_string(directory.join("part-00001"))?, "(b,2)\n");
    /// # std::fs::remove_dir_all(directory)?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "saveAsHadoopFile")]
    #[doc(alias = "saveAsNewAPIHadoopFile")]
    #[track_caller]
    pub fn save_as_file(
        &self,
        directory: impl AsRef<Path>,
        format: &impl OutputFormat<T>,
    ) -> Result<()> {
        let step = Step::new("save_as_file", Location::caller());
        self.save(step, directory.as_ref(), format)
    }

    /// See [`save_as_file`](Self::save_as_file); `step` is who asks for it.
    pub(crate) fn save(
        &self,
        step: Step,
        directory: &Path,
        format: &impl OutputFormat<T>,
    ) -> Result<()> {
        if directory.as_os_str().is_empty() {
            // The system would take it for the working directory.
            return Err(Error::invalid_argument(format!(
                "{}: no directory is named",
                step.name
            )));
        }
        self.save_on(&SharedDisk, step, directory, format)
    }

    /// As [`save`](Self::save), on a disk.
    pub(crate) fn save_on(
        &self,
        disk: &dyn Disk,
        step: Step,
        directory: &Path,
        format: &impl OutputFormat<T>,
    ) -> Result<()> {
        let whole = |cause| refused(directory, cause);
        let new = NewDirectory::begin(disk, directory).map_err(whole)?;
        self.each_in_parallel(Some(step), |records| {
            let name = part_name(records.partition_index(), format.extension());
            let write = || {
                let mut file = new.create(&name)?;
                let mut out = BufWriter::new(Appending(&mut *file));
                format.write(records, &mut out)?;
                out.flush()?;
                drop(out);
                // By the worker: the job waits for it in any case, and the file need not
                // stay open until all others are written.
                file.sync()
            };
            write().map_err(|cause| refused(&directory.join(&name), cause))
        })?;
        new.create(MARKER).map_err(whole)?;
        new.publish().map_err(whole)
    }
}

fn refused(path: &Path, cause: io::Error) -> Error {
    Error::io(format!("{} cannot be written", path.display()), cause)
}

/// The name of the file of partition `index`.
fn part_name(index: usize, extension: &str) -> String {
    let dot = if extension.is_empty() { "" } else { "." };
    format!("part-{index:05}{dot}{extension}")
}

/// Which partition a file is of, if it is of one.
pub(crate) fn part_number(name: &str) -> Option<usize> {
    name.strip_prefix("part-")?.split('.').next()?.parse().ok()
}
