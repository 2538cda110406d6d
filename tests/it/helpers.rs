//! What the tests share beside the public kit: [`millstream::testing`].

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use millstream::prelude::*;
pub(crate) use millstream::testing::{Seen, TestContext as Program, run, watch, watch_partitions};

pub(crate) use crate::own_process::in_own_process;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn at(millis: i64) -> BatchTime {
    BatchTime::from_millis(millis)
}

/// The first error of a program says `what`, and that this was declared in this line of
/// `file`.
pub(crate) fn assert_fails_with(program: &Program, what: &str, (file, line): (&str, u32)) {
    let text = program.ssc.await_termination().expect_err("a batch failed");
    let text = text.to_string();
    let place = format!("declared at {file}:{line}");
    assert!(text.contains(what), "{text}");
    assert!(text.contains(&place), "{text} has not {place}");
}

/// For tests of what happens while a batch runs.
pub(crate) trait Cut {
    /// Lets a second pass, and its batch be cut.
    fn cut(&self);
}

impl Cut for Program {
    fn cut(&self) {
        self.clock.advance(SECOND);
        // The only thread that waits for the clock is the one that cuts.
        self.clock.await_waiters(1);
    }
}

/// A program that goes on from the checkpoints in a directory, if there are any: batches of
/// a second, and what `change` says.
#[cfg(feature = "checkpoint")]
pub(crate) fn recover(
    dir: &Path,
    millis: i64,
    change: impl Fn(millstream::StreamingContextBuilder) -> millstream::StreamingContextBuilder,
) -> Program {
    let clock = millstream::time::ManualClock::new(millis);
    let builder = || {
        let builder = StreamingContext::builder().batch_interval(SECOND);
        builder.clock(clock.clone()).ignore_environment()
    };
    let ssc = StreamingContext::get_or_create(dir, || change(builder()).build());
    let ssc = ssc.expect("a context can be made of what is there");
    Program { ssc, clock }
}

/// A number that a variable says: `CRASH_TRIALS`, `CRASH_IMAGES` and `CRASH_SEED` make the
/// tests with kills and crash images long (`.ci/crash`).
#[cfg(feature = "checkpoint")]
pub(crate) fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().expect("it is a number"))
}

/// A directory that goes away with its test.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("millstream-{}-{name}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("the temporary directory takes files");
        Self(path)
    }

    pub(crate) fn file(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).expect("the file was written")
    }

    pub(crate) fn prefix(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl std::ops::Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes a file that was modified at `millis`, and renames it to `path`.
pub(crate) fn put(path: impl AsRef<Path>, millis: u64, text: impl AsRef<[u8]>) {
    let path = path.as_ref();
    let aside = path.with_file_name(".aside");
    fs::write(&aside, text).expect("the directory takes files");
    touch(&aside, millis);
    fs::rename(&aside, path).expect("both are in one directory");
}

/// Makes a file one that was modified at `millis`.
pub(crate) fn touch(path: &Path, millis: u64) {
    let file = fs::File::options()
        .write(true)
        .open(path)
        .expect("the file is there");
    let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    file.set_modified(time).expect("it is ours");
}
