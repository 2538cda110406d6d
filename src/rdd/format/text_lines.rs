//! Lines of text.

use std::fmt;
use std::io::{Error, Result, Write};

use super::{OutputFormat, write_pieces};
use crate::rdd::Text;

/// A line per record, in its [`Text`] form; the name of the file has no extension.
///
/// Line breaks inside of a record are written as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextLines;

impl<T: Text> OutputFormat<T> for TextLines {
    fn write(&self, records: impl Iterator<Item = T>, out: &mut dyn Write) -> Result<()> {
        write_pieces(records, out, |record, piece| {
            record.write_text(&mut Bytes(piece)).map_err(Error::other)?;
            piece.push(b'\n');
            Ok(())
        })
    }
}

/// Text at the end of other bytes.
struct Bytes<'b>(&'b mut Vec<u8>);

impl fmt::Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
