//! `save_as_text_files`: a directory of text files for each batch.

use std::panic::Location;

use crate::dstream::DStream;
use crate::rdd::Text;
use crate::rdd::pipe::{Data, Pipe};
use crate::time::BatchTime;

/// # Output operations
impl<T: Data + Text, P: Pipe<Out = T>> DStream<T, P> {
    /// Saves each batch, also an empty one, as the directory
    /// `prefix-TIME_IN_MS.suffix`: one file per partition, one line per record
    /// in its [`Text`] form. Without a suffix there is no dot; an empty prefix
    /// leaves only the time.
    ///
    /// # Panics
    /// If the context was started.
    #[doc(alias = "saveAsTextFiles")]
    #[track_caller]
    pub fn save_as_text_files(&self, prefix: &str, suffix: &str) {
        let (prefix, suffix) = (prefix.to_owned(), suffix.to_owned());
        self.output(
            "save_as_text_files",
            Location::caller(),
            move |rdd, time| rdd.save_as_text_file(directory(&prefix, time, &suffix)),
        );
    }
}

/// The name of a batch's directory (S-17).
fn directory(prefix: &str, time: BatchTime, suffix: &str) -> String {
    let mut name = String::new();
    if !prefix.is_empty() {
        name.push_str(prefix);
        name.push('-');
    }
    name.push_str(&time.as_millis().to_string());
    if !suffix.is_empty() {
        name.push('.');
        name.push_str(suffix);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_guide() {
        let time = BatchTime::from_millis(1000);
        assert_eq!(directory("out/words", time, "txt"), "out/words-1000.txt");
        assert_eq!(directory("words", time, ""), "words-1000");
        assert_eq!(directory("", time, "txt"), "1000.txt");
    }
}
