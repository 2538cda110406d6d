//! `save_as_file`: a directory with one file per partition.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::panic::Location;
use std::path::Path;

use crate::error::{Error, Result};
use crate::rdd::Rdd;
use crate::rdd::format::OutputFormat;
use crate::rdd::pipe::{Data, Pipe, Step};

/// The empty file that tells that all others are there.
pub(crate) const MARKER: &str = "_SUCCESS";

impl<T: Data, P: Pipe<Out = T>> Rdd<T, P> {
    /// Writes the records in a [format](crate::rdd::format): partition `i` into
    /// `part-0000i`, with the extension of the format if it has one, and an empty
    /// file `_SUCCESS` when all are there. An existing directory is no error: files
    /// of the same names are replaced.
    ///
    /// No shuffle; the workers write in parallel, a partition each.
    ///
    /// # Errors
    /// If the name of the directory is empty, a file cannot be written (the message
    /// names it), or a step or the format fails. There is no `_SUCCESS` then.
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
        fs::create_dir_all(directory).map_err(|cause| refused(directory, cause))?;
        let marker = directory.join(MARKER);
        // That of an earlier save: these files are not there yet.
        match fs::remove_file(&marker) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                return Err(refused(&marker, cause));
            }
            _ => {}
        }
        self.each_in_parallel(Some(step), |records| {
            let name = part_name(records.partition_index(), format.extension());
            let path = directory.join(name);
            let write = || {
                let mut file = BufWriter::new(File::create(&path)?);
                format.write(records, &mut file)?;
                file.flush()
            };
            write().map_err(|cause| refused(&path, cause))
        })?;
        File::create(&marker).map_err(|cause| refused(&marker, cause))?;
        Ok(())
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
#[cfg(feature = "checkpoint")]
pub(crate) fn part_number(path: &Path) -> Option<usize> {
    let name = path.file_name()?.to_str()?.strip_prefix("part-")?;
    name.split('.').next()?.parse().ok()
}
