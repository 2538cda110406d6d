//! Files that turn up in directories.
//!
//! When a job asks for a batch, the directories are listed once for all batches
//! that were cut and not made yet. [`listing`] tells what is there, [`selection`]
//! whose turn a file is; what a file is made of is a
//! [`InputFormat`](crate::rdd::file::InputFormat). Nothing is opened before the batch runs.
//!
//! What is kept: the paths of one remember window, and eight bytes for each other
//! file that is in the directories.

mod directory;
mod listing;
mod pattern;
mod saved;
mod selection;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::io;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;

pub use directory::Directory;

use super::direct::{Direct, DirectNode, Made, Told};
use crate::dstream::durable::Repeated;
use crate::dstream::{DStream, Graph};
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::rdd::file::{BatchFile, Files, InputFormat, Tally};
use crate::rdd::pipe::Data;
use crate::rdd::{Rdd, Step};
use crate::time::{BatchTime, Clock, Duration};
use directory::Filter;
use pattern::Pattern;
use selection::{Choice, Ignored, Pass, Selection};

/// Names in the description of a batch, at the most.
const MAX_NAMES: usize = 1000;

/// Warnings that would come with every batch come once in this time.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// A file that is dated so much later than now is told of.
const FUTURE: Duration = Duration::from_secs(1);

/// Lists directories, and makes batches of the files.
pub(crate) struct FileDirect<F> {
    name: String,
    pattern: Pattern,
    filter: Option<Filter>,
    format: Arc<F>,
    /// For errors: what reads the files.
    step: Step,
    selection: Selection,
    executor: Arc<Executor>,
    clock: Arc<dyn Clock>,
    interval: Duration,
    /// What could not be listed the last time.
    failing: Option<String>,
    /// When it was last said that a listing took long.
    slow: Option<BatchTime>,
    repeated: Option<Repeated>,
}

