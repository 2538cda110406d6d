//! What is done with text that is none.

use std::fmt;

use super::key::Choice;

/// What becomes of a line that is not UTF-8 (`invalid_utf8`), from sockets, from files and of
/// [`text_lines`](crate::StreamingContext::text_lines). How many there were is counted:
/// [`InputInfo::invalid_lines`](crate::listener::InputInfo::invalid_lines).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidUtf8 {
    /// Each of the wrong bytes becomes U+FFFD, as in Spark.
    #[default]
    Replace,
    /// The line is left out.
    Skip,
    /// The batch fails; the error names the stream or the file, and the place in it.
    Error,
}

impl InvalidUtf8 {
    const ALL: [Self; 3] = [Self::Replace, Self::Skip, Self::Error];
    /// Their names, in the same order.
    pub(super) const NAMES: &[&str] = &["replace", "skip", "error"];
}

impl Choice for InvalidUtf8 {
    fn choose(&mut self, number: usize) {
        *self = Self::ALL[number];
    }

    fn number(&self) -> usize {
        *self as usize
    }
}

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[self.number()])
    }
}
