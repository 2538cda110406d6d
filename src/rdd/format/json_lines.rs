//! JSON lines.

use std::io::{Result, Write};

use serde::Serialize;

use super::{OutputFormat, write_pieces};

/// A JSON value per line: JSON Lines, in files that end with `.jsonl`.
///
/// For records that implement serde's `Serialize`. A line break inside of a record
/// is escaped, so a line is a record; floating-point numbers that JSON has not
/// (NaN, infinity) become `null`.
///
/// # Examples
/// ```
/// use millstream::prelude::*;
/// use millstream::rdd::format::JsonLines;
/// use serde::Serialize;
///
/// #[derive(Clone, Serialize)]
/// struct Count {
///     word: Str,
///     count: u64,
/// }
///
/// # fn main() -> millstream::Result<()> {
/// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
/// # let queue = RddQueue::<Str>::new();
/// let words = ssc.queue_stream(&queue)?;
/// let counts = words.count_by_value().map(|(word, count)| Count { word, count });
/// // counts-1700000000000.json/part-00000.jsonl: {"word":"hello","count":1}
/// counts.save_as_files("counts", "json", JsonLines);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonLines;

impl<T: Serialize> OutputFormat<T> for JsonLines {
    fn extension(&self) -> &str {
        "jsonl"
    }

    fn write(&self, records: impl Iterator<Item = T>, out: &mut dyn Write) -> Result<()> {
        write_pieces(records, out, |record, piece| {
            serde_json::to_writer(&mut *piece, &record)?;
            piece.push(b'\n');
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn written<T: Serialize>(records: Vec<T>) -> Result<String> {
        let mut out = Vec::new();
        JsonLines.write(records.into_iter(), &mut out)?;
        Ok(String::from_utf8(out).expect("JSON is UTF-8"))
    }

    #[test]
    fn a_line_is_a_record_whatever_is_in_it() {
        let texts = [
            "",
            "\"\\/",
            "a\nb\r\n\t",
            "\u{0}\u{1f}\u{7f}",
            "wörter→😀\u{2028}",
        ];
        let expected = "\"\"\n\
            \"\\\"\\\\/\"\n\
            \"a\\nb\\r\\n\\t\"\n\
            \"\\u0000\\u001f\u{7f}\"\n\
            \"wörter→😀\u{2028}\"\n";
        assert_eq!(written(texts.to_vec()).unwrap(), expected);
    }

    #[test]
    fn records_of_all_shapes() {
        #[derive(Serialize)]
        enum Shape {
            Unit,
            Tuple(u64, Option<bool>),
            Struct { x: f64, list: Vec<i8> },
        }
        let shapes = vec![
            Shape::Unit,
            Shape::Tuple(u64::MAX, None),
            Shape::Struct {
                x: f64::NAN,
                list: vec![-1, 2],
            },
        ];
        let expected = "\"Unit\"\n\
            {\"Tuple\":[18446744073709551615,null]}\n\
            {\"Struct\":{\"x\":null,\"list\":[-1,2]}}\n";
        assert_eq!(written(shapes).unwrap(), expected);
        assert_eq!(written::<u8>(vec![]).unwrap(), "");
    }

    #[test]
    fn what_json_cannot_say_is_an_error() {
        let keys = BTreeMap::from([((1, 2), 3)]);
        let error = written(vec![keys]).unwrap_err();
        assert_eq!(error.to_string(), "key must be a string");
    }
}