impl<F> FileDirect<F> {
    /// Declares a file input, for the operation `operation` of the program.
    pub(crate) fn declare<T: Data>(
        graph: &Arc<Graph>,
        clock: &Arc<dyn Clock>,
        (operation, site): (&'static str, &'static Location<'static>),
        directory: Directory,
        min_remember: Duration,
        format: F,
    ) -> Result<DStream<T>>
    where
        F: InputFormat<T>,
    {
        let Directory {
            pattern: text,
            filter,
            new_files_only,
        } = directory;
        let pattern = Pattern::parse(&text).map_err(|problem| {
            Error::invalid_argument(format!("the directory {text:?}: {problem}")).at(site)
        })?;
        let interval = graph.batch_interval();
        let initial = if new_files_only {
            clock.now_millis()
        } else {
            0
        };
        DirectNode::declare(graph, "File", site, |name| Self {
            name: name.to_owned(),
            pattern,
            filter,
            format: Arc::new(format),
            step: Step::new(operation, site),
            selection: Selection::new(initial, remember_window(interval, min_remember)),
            executor: Arc::clone(graph.executor()),
            clock: Arc::clone(clock),
            interval,
            failing: None,
            slow: None,
            repeated: None,
        })
    }

    fn is_repeated(&self, time: BatchTime) -> bool {
        let repeated = self.repeated.as_ref();
        repeated.is_some_and(|repeated| time < repeated.fresh_from)
    }

    /// Offers everything that is in the directories; whether they could be listed.
    fn look(&mut self, times: &[BatchTime]) -> (Vec<Vec<Choice>>, Ignored) {
        let mut failing = String::new();
        let mut fail = |path: &Path, cause: io::Error| {
            if !failing.is_empty() {
                failing.push_str(", ");
            }
            // Writing to a string does not fail.
            let _ = write!(failing, "{path:?}: {cause}");
        };
        let directories = self.pattern.directories(&mut fail);
        let now = self.clock.now_millis() + FUTURE.as_millis() as i64;
        let mut pass = self.selection.pass(times);
        for directory in &directories {
            if let Err(cause) = offer_all(directory, self.filter.as_ref(), &mut pass, now) {
                fail(directory, cause);
            }
        }
        if pass.waiting > 0 {
            tracing::warn!(
                input = self.name,
                files = pass.waiting,
                "files are dated in the future and wait until then"
            );
        }
        let ignored = std::mem::take(&mut pass.ignored);
        let batches = pass.finish(failing.is_empty());
        let nothing = directories.is_empty() && failing.is_empty();
        if nothing {
            failing.push_str("no directory matches");
        }
        self.tell_failing(failing);
        (batches, ignored)
    }

    /// Warns when something changed: a directory that is missing is missing in
    /// every batch.
    fn tell_failing(&mut self, failing: String) {
        let failing = (!failing.is_empty()).then_some(failing);
        if failing == self.failing {
            return;
        }
        match &failing {
            Some(what) => tracing::warn!(
                input = self.name,
                "no files for now, tried again for each batch: {what}"
            ),
            None => tracing::info!(input = self.name, "all directories can be listed again"),
        }
        self.failing = failing;
    }

    fn tell_ignored(&self, ignored: &Ignored) {
        for (reason, files, example) in ignored.iter() {
            let (input, what) = (&self.name, reason.describe());
            if reason.is_odd() {
                tracing::warn!(input, files, ?example, "files are not read: {what}");
            } else {
                tracing::info!(input, files, ?example, "files are not read: {what}");
            }
        }
    }

    /// Warns if listing takes longer than it may for so many batches.
    fn tell_slow(&mut self, took: Duration, times: &[BatchTime]) {
        let Some(&time) = times.last() else { return };
        let may = self.interval.saturating_mul(times.len() as u32);
        if took <= may || self.slow.is_some_and(|told| time < told + WARN_EVERY) {
            return;
        }
        self.slow = Some(time);
        tracing::warn!(
            input = self.name,
            ?took,
            batches = times.len(),
            "listing the directories takes longer than the batch interval: move files away that \
             were read, or take a longer interval"
        );
    }

    /// The batch of some files.
    fn make<T: Data>(&self, files: &[Choice], ignored: Ignored) -> Made<T>
    where
        F: InputFormat<T>,
    {
        let tally = Arc::new(Tally::default());
        let mut parts = Vec::with_capacity(files.len());
        for Choice { path, found } in files {
            let path = Arc::clone(path);
            let file = BatchFile::new(path, found.len, found.identity, Arc::clone(&tally));
            Arc::clone(&self.format).split(file, &mut parts);
        }
        let data = Arc::new(Files::new(parts.into(), self.step, Arc::clone(&tally)));
        let names: Vec<_> = files.iter().map(|file| Arc::clone(&file.path)).collect();
        Made {
            rdd: Ok(Some(Rdd::new(data, Arc::clone(&self.executor)))),
            report: Some(Box::new(move || Told {
                num_records: tally.records(),
                description: describe(&names, &ignored, &tally),
            })),
        }
    }

    /// A batch that a process before this one may have made: of the files that were noted.
    fn make_again<T: Data>(&mut self, time: BatchTime) -> Made<T>
    where
        F: InputFormat<T>,
    {
        let noted = self.repeated.as_mut().map(|repeated| &mut repeated.noted);
        let Some(noted) = noted.and_then(|noted| noted.remove(&time)) else {
            return self.make_none();
        };
        match self.choose_again(&noted, time) {
            Ok(files) => self.make(&files, Ignored::default()),
            Err(error) => Made {
                rdd: Err(error),
                report: None,
            },
        }
    }

    fn choose_again(&mut self, noted: &[u8], time: BatchTime) -> Result<Vec<Choice>> {
        let paths = saved::read_paths(noted)?.into_iter().map(Arc::from);
        let paths: Vec<Arc<Path>> = paths.collect();
        for path in &paths {
            self.selection.take(path, time);
        }
        let chosen = paths.into_iter().map(|path| match listing::found(&path) {
            Ok(found) => Ok(Choice { path, found }),
            Err(cause) => {
                let what = format!("{path:?}, which the batch had before, cannot be read");
                Err(Error::io(what, cause))
            }
        });
        chosen.collect()
    }

    /// Batches that nobody made before: of what is in the directories.
    fn make_new<T: Data>(&mut self, times: &[BatchTime]) -> Vec<Made<T>>
    where
        F: InputFormat<T>,
    {
        self.repeated = None;
        let started = self.clock.now_nanos();
        let (batches, ignored) = self.look(times);
        let took = self.clock.now_nanos().saturating_sub(started).max(0);
        self.tell_slow(Duration::from_nanos(took.unsigned_abs()), times);
        self.tell_ignored(&ignored);
        // Nobody knows to which batch a file belongs that belongs to none.
        let mut ignored = ignored.is_any().then_some(ignored);
        let batches = batches.iter().map(|files| match ignored.take() {
            None if files.is_empty() => self.make_none(),
            ignored => self.make(files, ignored.unwrap_or_default()),
        });
        batches.collect()
    }

    /// The batch of no files.
    fn make_none<T: Data>(&self) -> Made<T> {
        let executor = Arc::clone(&self.executor);
        Made {
            rdd: Ok(Some(Rdd::ready(Vec::new().into(), executor))),
            report: None,
        }
    }
}

/// The least multiple of the interval that is not shorter than `least`.
fn remember_window(interval: Duration, least: Duration) -> Duration {
    let (interval, least) = (interval.as_millis(), least.as_millis());
    let window = least.div_ceil(interval.max(1)) * interval;
    Duration::from_millis(u64::try_from(window).unwrap_or(u64::MAX))
}

fn offer_all(
    directory: &Path,
    filter: Option<&Filter>,
    pass: &mut Pass<'_>,
    now: i64,
) -> io::Result<()> {
    let by_name = |name: &[u8]| match filter {
        Some(_) => None,
        None => listing::usual_names(name),
    };
    listing::list(directory, by_name, |path, what| match what {
        Ok(found) => pass.offer(path, found, now, |path| {
            filter.is_none_or(|filter| filter(path))
        }),
        Err(reason) => pass.ignore(path, reason),
    })
}

/// The names of the files, one in a line, and what there is to say of them.
fn describe(names: &[Arc<Path>], ignored: &Ignored, tally: &Tally) -> String {
    let mut text = String::new();
    for name in names.iter().take(MAX_NAMES) {
        let name = name.to_string_lossy();
        let _ = writeln!(text, "{}", name.escape_debug());
    }
    if names.len() > MAX_NAMES {
        let _ = writeln!(text, "and {} more", names.len() - MAX_NAMES);
    }
    for (reason, files, _) in ignored.iter() {
        let _ = writeln!(text, "not read, {}: {files}", reason.describe());
    }
    let counts = [
        ("changed between choosing and reading", tally.changed()),
        (
            "lines longer than max_line_bytes, dropped",
            tally.oversize(),
        ),
    ];
    for (what, count) in counts.into_iter().filter(|&(_, count)| count > 0) {
        let _ = writeln!(text, "{what}: {count}");
    }
    text.truncate(text.trim_end().len());
    text
}

impl<T: Data, F: InputFormat<T>> Direct<T> for FileDirect<F> {
    const AHEAD: bool = true;

