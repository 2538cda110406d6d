//! Comma-separated values.

use std::io::{Result, Write};

use serde::Serialize;

use super::OutputFormat;

/// A row of comma-separated values per record, as RFC 4180 has them but for the
/// line end, which is `\n`; in files that end with `.csv`.
///
/// For records that implement serde's `Serialize`: structs, tuples and single
/// values. A value is quoted if it needs to be. All rows of a file must have the
/// same number of values.
///
/// # Examples
/// ```
/// use millstream::prelude::*;
/// use millstream::rdd::format::Csv;
///
/// # fn main() -> millstream::Result<()> {
/// # let ssc = StreamingContext::builder().batch_interval(Duration::from_secs(1)).build()?;
/// # let queue = RddQueue::<Str>::new();
/// let counts = ssc.queue_stream(&queue)?.count_by_value();
/// // counts-1700000000000/part-00000.csv: hello,1
/// counts.save_as_files("counts", "", Csv::new());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a format does nothing until a save uses it"]
pub struct Csv {
    delimiter: u8,
    header: bool,
}

impl Csv {
    /// Commas, and no header.
    pub fn new() -> Self {
        Self {
            delimiter: b',',
            header: false,
        }
    }

    /// Begins each file that has records with the names of their fields. For
    /// structs. Default: no header.
    pub fn with_header(mut self) -> Self {
        self.header = true;
        self
    }

    /// The byte between two values. Default: a comma.
    ///
    /// # Panics
    /// If it is a quote or a line break.
    #[track_caller]
    pub fn with_delimiter(mut self, delimiter: u8) -> Self {
        assert!(
            !matches!(delimiter, b'"' | b'\n' | b'\r'),
            "{:?} cannot be the delimiter of comma-separated values",
            char::from(delimiter)
        );
        self.delimiter = delimiter;
        self
    }
}

impl Default for Csv {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Serialize> OutputFormat<T> for Csv {
    fn extension(&self) -> &str {
        "csv"
    }

    fn write(&self, records: impl Iterator<Item = T>, out: &mut dyn Write) -> Result<()> {
        let mut rows = csv::WriterBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(self.header)
            .from_writer(out);
        for record in records {
            rows.serialize(record)?;
        }
        rows.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    fn written<T: Serialize>(format: Csv, records: Vec<T>) -> Result<String> {
        let mut out = Vec::new();
        format.write(records.into_iter(), &mut out)?;
        Ok(String::from_utf8(out).expect("the values are UTF-8"))
    }

    #[test]
    fn values_are_quoted_if_they_need_to_be() {
        let rows = vec![
            ("plain", " spaces ", ""),
            ("a,b", "say \"hi\"", "two\nlines"),
            ("\r", "'single'", "wörter→😀"),
            ("", "", ""),
        ];
        let expected = "plain, spaces ,\n\
            \"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\n\
            \"\r\",'single',wörter→😀\n\
            ,,\n";
        assert_eq!(written(Csv::new(), rows).unwrap(), expected);
        // A row of one empty value is no empty line.
        assert_eq!(written(Csv::new(), vec!["", "x"]).unwrap(), "\"\"\nx\n");
        assert_eq!(written::<u8>(Csv::new(), vec![]).unwrap(), "");
    }

    #[derive(Serialize)]
    struct Order {
        item: &'static str,
        price: f64,
        express: Option<bool>,
    }

    #[test]
    fn headers_and_delimiters() {
        let orders = || {
            let order = |item, express| Order {
                item,
                price: 1.5,
                express,
            };
            vec![order("a;b", None), order("c,d", Some(true))]
        };
        assert_eq!(
            written(Csv::new().with_header(), orders()).unwrap(),
            "item,price,express\na;b,1.5,\n\"c,d\",1.5,true\n"
        );
        assert_eq!(
            written(Csv::new().with_delimiter(b';'), orders()).unwrap(),
            "\"a;b\";1.5;\nc,d;1.5;true\n"
        );
        for delimiter in [b'"', b'\n', b'\r'] {
            catch_unwind(|| Csv::new().with_delimiter(delimiter)).unwrap_err();
        }
    }

    #[test]
    fn what_is_no_row_is_an_error() {
        let uneven = vec![vec![1, 2], vec![3]];
        let error = written(Csv::new(), uneven).unwrap_err().to_string();
        assert!(error.contains("previous record has 2 fields"), "{error}");
        let nested = vec![std::collections::BTreeMap::from([(1, 2)])];
        let error = written(Csv::new(), nested).unwrap_err().to_string();
        assert!(error.contains("maps is not supported"), "{error}");
    }
}
