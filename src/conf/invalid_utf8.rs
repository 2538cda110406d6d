//! What is done with text that is none.

use std::fmt;

use super::keys::Choice;

/// What becomes of a line that is not UTF-8 (`invalid_utf8`), where lines are read from sockets, files and
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
    fn choose(&mut self, word: &str) -> bool {
        let chosen = Self::ALL.into_iter().find(|each| each.word() == word);
        chosen.inspect(|&chosen| *self = chosen).is_some()
    }

    fn word(&self) -> &'static str {
        Self::NAMES[*self as usize]
    }
}

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