    fn compute(&mut self, times: &[BatchTime]) -> Vec<Made<T>> {
        let again = times.partition_point(|&time| self.is_repeated(time));
        let (again, new) = times.split_at(again);
        let mut made: Vec<_> = again.iter().map(|&time| self.make_again(time)).collect();
        if !new.is_empty() {
            made.extend(self.make_new(new));
            self.selection.forget(times[0]);
        }
        made
    }

    fn save(&mut self, time: BatchTime) -> Result<Vec<u8>> {
        Ok(saved::write(&self.selection, time))
    }

    fn restore(&mut self, saved: &[u8]) -> Result<()> {
        saved::read(&mut self.selection, saved)
    }

    fn note(&mut self, times: &[BatchTime]) -> Result<Vec<(BatchTime, Vec<u8>)>> {
        let new = times.iter().filter(|&&time| !self.is_repeated(time));
        let noted = new.map(|&time| {
            let mut paths: Vec<_> = self.selection.taken_by(time).collect();
            paths.reverse();
            (time, saved::write_paths(&paths))
        });
        Ok(noted.filter(|(_, paths)| !paths.is_empty()).collect())
    }

    fn repeat(&mut self, repeated: Repeated) -> Result<()> {
        self.repeated = Some(repeated);
        Ok(())
    }
}
