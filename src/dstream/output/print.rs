//! `print`: the first records of each batch on standard output.

use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::Location;

use crate::dstream::DStream;
use crate::error::{Error, Result};
use crate::rdd::Text;
use crate::rdd::pipe::{Data, Pipe};
use crate::time::BatchTime;

/// The line above and below the time.
const RULE: &str = "-------------------------------------------";

/// # Output operations
impl<T: Data + Text, P: Pipe<Out = T>> DStream<T, P> {
    /// Prints the first ten records of each batch, under its time.
    ///
    /// # Panics
    /// If the context was started.
    #[doc(alias = "pprint")]
    #[track_caller]
    pub fn print(&self) {
        self.output("print", Location::caller(), |rdd, time| {
            emit(&block(time, &rdd.take(11)?, 10))
        });
    }

    /// Prints the first `n` records of each batch, under its time, each in its
    /// [`Text`] form, and `...` if there are more.
    ///
    /// # Panics
    /// If the context was started.
    ///
    /// # Examples
    /// A batch looks like this:
    /// ```text
    /// -------------------------------------------
    /// Time: 1357008430000 ms
    /// -------------------------------------------
    /// (hello,1)
    /// (world,1)
    /// ...
    ///
    /// ```
    #[track_caller]
    pub fn print_n(&self, n: usize) {
        self.output("print", Location::caller(), move |rdd, time| {
            // One more tells whether there are more.
            emit(&block(time, &rdd.take(n.saturating_add(1))?, n))
        });
    }
}

/// The text of one batch.
fn block<T: Text>(time: BatchTime, records: &[T], n: usize) -> String {
    let mut text = format!("{RULE}\nTime: {time}\n{RULE}\n");
    for record in records.iter().take(n) {
        text.push_str(&record.to_text());
        text.push('\n');
    }
    if records.len() > n {
        text.push_str("...\n");
    }
    text.write_char('\n').expect("a String takes any text");
    text
}

/// In one write, so that batches of several contexts do not mix.
fn emit(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|cause| Error::io("print: standard output cannot be written", cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_the_format_of_the_guide() {
        let time = BatchTime::from_millis(2000);
        assert_eq!(
            block(time, &[("hello", 1), ("world", 2)], 10),
            "-------------------------------------------\n\
             Time: 2000 ms\n\
             -------------------------------------------\n\
             (hello,1)\n(world,2)\n\n"
        );
        assert_eq!(RULE.len(), 43);
    }

    #[test]
    fn dots_stand_for_more_than_n_records_only() {
        let time = BatchTime::from_millis(1);
        assert!(block(time, &[1, 2, 3], 2).ends_with("\n1\n2\n...\n\n"));
        assert!(block(time, &[1, 2], 2).ends_with("\n1\n2\n\n"));
        assert!(block::<u8>(time, &[], 2).ends_with("---\n\n"));
    }
}
