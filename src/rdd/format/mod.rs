//! Output formats: how records become a file.
//!
//! [`save_as_files`](crate::DStream::save_as_files) writes the batches of a stream
//! in any [`OutputFormat`], [`save_as_file`](crate::Rdd::save_as_file) a data set:
//! a directory with a file for each partition.

#[cfg(feature = "formats")]
mod csv;
#[cfg(feature = "formats")]
mod json_lines;
#[cfg(feature = "checkpoint")]
pub(crate) mod objects;
mod text_lines;

use std::io::{Result, Write};

#[cfg(feature = "formats")]
pub use self::csv::Csv;
#[cfg(feature = "formats")]
pub use json_lines::JsonLines;
pub use text_lines::TextLines;

/// How the records of a partition become a file.
///
/// Guide: Output Operations on DStreams. In the library are [`TextLines`], and with
/// the feature `formats` JSON lines (`JsonLines`) and comma-separated values
/// (`Csv`).
///
/// # Examples
/// A format of your own, for numbers as they are in memory:
/// ```
/// use std::io::Write;
///
/// use millstream::prelude::*;
/// use millstream::rdd::format::OutputFormat;
///
/// struct LittleEndian;
///
/// impl OutputFormat<u64> for LittleEndian {
///     fn extension(&self) -> &str {
///         "u64"
///     }
///
///     fn write(
///         &self,
///         records: impl Iterator<Item = u64>,
///         out: &mut dyn Write,
///     ) -> std::io::Result<()> {
///         for record in records {
///             out.write_all(&record.to_le_bytes())?;
///         }
///         Ok(())
///     }
/// }
///
/// # fn main() -> millstream::Result<()> {
/// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
/// let directory = std::env::temp_dir().join(format!("numbers-{}", std::process::id()));
/// ssc.parallelize([1, 2, 3], 1).save_as_file(&directory, &LittleEndian)?;
/// assert_eq!(std::fs::read(directory.join("part-00000.u64"))?.len(), 24);
/// # std::fs::remove_dir_all(directory)?;
/// # Ok(())
/// # }
/// ```
pub trait OutputFormat<T>: Send + Sync + 'static {
    /// What a file's name ends with, behind a dot. Default: nothing, and no dot.
    fn extension(&self) -> &str {
        ""
    }

    /// Writes all records of a partition, which may be none, into its file. Called
    /// by a worker, once per partition. `out` is buffered and is flushed
    /// afterwards.
    ///
    /// # Errors
    /// Those of `out`, or of a record that the format cannot hold. The save fails
    /// then.
    fn write(&self, records: impl Iterator<Item = T>, out: &mut dyn Write) -> Result<()>;
}

/// What a format gathers before it hands it to the file, so that there is a call
/// per some hundred records and not for each.
const PIECE: usize = 64 << 10;

/// Writes each record by `append`, in large pieces.
fn write_pieces<T>(
    records: impl Iterator<Item = T>,
    out: &mut dyn Write,
    append: impl Fn(T, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let mut piece = Vec::new();
    for record in records {
        append(record, &mut piece)?;
        if piece.len() >= PIECE {
            out.write_all(&piece)?;
            piece.clear();
        }
    }
    out.write_all(&piece)
}
