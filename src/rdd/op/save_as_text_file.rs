//! `save_as_text_file`: a directory with one file per partition.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::rdd::Rdd;
use crate::rdd::Text;
use crate::rdd::pipe::{Data, Pipe};

impl<T: Data + Text, P: Pipe<Out = T>> Rdd<T, P> {
    /// Writes one line per record, in its [`Text`] form: partition `i` into
    /// `part-0000i`, and an empty file `_SUCCESS` when all are there. An existing
    /// directory is no error; files of the same names are replaced.
    ///
    /// # Errors
    /// If a file cannot be written (the message names it), or a step fails.
    #[doc(alias = "saveAsTextFile")]
    pub fn save_as_text_file(&self, directory: impl AsRef<Path>) -> Result<()> {
        let directory = directory.as_ref();
        fs::create_dir_all(directory).map_err(|cause| refused(directory, cause))?;
        self.each_in_parallel(None, |records| {
            let path = directory.join(format!("part-{:05}", records.partition_index()));
            write_lines(&path, records).map_err(|cause| refused(&path, cause))
        })?;
        let marker = directory.join("_SUCCESS");
        File::create(&marker).map_err(|cause| refused(&marker, cause))?;
        Ok(())
    }
}

fn refused(path: &Path, cause: std::io::Error) -> Error {
    Error::io(format!("{} cannot be written", path.display()), cause)
}

fn write_lines<T: Text>(path: &Path, records: impl Iterator<Item = T>) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut line = String::new();
    for record in records {
        line.clear();
        record
            .write_text(&mut line)
            .map_err(std::io::Error::other)?;
        line.write_char('\n').map_err(std::io::Error::other)?;
        file.write_all(line.as_bytes())?;
    }
    file.flush()
}
